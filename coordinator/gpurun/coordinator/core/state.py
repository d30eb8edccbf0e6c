"""All that the scheduler knows, and the few ways in which it changes.

Handlers read the state freely and change it only through the methods here, so that every change
of a job is recorded and every effect names its cause.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from operator import attrgetter

import msgspec

from gpurun.coordinator.core.device import Device
from gpurun.coordinator.core.effects import Effect, Learn, Record, Sample, Send
from gpurun.coordinator.core.estimator.history import History
from gpurun.coordinator.core.estimator.seen import Seen
from gpurun.coordinator.core.events import Event, Instant, Peer
from gpurun.coordinator.core.job import Job
from gpurun.coordinator.core.jobs import Jobs
from gpurun.coordinator.core.ledger import Load
from gpurun.coordinator.core.lessons import profile_of
from gpurun.coordinator.core.progress import Progress
from gpurun.coordinator.core.rehearsal import Rehearsal
from gpurun.coordinator.core.settings import Settings
from gpurun.coordinator.core.transitions import Note, Trigger, next_state
from gpurun.protocol.job import JobState, ReasonCode, WaitReason
from gpurun.protocol.messages import Message, Problem

ENDED_KEPT = 1000
"""Ended jobs that are remembered, so that a late word about one is understood."""


Work = tuple[int, str, str, tuple[str, ...]]
"""What counts as the same program where it fails: uid, path, folder and, of executables, words."""


Holders = Mapping[str, list[Job]]
"""The jobs with which each device is charged, by UUID, oldest first."""


class State:
    """Jobs, devices and connections, with the effects of the batch under way."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.now = Instant(0.0, 0.0)
        self.cause = ""
        self.effects: list[Effect] = []
        self.pass_wanted = False
        self.timed = float("-inf")
        """CLOCK_BOOTTIME up to which deadlines have been looked at."""

        self.jobs = Jobs(settings.queue.ageing)
        self.by_uuid: dict[str, int] = {}
        self.ended: dict[int, Job] = {}
        self.next_id = 1
        self.next_request = 1

        self.devices: dict[str, Device] = {}
        self.loads: dict[str, tuple[object, Load]] = {}
        """The load of each device as last worked out, with all that it follows from."""
        self.problem = ""
        """Why no device could be looked at in the last round."""
        self.seen: dict[int, Seen] = {}
        """What samples have shown of each job; a new coordinator begins with what was written."""
        self.progress: dict[int, Progress] = {}
        """How far trainings have said to be in their present attempt."""
        self.history = History()

        self.launchers: dict[int, Peer] = {}
        self.trainers: defaultdict[int, dict[int, Peer]] = defaultdict(dict)
        """The connections of each job's trainings, by pid."""
        self.expected: set[int] = set()
        """Jobs whose launchers live and have not said hello since the restart."""
        self.quiet_until = float("-inf")
        """CLOCK_BOOTTIME until which the expected ones are waited for."""
        self.asked_to_pause: defaultdict[int, list[Peer]] = defaultdict(list)
        """Commands that wait until a job is paused."""
        self.rehearsals: dict[int, Rehearsal] = {}
        """What those who rehearse a pause have shown so far, and who waits for the whole."""
        self.ends: list[Job] = []
        """Jobs that the event under way has ended, and whose dependents have not heard of it."""
        self.retries: dict[int, float] = {}
        """CLOCK_BOOTTIME until which the retry of a job that some wait for may come."""
        self.failures: dict[Work, tuple[int, ...]] = {}
        """Jobs of each program that have failed at their start, one after the other."""
        self.drained = False
        """Nothing new is admitted until a person says so."""
        self.reasons: dict[int, WaitReason] = {}
        """Why the jobs at which the last pass looked wait."""
        self.told: dict[int, tuple[ReasonCode, str, int]] = {}
        """What the launcher of each waiting job has been told."""
        self.untold: set[int] = set()
        """Waiting jobs whose launchers must hear where they stand, whatever the pass looks at."""
        self.swept = 0
        """Place in the queue up to which launchers have lately been told their places."""

    def begin(self, event: Event) -> None:
        """Take the time and the cause of the event under way."""
        self.now, self.cause = event.at, event.cause

    def find(self, job: int) -> Job | None:
        """A job that lives, or one that ended not long ago."""
        return self.jobs.get(job) or self.ended.get(job)

    def live(self) -> Iterable[Job]:
        """Jobs that have not ended."""
        return (job for job in self.jobs.values() if not job.state.ended)

    def charged(self) -> list[Job]:
        """Jobs with which a device is charged; some have ended and are not yet seen gone."""
        charged = [job for job in self.jobs.active() if job.reservations]
        return sorted(charged, key=attrgetter("id"))

    def holders(self) -> Holders:
        """Who is charged with which device; nobody with those that are free."""
        holders: dict[str, list[Job]] = {uuid: [] for uuid in self.devices}
        for job in self.charged():
            for held in job.reservations:
                holders.setdefault(held.device, []).append(job)
        return holders

    def add(self, job: Job, detail: str) -> Job:
        """Take in a new job."""
        self.by_uuid[job.uuid] = job.id
        self.next_id = max(self.next_id, job.id + 1)
        self._put(job)
        self._record(job, Trigger.SUBMIT, detail)
        self.pass_wanted = True
        return job

    def reopen(self, job: Job, trigger: Trigger, detail: str, **changes: object) -> Job:
        """Bring an ended job back to life, as somebody asked."""
        self.ended.pop(job.id, None)
        return self.move(job, trigger, detail, ended_at=None, exit_code=None, **changes)

    def update(
        self, job: Job, note: Note | None = None, detail: str = "", **changes: object
    ) -> Job:
        """Change what is known of a job without moving it; a note goes into its story."""
        job = msgspec.structs.replace(job, **changes)
        self._put(job)
        self._record(job, note, detail)
        return job

    def move(self, job: Job, trigger: Trigger, detail: str = "", **changes: object) -> Job:
        """Move a job by the table, count its time, and write the line of its story."""
        state = next_state(job.state, trigger)
        changes.setdefault("seen", self.seen_of(job))
        if state is not job.state:
            changes |= self._clocks(job)
            # Whose lease is used, or whose training goes on, took its room before.
            self.pass_wanted |= trigger not in (Trigger.SPAWNED, Trigger.RESUMED)
        if state.ended:
            changes |= {"ended_at": self.now.wall, "lease": None, "pause": None, "regains": ()}
        job = msgspec.structs.replace(job, state=state, **changes)
        self._put(job)
        self._record(job, trigger, detail)
        if state not in (JobState.PAUSING, JobState.PAUSED, JobState.RESUMING):
            self._disappoint(job, detail)
        if state.ended:
            self.progress.pop(job.id, None)
            self.ends.append(job)
            self._learn(job)
            self._retire(job)
        return job

    def release(self, job: Job) -> Job:
        """The job's processes are seen gone: its devices are free of it."""
        self.forget_windows(job)
        job = self.update(job, Note.SEEN_GONE, reservations=(), seen=self.seen_of(job))
        self.pass_wanted = True
        if job.state.ended:
            self._retire(job)
        return job

    def seen_of(self, job: Job) -> Seen | None:
        """What samples have shown of a job, up to the last."""
        return self.seen.get(job.id, job.seen)

    def send(self, peer: Peer | None, message: Message) -> None:
        """Say something to a client that is there."""
        if peer:
            self.effects.append(Send(cause=self.cause, peer=peer, message=message))

    def tell_training(self, job: Job, message: Message) -> None:
        """Say something to the job's training; one that runs beside another is asked nothing."""
        for peer in self.trainers.get(job.id, {}).values():
            self.send(peer, message)

    def look(self) -> None:
        """Ask for a sample at once."""
        sample = Sample(cause=self.cause)
        if sample not in self.effects:
            self.effects.append(sample)

    def forget_windows(self, job: Job) -> None:
        """Something of this job started, ended or was released: past utilization says nothing."""
        for held in job.reservations:
            if device := self.devices.get(held.device):
                device.restart_window(self.now.boot)

    def hear_from(self, job: Job, peer: Peer) -> None:
        """The launcher of the job is at this connection now, and knows nothing yet."""
        self.launchers[job.id] = peer
        self.expected.discard(job.id)
        self._forget_told(job.id)
        self.untold.add(job.id)
        self.pass_wanted = True

    def _put(self, job: Job) -> None:
        before = self.jobs.get(job.id)
        self.jobs[job.id] = job
        if not job.state.waits:
            self._forget_told(job.id)
        elif not (job.ready and before and before.ready):
            self.untold.add(job.id)

    def _forget_told(self, job: int) -> None:
        self.told.pop(job, None)
        self.untold.discard(job)

    def _clocks(self, job: Job) -> dict[str, object]:
        if job.state.ended:
            return {"since": self.now.boot}
        span = max(0.0, self.now.boot - job.since)
        clock = {
            JobState.QUEUED: "waited",
            JobState.STARTING: "waited",
            JobState.RUNNING: "ran",
            JobState.PAUSING: "ran",
            JobState.PAUSED: "paused",
            JobState.RESUMING: "paused",
        }[job.state]
        return {"since": self.now.boot, clock: getattr(job, clock) + span}

    def _record(self, job: Job, trigger: Trigger | Note | None, detail: str) -> None:
        self.effects.append(
            Record(
                cause=self.cause,
                job=job,
                at=self.now.boot,
                wall=self.now.wall,
                trigger=trigger or "",
                detail=detail,
            )
        )

    def _learn(self, job: Job) -> None:
        """Keep what the job's run says of the next one of its program."""
        if profile := profile_of(job):
            self.history.add(profile)
            self.effects.append(Learn(cause=self.cause, profile=profile))

    def _disappoint(self, job: Job, detail: str) -> None:
        """Tell whoever waits for the pause that it does not come."""
        text = f"{job.label} is {job.state}, not paused: {detail}"
        for peer in self.asked_to_pause.pop(job.id, ()):
            self.send(peer, Problem(text=text, code=1))
        tried = self.rehearsals.get(job.id)
        if tried is not None and (job.state.ended or tried.returning is None):
            del self.rehearsals[job.id]
            self.send(tried.peer, Problem(text=text, code=1))

    def _retire(self, job: Job) -> None:
        """Keep an ended job only while it is charged; then among the last that ended."""
        self.expected.discard(job.id)
        if job.charged:
            return
        del self.jobs[job.id]
        self.ended[job.id] = job
        self.trainers.pop(job.id, None)
        self.launchers.pop(job.id, None)
        self.seen.pop(job.id, None)
        if len(self.ended) > ENDED_KEPT:
            oldest = self.ended.pop(next(iter(self.ended)))
            self.by_uuid.pop(oldest.uuid, None)
