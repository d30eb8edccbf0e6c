"""A scheduler with scripted devices and virtual time: launchers and trainings are spoken for.

After every event all invariants are checked, and every message goes through the codec.
"""

from typing import TypeVar

import msgspec
from tests.coordinator.core.invariants import check, check_admission
from tests.coordinator.core.promises import check_record, check_send

from gpurun.coordinator.core.effects import (
    Effect,
    Learn,
    Record,
    Sample,
    Send,
    WatchJob,
    WatchLauncher,
)
from gpurun.coordinator.core.estimator.profile import Profile
from gpurun.coordinator.core.events import (
    Event,
    Instant,
    JobProcessEndEvent,
    LauncherEndEvent,
    MessageEvent,
    RestartEvent,
    SampleEvent,
    TimerEvent,
)
from gpurun.coordinator.core.job import Job, Process
from gpurun.coordinator.core.sample import HEALTHY, DeviceSample, ProcessSample
from gpurun.coordinator.core.scheduler import Scheduler
from gpurun.coordinator.core.settings import Limits, Pausing, Settings
from gpurun.coordinator.core.transitions import Trigger
from gpurun.protocol import messages as m
from gpurun.protocol.codec import decode_reply, decode_request, encode
from gpurun.protocol.job import Again, JobSpec, JobState
from gpurun.protocol.quantity import GIB, MIB

M = TypeVar("M", bound=m.Message)

USER = 1000
OTHER_USER = 1001


class World:
    """One machine in virtual time; nothing here sleeps."""

    def __init__(self, *devices: int, settings: Settings | None = None) -> None:
        self.settings = settings or Settings(
            limits=Limits(memory=0.9, utilization=0.9, headroom=512 * MIB),
            pause=Pausing(min_run=0.0),
        )
        self.scheduler = Scheduler(self.settings)
        self.now = 1000.0
        self.totals = {f"GPU-{index}": size for index, size in enumerate(devices)}
        self.external: dict[str, tuple[int, float]] = {}
        self.uses: dict[int, tuple[int, float]] = {}
        """Bytes and share of time of jobs that do not use just what they reserved."""
        self.keeps: dict[int, int] = {}
        """Bytes of parked jobs that keep something else than they said."""
        self.hidden: set[str] = set()
        """Devices whose processes' memory cannot be read."""
        self.ill: set[str] = set()
        """Devices that do not answer."""
        self.gone: set[int] = set()
        """Jobs whose processes have ended, whatever is known of it."""
        self.stored: dict[int, Job] = {}
        self.records: list[Record] = []
        self.profiles: list[Profile] = []
        self.sent: list[tuple[bytes, m.Message]] = []
        self.effects: list[Effect] = []
        self.peers = 0
        self.events = 0
        if devices:
            self.sample()

    # --- time and devices

    def sample(self, taken: float | None = None) -> None:
        """Let the monitor look: jobs with a process use what they reserved."""
        devices = tuple(self._device(index, uuid) for index, uuid in enumerate(self.totals))
        at = self.now if taken is None else taken
        self.handle(SampleEvent(at=self.instant, taken=at, devices=devices))

    def advance(self, seconds: float, *, sample: bool = True) -> None:
        """Move time, with the wake-ups that were asked for, and sample at the end."""
        end = self.now + seconds
        while (wake := self.scheduler.wake_at()) is not None and wake <= end:
            self.now = max(self.now, wake)
            self.handle(TimerEvent(at=self.instant))
        self.now = end
        if sample:
            self.sample()

    @property
    def instant(self) -> Instant:
        return Instant(self.now, 1.7e9 + self.now)

    # --- launchers

    def submit(self, memory: float | None = None, util: float | None = None, **spec: object) -> int:
        """Submit a job; memory in GiB, uid, peer and uuid by keyword; return its number."""
        return self.last(m.Accepted, self.offer(memory, util, **spec)).job

    def offer(self, memory: float | None, util: float | None, **spec: object) -> bytes:
        """Submit a job that may be refused; return its launcher's connection."""
        uid = spec.pop("uid", USER)
        uuid = str(spec.pop("uuid", f"uuid-{self.peers}"))
        peer = self.peer()
        name = str(spec.pop("name", f"job{self.peers}.py"))
        whole = JobSpec(
            command=("python", name),
            cwd="/home/user",
            name=name,
            memory=None if memory is None else int(memory * GIB),
            utilization=util,
            **spec,  # type: ignore[arg-type]
        )
        message = m.Submit(uuid=uuid, spec=whole)
        self.say(peer, message, uid=uid, sender=Process(50_000 + self.peers, 1))  # type: ignore[arg-type]
        return peer

    def rerun(self, job: int, again: Again, uid: int = USER) -> bytes:
        """Submit an ended job again; return its new launcher's connection."""
        found, peer = self.job(job), self.peer()
        message = m.Submit(uuid=found.uuid, spec=found.spec, again=again)
        self.say(peer, message, uid=uid, sender=Process(50_000 + self.peers, 1))
        return peer

    def spawn(self, job: int) -> None:
        """Use the lease of a job."""
        grant = self.last(m.Grant, self.launcher(job))
        assert grant.job == job
        assert grant.deadline > self.now
        self.gone.discard(job)
        pid = 10_000 + 100 * job + grant.attempt
        self.say(
            self.launcher(job),
            m.Spawned(job=job, attempt=grant.attempt, pid=pid, start_time=1),
            uid=self.job(job).uid,
        )
        self.sample()

    def start(self, memory: int | None = None, util: float | None = None, **spec: object) -> int:
        """Submit a job that must be admitted at once, and spawn it."""
        job = self.submit(memory, util, **spec)
        assert self.state(job) is JobState.STARTING
        self.spawn(job)
        return job

    def exit(self, job: int, code: int = 0, request: int = 0) -> None:
        """The main process ends and its launcher says so; the next sample does not show it."""
        attempt, uid = self.job(job).attempt, self.job(job).uid
        exited = m.Exited(job=job, attempt=attempt, code=code, request=request)
        self.say(self.launcher(job), exited, uid=uid)
        self.sample()

    # --- trainings

    def train(self, memory: int, util: float = 0.5, **spec: object) -> int:
        """Start a job and attach its SDK."""
        job = self.start(memory, util, **spec)
        self.attach(job)
        return job

    def attach(
        self, job: int, ways: tuple[str, ...] = ("exit",), pid: int = 4711, **staying: object
    ) -> bytes:
        """Say hello for a training; `staying` is what it says of standing or being parked."""
        peer = self.peer()
        attempt = self.job(job).attempt
        said = m.Attach(job=job, attempt=attempt, token="t", pid=pid, pausable=ways, **staying)  # type: ignore[arg-type]
        self.say(peer, said, uid=self.job(job).uid)
        return peer

    def trainer(self, job: int) -> bytes:
        return next(reversed(self.scheduler.state.trainers[job].values()))

    def request(self, job: int) -> int:
        """The pause request that the training of this job was last sent."""
        return self.last(m.PauseRequest, self.trainer(job)).request

    def capture(self, job: int) -> None:
        """The training reaches a safe point, saves, and its tree is ended."""
        request = self.request(job)
        self.durable(job, request)
        self.exit(job, code=137, request=request)

    def durable(self, job: int, request: int) -> None:
        attempt, peer = self.job(job).attempt, self.trainer(job)
        self.say(peer, m.Capturing(job=job, attempt=attempt, token="t", request=request))
        self.say(
            peer,
            m.Durable(
                job=job,
                attempt=attempt,
                token="t",
                request=request,
                checkpoint=f"/checkpoints/{job}/7",
                step=7,
                size=1000,
                seconds=0.1,
            ),
        )

    def come_back(self, job: int) -> None:
        """Spawn a resumed training and let it load its checkpoint."""
        self.spawn(job)
        attempt = self.job(job).attempt
        self.say(self.attach(job), m.Resumed(job=job, attempt=attempt, token="t", step=7))

    # --- people

    def command(self, message: m.Message, uid: int = USER) -> m.Message:
        """Give a command; return the first answer to it."""
        peer = self.peer()
        before = len(self.sent)
        self.say(peer, message, uid=uid)
        return next(answer for to, answer in self.sent[before:] if to == peer)

    # --- the wire

    def peer(self) -> bytes:
        self.peers += 1
        return b"peer-%d" % self.peers

    def launcher(self, job: int) -> bytes:
        return self.scheduler.state.launchers[job]

    def say(
        self, peer: bytes, message: m.Message, uid: int = USER, sender: Process | None = None
    ) -> None:
        message = decode_request(encode(message))
        self.handle(
            MessageEvent(
                at=self.instant,
                peer=peer,
                uid=uid,
                user=f"user{uid}",
                message=message,
                sender=sender,
            )
        )

    def end_of_launcher(self, job: int) -> None:
        launcher = self.job(job).launcher
        assert launcher is not None
        self.handle(LauncherEndEvent(at=self.instant, job=job, process=launcher))

    def end_of_process(self, job: int) -> None:
        process = self.job(job).process
        assert process is not None
        self.handle(JobProcessEndEvent(at=self.instant, job=job, process=process))

    def use(self, job: int, memory: float, share: float = 0.0, looks: int = 1) -> None:
        """Let a job hold so many GiB and so much time from now on, and look, second by second."""
        self.uses[job] = (int(memory * GIB), share)
        for _ in range(looks):
            self.advance(1.0)

    def restart(self, alive: frozenset[Process] | None = None, look: bool = True) -> None:
        """Kill the coordinator and start another from what the store has; it looks at once."""
        jobs = tuple(self.stored[job] for job in sorted(self.stored))
        profiles = tuple(self.profiles)
        if alive is None:
            known = [p for job in jobs if not job.state.ended for p in (job.launcher, job.process)]
            alive = frozenset(p for p in known if p is not None)
        self.scheduler = Scheduler(self.settings)
        self.scheduler.state.next_id = max(self.stored, default=0) + 1
        self.handle(RestartEvent(at=self.instant, jobs=jobs, alive=alive, profiles=profiles))
        if look:
            self.sample()

    def handle(self, event: Event) -> list[Effect]:
        self.events += 1
        self.effects = self.scheduler.handle(event)
        for effect in self.effects:
            assert effect.cause
            if isinstance(effect, Record) and effect.trigger == Trigger.GRANT:
                before = self.stored[effect.job.id]
                if before.parked or effect.job.lease:
                    check_admission(self.scheduler.state, effect.job, before)
            if isinstance(effect, Record):
                check_record(event, self.stored.get(effect.job.id), effect)
                self.stored[effect.job.id] = effect.job
                self.records.append(effect)
            if isinstance(effect, Learn):
                self.profiles.append(effect.profile)
            if isinstance(effect, Send):
                check_send(self.stored, effect)
                self.sent.append((effect.peer, decode_reply(encode(effect.message))))
        check(self.scheduler.state, self.stored)
        return self.effects

    # --- what to assert

    def job(self, job: int) -> Job:
        found = self.scheduler.state.find(job)
        assert found is not None
        return found

    def state(self, job: int) -> JobState:
        return self.job(job).state

    def last(self, kind: type[M], peer: bytes) -> M:
        return next(
            message
            for to, message in reversed(self.sent)
            if to == peer and isinstance(message, kind)
        )

    def got(self, kind: type[M], peer: bytes) -> list[M]:
        return [message for to, message in self.sent if to == peer and isinstance(message, kind)]

    def details(self, job: int, trigger: str) -> list[str]:
        """What the story of a job says of each time that this happened."""
        return [r.detail for r in self.records if r.job.id == job and r.trigger == trigger]

    def wants_sample(self) -> bool:
        return any(isinstance(effect, Sample) for effect in self.effects)

    def watches(self) -> set[Process]:
        return {e.process for e in self.effects if isinstance(e, WatchJob | WatchLauncher)}

    def device(self, uuid: str, *, without: int, health: str = HEALTHY) -> DeviceSample:
        """A look at one device that does not show the processes of a job."""
        sample = self._device(list(self.totals).index(uuid), uuid)
        left = tuple(process for process in sample.processes if process.job != without)
        gone = sum(p.memory or 0 for p in sample.processes if p.job == without)
        free = None if sample.free is None else sample.free + gone
        return msgspec.structs.replace(sample, processes=left, free=free, health=health)

    def _device(self, index: int, uuid: str) -> DeviceSample:
        processes = []
        for job in self.scheduler.state.jobs.values():
            if job.process is not None and not job.state.ended and job.id not in self.gone:
                pid, here = job.process.pid, (h for h in job.reservations if h.device == uuid)
                for held in here:
                    size, busy = self._use_of(job, held.memory)
                    processes.append(self._use(uuid, pid, size, busy, job.id))
        memory, share = self.external.get(uuid, (0, 0.0))
        if memory or share:
            processes.append(self._use(uuid, 77, memory, share, None))
        used = sum(size for size, _ in processes)
        return DeviceSample(
            index=index,
            uuid=uuid,
            name="Scripted",
            health="it does not answer" if uuid in self.ill else HEALTHY,
            total=self.totals[uuid],
            free=max(0, self.totals[uuid] - used),
            utilization=min(1.0, sum(process.utilization or 0.0 for _, process in processes)),
            processes=tuple(process for _, process in processes),
        )

    def _use_of(self, job: Job, reserved: int) -> tuple[int, float]:
        """What a job uses: what it was told to, else what it reserved; parked, what it keeps."""
        memory, share = self.uses.get(job.id, (reserved, 0.0))
        if job.pause is not None and job.pause.released:
            return self.keeps.get(job.id, job.pause.kept), 0.0
        return memory, share

    def _use(
        self, uuid: str, pid: int, memory: int, share: float, job: int | None
    ) -> tuple[int, ProcessSample]:
        shown = None if uuid in self.hidden else memory
        return memory, ProcessSample(
            pid=pid,
            start_time=1,
            memory=shown,
            utilization=share,
            job=job,
            assumed=job is not None and job not in self.uses and job not in self.keeps,
        )
