"""The loop: frames, ends of processes, samples and time become events; effects become deeds.

One thread, one poll. Each turn takes a batch of events, lets the scheduler decide, commits what it
recorded, and only then sends.
"""

import logging
import math
from collections.abc import Iterable, Iterator

import msgspec
import zmq

from gpurun.coordinator import clock, spool
from gpurun.coordinator.core.effects import (
    Effect,
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
    SampleEvent,
    TimerEvent,
)
from gpurun.coordinator.core.scheduler import Scheduler
from gpurun.coordinator.desk import Desk, Question
from gpurun.coordinator.gpus.monitor import Monitor
from gpurun.coordinator.interrupts import Signals
from gpurun.coordinator.outbox import Outbox
from gpurun.coordinator.queries import Queries, own_processes
from gpurun.coordinator.recovery import ToldEvent, as_told, recovered
from gpurun.coordinator.server import Server
from gpurun.coordinator.store import Store
from gpurun.coordinator.tokens import token_of
from gpurun.coordinator.watch import Watch, Watched
from gpurun.protocol.messages import (
    Adjust,
    Cancel,
    Drain,
    Grant,
    Message,
    Pause,
    Problem,
    Rehearse,
    Resume,
    Submit,
)
from gpurun.protocol.paths import Paths

_log = logging.getLogger(__name__)

_LONGEST_POLL = 10.0
"""Seconds; a monitor that hangs wakes nobody."""
_REST_AFTER = 30.0
"""Seconds without a job after which a laptop's GPU may sleep."""
_HANGS = "the driver does not answer; running jobs go on, see nvidia-smi or reboot"


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
        self._state.next_id = store.next_id()
        self._server, self._desk, self._queries = server, desk, queries
        self._monitor = monitor
        self._watch = Watch()
        self._signals = Signals()
        self._stopping = False
        self._hanging = False
        self._questions: list[Question] = []
        self._outbox = Outbox(store, paths.spool)
        self._idle_since = clock.now().boot
        self._poller = zmq.Poller()
        for source in (server.socket, self._watch, monitor, self._signals):
            self._poller.register(source, zmq.POLLIN)

    def restart(self, rounds: Iterable[SampleEvent]) -> None:
        """Find every job again; with the first samples of the devices, so that nothing waits."""
        self._handle([*recovered(self._store, self._paths.spool), *rounds])

    def run(self) -> None:
        """Serve until asked to stop, or until there has been no job for long enough."""
        while not self._stopping:
            self._handle(list(self._wait()))
            self._answer()
            self._watch_idleness()
            self._watch_socket()

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
        yield from self._hang()
        if self._signals.fileno() in ready:
            self._stopping = True
        if self._due():
            yield TimerEvent(at=clock.now())

    def _timeout(self) -> float:
        if self._watch.pending:
            return 0.0
        wake = self._scheduler.wake_at()
        instants = [self._idle_since + self._idle_exit] + ([] if wake is None else [wake])
        if self._outbox.due is not None:
            instants.append(self._outbox.due)
        return min(max(0.0, min(instants) - clock.now().boot), _LONGEST_POLL)

    def _hang(self) -> Iterator[Event]:
        """A driver that does not answer: nothing is admitted on old samples, and it is said."""
        at = clock.now()
        hangs = self._monitor.overdue(at.boot)
        if hangs and not self._hanging:
            yield SampleEvent(at=at, taken=at.boot, devices=(), problem=_HANGS)
        self._hanging = hangs

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
            elif self._outbox.trouble and _can_be_refused(answer.message):
                text = f"{self._outbox.trouble}; nothing starts until it can be written"
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
            yield as_told(known, end)
        yield LauncherEndEvent(at=at, job=job, process=process)

    def _handle(self, events: list[Event]) -> None:
        if events:
            told = [event.uuid for event in events if isinstance(event, ToldEvent)]
            self._outbox.put(self._scheduler.handle_all(events), told)
        self._carry_out(self._outbox.take())

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

    def _with_token(self, message: Message) -> Message:
        job = self._state.find(message.job) if isinstance(message, Grant) else None
        if not isinstance(message, Grant) or job is None:
            return message
        token = token_of(self._secret, job.uuid, message.attempt)
        return msgspec.structs.replace(message, token=token)

    def _watch_socket(self) -> None:
        """A coordinator that nobody can reach makes room for one that can be."""
        if not self._stopping and not self._server.reachable:
            _log.error("the socket %s is gone: the next gpurun starts anew", self._paths.socket)
            self._stopping = True

    def _watch_idleness(self) -> None:
        now = clock.now().boot
        if any(self._state.live()):
            self._idle_since = now
        self._monitor.rest(now >= self._idle_since + _REST_AFTER)
        if now >= self._idle_since + self._idle_exit:
            _log.info("no job for %.0f s: good bye", self._idle_exit)
            self._stopping = True


def rounds(monitor: Monitor) -> list[SampleEvent]:
    """The monitor's rounds as events."""
    return [
        SampleEvent(at=clock.now(), taken=r.taken, devices=r.devices, problem=r.problem)
        for r in monitor.take()
    ]


def _can_be_refused(message: Message) -> bool:
    """A wish may be refused while nothing can be written; what has happened may not."""
    return isinstance(message, Pause | Rehearse | Resume | Cancel | Adjust | Drain) or (
        isinstance(message, Submit) and message.held is None
    )
