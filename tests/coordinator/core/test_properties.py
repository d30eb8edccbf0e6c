"""The invariants hold against random launchers, trainings, people, samples, time and crashes."""

import os
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from tests.coordinator.core.world import OTHER_USER, USER, World

from gpurun.protocol import messages as m
from gpurun.protocol.job import Held, JobState, ProgramId
from gpurun.protocol.quantity import GIB

if TYPE_CHECKING:
    from gpurun.coordinator.core.job import Job

PICK = st.integers(0, 1000)
PROGRAMS = [
    None,
    *(ProgramId(path="/x.py", digest="1", arguments=("--batch", str(n))) for n in (8, 16)),
]


class Machine(RuleBasedStateMachine):
    """Two devices and whoever comes; the invariants are checked after every event."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World(24 * GIB, 16 * GIB)

    def pick(self, number: int, *states: JobState) -> "Job | None":
        jobs = [
            job
            for job in self.world.scheduler.state.live()
            if job.state in states and job.id in self.world.scheduler.state.launchers
        ]
        return jobs[number % len(jobs)] if jobs else None

    @rule(
        memory=st.none() | st.integers(1, 24),
        util=st.none() | st.sampled_from([0.1, 0.3, 0.9, 1.0]),
        priority=st.sampled_from([-50, 0, 50]),
        gpus=st.sampled_from([0, 1, 1, 1, 2]),
        uid=st.sampled_from([USER, OTHER_USER]),
        time=st.none() | st.just(60.0),
        program=st.sampled_from(PROGRAMS),
    )
    def submit(
        self,
        memory: int | None,
        util: float | None,
        priority: int,
        gpus: int,
        uid: int,
        time: float | None,
        program: ProgramId | None,
    ) -> None:
        if memory is None or gpus < 2 or memory <= 16:
            told = {"priority": priority, "gpus": gpus, "uid": uid, "time": time}
            self.world.submit(memory, util, program=program, **told)

    @rule(number=PICK, memory=st.integers(0, 24), share=st.sampled_from([0.0, 0.4, 1.0]))
    def a_job_is_seen_to_use(self, number: int, memory: int, share: float) -> None:
        """Also more than it reserved, as far as the devices have it."""
        job = self.pick(number, JobState.RUNNING)
        if job is None or job.process is None:
            return
        self.world.uses[job.id] = (memory * GIB, share)
        self.world.sample()

    @rule(number=PICK, kind=st.sampled_from([m.Cycled, m.OutOfMemory]))
    def a_training_speaks_of_its_memory(self, number: int, kind: type[m.Message]) -> None:
        if job := self.pick(number, JobState.RUNNING):
            message = kind(job=job.id, attempt=job.attempt, token="t")
            self.say(job, self.world.peer(), message)

    @rule(number=PICK)
    def spawn(self, number: int) -> None:
        job = self.pick(number, JobState.STARTING, JobState.RESUMING)
        if job is None or job.lease is None or job.lease <= self.world.now:
            return
        resumes = job.state is JobState.RESUMING
        self.world.spawn(job.id)
        if resumes:
            peer = self.world.attach(job.id)
            attempt = self.world.job(job.id).attempt
            self.say(job, peer, m.Resumed(job=job.id, attempt=attempt, token="t", step=1))

    @rule(number=PICK)
    def attach(self, number: int) -> None:
        if job := self.pick(number, JobState.RUNNING):
            self.world.attach(job.id)

    @rule(number=PICK, code=st.integers(0, 1))
    def exit(self, number: int, code: int) -> None:
        job = self.pick(number, JobState.RUNNING, JobState.PAUSING)
        if job is not None and job.process is not None:
            self.world.exit(job.id, code)

    @rule(number=PICK, how=st.sampled_from(["durable", "capture", "refuse", "overdue", "late"]))
    def answer_a_pause(self, number: int, how: str) -> None:
        job = self.pick(number, JobState.PAUSING)
        if job is None or job.pause is None or job.process is None:
            return
        if job.id not in self.world.scheduler.state.trainers:
            return
        request, peer = job.pause.request, self.world.trainer(job.id)
        names = {"job": job.id, "attempt": job.attempt, "token": "t", "request": request}
        if how in ("durable", "capture"):
            self.world.durable(job.id, request)
        if how == "capture":
            self.world.exit(job.id, 137, request)
        if how == "refuse":
            self.say(job, peer, m.Refused(text="no", **names))  # type: ignore[arg-type]
        if how == "overdue":
            self.say(job, peer, m.Overdue(**names))  # type: ignore[arg-type]
        if how == "late":
            self.world.durable(job.id, request + 1)

    @rule(number=PICK, command=st.sampled_from([m.Pause, m.Resume, m.Cancel]))
    def command(self, number: int, command: type[m.Pause | m.Resume | m.Cancel]) -> None:
        job = self.pick(number, *JobState)
        if job is not None:
            self.world.command(command(job=str(job.id)))

    @rule(number=PICK)
    def leave(self, number: int) -> None:
        if job := self.pick(number, *JobState):
            self.say(job, self.world.launcher(job.id), m.Leave(job=job.id))

    @rule(number=PICK)
    def ask_again(self, number: int) -> None:
        if job := self.pick(number, *JobState):
            message = m.AskAgain(job=job.id, attempt=job.attempt)
            self.say(job, self.world.launcher(job.id), message)

    @rule(number=PICK)
    def launcher_dies(self, number: int) -> None:
        if job := self.pick(number, *JobState):
            self.world.end_of_launcher(job.id)

    @rule(number=PICK)
    def process_dies_unheard(self, number: int) -> None:
        job = self.pick(number, JobState.RUNNING, JobState.PAUSING)
        if job is not None and job.process is not None:
            self.world.end_of_process(job.id)

    @rule(seconds=st.sampled_from([0.01, 1.0, 6.0, 70.0, 700.0, 4000.0]))
    def time_passes(self, seconds: float) -> None:
        self.world.advance(seconds)

    @rule(memory=st.integers(0, 16), share=st.sampled_from([0.0, 0.5, 1.0]))
    def a_foreign_program_comes_or_goes(self, memory: int, share: float) -> None:
        free = 16 * GIB - self.world.scheduler.state.settings.limits.headroom
        used = sum(
            held.memory
            for job in self.world.scheduler.state.charged()
            for held in job.reservations
            if held.device == "GPU-1"
        )
        self.world.external["GPU-1"] = (max(0, min(memory * GIB, free - used)), share)
        self.world.sample()

    @rule()
    def the_coordinator_restarts(self) -> None:
        self.world.restart()
        for job in list(self.world.scheduler.state.live()):
            if job.launcher is None:
                continue
            held = None
            if job.process is not None:
                pid, started = job.process.pid, job.process.start_time
                held = Held(job=job.id, attempt=job.attempt, pid=pid, start_time=started)
            message = m.Submit(uuid=job.uuid, spec=job.spec, held=held)
            self.world.say(self.world.peer(), message, uid=job.uid, sender=job.launcher)
        self.world.sample()

    @invariant()
    @precondition(lambda self: not self.world.scheduler.state.expected)
    def no_lost_wake_up(self) -> None:
        """5. Whoever would fit now has been admitted by the event that made it fit."""
        from gpurun.coordinator.core.schedule import Plan

        plan = Plan(self.world.scheduler.state)
        plan.make()
        assert not plan.grants

    def say(self, job: "Job", peer: bytes, message: m.Message) -> None:
        self.world.say(peer, message, uid=job.uid)


PROFILES = {"fast": (60, 40), "nightly": (20_000, 60)}
EXAMPLES, STEPS = PROFILES[os.environ.get("GPURUN_PROPERTIES", "fast")]

TestMachine = Machine.TestCase
TestMachine.settings = settings(
    max_examples=EXAMPLES,
    stateful_step_count=STEPS,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
