"""The loop: frames, ends of processes, samples and time become events; effects become deeds.

One thread, one poll. Each turn takes a batch of events, lets the scheduler decide, commits what it
recorded, and only then sends.
"""

import logging
import math
import os
import signal
from collections.abc import Iterator, Sequence

import msgspec
import zmq

from gpurun.coordinator import clock, processes, spool
from gpurun.coordinator.core.effects import (
    Effect,
    Record,
    Sample,
    Send,
    WatchJob,
    WatchLauncher,
)
from gpurun.coordinator.core.events import (
    Event,
    JobProcessEndEvent,
    LauncherEndEvent,
    MessageEvent,
    RestartEvent,
    SampleEvent,
    TimerEvent,
)
from gpurun.coordinator.core.job import Job, Process
from gpurun.coordinator.core.scheduler import Scheduler
from gpurun.coordinator.desk import Desk, Question
from gpurun.coordinator.gpus.monitor import Monitor
from gpurun.coordinator.queries import Queries, own_processes
from gpurun.coordinator.server import Server
from gpurun.coordinator.store import Store, StoreError
from gpurun.coordinator.tokens import token_of
from gpurun.coordinator.watch import Watch, Watched
from gpurun.protocol.messages import Cancel, Grant, Message, Pause, Problem, Resume, Submit
from gpurun.protocol.paths import Paths

_log = logging.getLogger(__name__)

_COMMIT_RETRY = 1.0
"""Seconds between two tries to write a batch that could not be written."""
_LONGEST_POLL = 3600.0
UNSEEN = Process(0, 0)
"""A launcher in another pid namespace: nobody here can tell whether it lives; its hello can."""


class Daemon:
    """Joins the scheduler to its edges."""

    def __init__(
        self,
        paths: Paths,
        scheduler: Scheduler,
        store: Store,
        server: Server,
        desk: Desk,
        queries: Queries,
        monitor: Monitor,
        idle_exit: float,
    ) -> None:
        self._paths, self._idle_exit = paths, idle_exit
        self._scheduler, self._state = scheduler, scheduler.state
        self._store, self._secret = store, store.secret()
        self._server, self._desk, self._queries = server, desk, queries
        self._monitor = monitor
        self._watch = Watch()
        self._signals = Signals()
        self._stopping = False
        self._questions: list[Question] = []
        self._unwritten: list[Effect] = []
        """What waits for a store that cannot be written; until then it is not said."""
        self._trouble = ""
        """Why it cannot; empty while it can."""
        self._retry_at = 0.0
        self._told: list[str] = []
        """UUIDs of jobs whose spooled ends are being taken in."""
        self._idle_since = clock.now().boot
        self._poller = zmq.Poller()
        for source in (server.socket, self._watch, monitor, self._signals):
            self._poller.register(source, zmq.POLLIN)

    def restart(self, rounds: Sequence[SampleEvent]) -> None:
        """Find every job again; with the first samples of the devices, so that nothing waits."""
        at = clock.now()
        jobs = self._store.jobs()
        self._state.next_id = self._store.next_id()
        rebooted = self._store.boot(processes.boot_id())
        if rebooted:
            jobs = [_after_reboot(job, at.boot) for job in jobs]
        known = {job.uuid: job for job in jobs}
        ends = [(known[u], end) for u, end in spool.spooled(self._paths.spool) if u in known]
        self._told += [job.uuid for job, _ in ends]
        restart = RestartEvent(
            at=at,
            jobs=tuple(jobs),
            alive=frozenset() if rebooted else _alive(jobs),
            told=frozenset(job.id for job, _ in ends),
        )
        heard = [_as_told(job, end) for job, end in ends]
        self._handle([restart, *heard, *rounds])

    def run(self) -> None:
        """Serve until asked to stop, or until there has been no job for long enough."""
        while not self._stopping:
            self._handle(list(self._wait()))
            self._answer()
            self._watch_idleness()

    def close(self) -> None:
        """Leave running jobs alone and free everything."""
        self._server.close()
        self._monitor.stop(1.0)
        self._watch.close()
        self._store.close()

    def _wait(self) -> Iterator[Event]:
        """Everything that has happened, waiting for the first of it."""
        ready = dict(self._poller.poll(math.ceil(self._timeout() * 1000)))
        yield from self._messages()
        for watched in self._watch.ended():
            yield from self._ended(watched)
        yield from rounds(self._monitor)
        if self._signals.fileno() in ready:
            self._stopping = True
        if self._due():
            yield TimerEvent(at=clock.now())

    def _timeout(self) -> float:
        if self._watch.pending:
            return 0.0
        wake = self._scheduler.wake_at()
        instants = [self._idle_since + self._idle_exit] + ([] if wake is None else [wake])
        if self._unwritten:
            instants.append(self._retry_at)
        return min(max(0.0, min(instants) - clock.now().boot), _LONGEST_POLL)

    def _due(self) -> bool:
        """Whether an instant that the scheduler waits for lies between its last event and now."""
        wake = self._scheduler.wake_at()
        return wake is not None and clock.now().boot >= wake

    def _messages(self) -> Iterator[Event]:
        for incoming in self._server.receive():
            answer = self._desk.take(incoming)
            if isinstance(answer, Question):
                self._questions.append(answer)
            elif not isinstance(answer, MessageEvent):
                self._reply(incoming.peer, answer)
            elif self._trouble and _can_be_refused(answer.message):
                text = f"{self._trouble}; nothing starts until it can be written"
                self._reply(incoming.peer, Problem(text=text))
            else:
                yield answer

    def _answer(self) -> None:
        """Questions see what the events of their batch have changed."""
        for question in self._questions:
            self._reply(question.incoming.peer, self._queries.answer(question))
        self._questions.clear()

    def _reply(self, peer: bytes, message: Message | None) -> None:
        if message is not None:
            self._server.send(peer, message)

    def _ended(self, watched: Watched) -> Iterator[Event]:
        at, job, process = clock.now(), watched.job, watched.process
        if not watched.launcher:
            yield JobProcessEndEvent(at=at, job=job, process=process)
            return
        known = self._state.jobs.get(job)
        end = spool.spooled_for(self._paths.spool, known.uuid) if known is not None else None
        if known is not None and end is not None:
            self._told.append(known.uuid)
            yield _as_told(known, end)
        yield LauncherEndEvent(at=at, job=job, process=process)

    def _handle(self, events: list[Event]) -> None:
        if events:
            self._unwritten += self._scheduler.handle_all(events)
        if self._unwritten and self._commit():
            effects, self._unwritten = self._unwritten, []
            self._forget_told()
            self._carry_out(effects)

    def _carry_out(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Send(peer=peer, message=message):
                    self._server.send(peer, self._with_token(message))
                case WatchJob(job=job, process=process):
                    self._watch.add(Watched(job, process, launcher=False))
                case WatchLauncher(job=job, process=process):
                    self._watch.add(Watched(job, process, launcher=True))
                case Sample():
                    self._monitor.request(own_processes(self._state))

    def _forget_told(self) -> None:
        """The ends that launchers had left word of are in the store now."""
        for uuid in self._told:
            spool.forget(self._paths.spool, uuid)
        self._told.clear()

    def _commit(self) -> bool:
        """Write before anything is sent: after a crash the state is what the log says.

        What cannot be written is not said, admits nobody, and is tried again with what has come
        since.
        """
        now = clock.now().boot
        if self._trouble and now < self._retry_at:
            return False
        records = [effect for effect in self._unwritten if isinstance(effect, Record)]
        try:
            if records:
                self._store.write(records)
        except StoreError as error:
            self._trouble, self._retry_at = str(error), now + _COMMIT_RETRY
            _log.error("%s; nothing starts until it can be written", error)
            return False
        self._trouble = ""
        return True

    def _with_token(self, message: Message) -> Message:
        job = self._state.find(message.job) if isinstance(message, Grant) else None
        if not isinstance(message, Grant) or job is None:
            return message
        token = token_of(self._secret, job.uuid, message.attempt)
        return msgspec.structs.replace(message, token=token)

    def _watch_idleness(self) -> None:
        now = clock.now().boot
        if any(self._state.live()):
            self._idle_since = now
        elif now >= self._idle_since + self._idle_exit:
            _log.info("no job for %.0f s: good bye", self._idle_exit)
            self._stopping = True


class Signals:
    """SIGTERM and SIGINT as a descriptor."""

    def __init__(self) -> None:
        self._read, write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(write)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: None)

    def fileno(self) -> int:
        """Give the descriptor that is readable once a signal has come."""
        return self._read


def rounds(monitor: Monitor) -> list[SampleEvent]:
    """The monitor's rounds as events."""
    return [
        SampleEvent(at=clock.now(), taken=r.taken, devices=r.devices, problem=r.problem)
        for r in monitor.take()
    ]


def _can_be_refused(message: Message) -> bool:
    """A wish may be refused while nothing can be written; what has happened may not."""
    return isinstance(message, Pause | Resume | Cancel) or (
        isinstance(message, Submit) and message.held is None
    )


def _alive(jobs: Sequence[Job]) -> frozenset[Process]:
    known = {p for job in jobs for p in (job.launcher, job.process) if p is not None}
    return frozenset(p for p in known if p == UNSEEN or processes.alive(p.pid, p.start_time))


def _after_reboot(job: Job, boot: float) -> Job:
    """Instants of another run of the machine mean nothing; nothing of it holds a device."""
    held = () if job.state.ended else job.reservations
    return msgspec.structs.replace(
        job, since=boot, lease=None, left=None, returned=None, reservations=held
    )


def _as_told(job: Job, end: spool.End) -> MessageEvent:
    """A spooled end as if its launcher said it now."""
    return MessageEvent(at=clock.now(), peer=b"", uid=job.uid, user=job.user, message=end)
