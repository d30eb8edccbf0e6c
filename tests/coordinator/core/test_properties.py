"""The invariants hold against random launchers, trainings, people, samples, time and crashes.

`GPURUN_PROPERTIES=nightly` runs at least 1,000,000 events.
"""

import os
from collections.abc import Iterable
from typing import ClassVar
from unittest import mock

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule
from tests.coordinator.core.actors import PICK, Actors
from tests.coordinator.core.plans import WatchedPlan

from gpurun.coordinator.core import schedule
from gpurun.coordinator.core.job import Job, Process
from gpurun.protocol import messages as m
from gpurun.protocol.job import Held, JobState
from gpurun.protocol.quantity import GIB

DEVICE = st.sampled_from(["GPU-0", "GPU-1", "GPU-2"])


class Machine(Actors):
    """What people do, what the devices show, time, and the ends of the coordinator."""

    events: ClassVar[int] = 0

    def __init__(self) -> None:
        self.patch = mock.patch.object(schedule, "Plan", WatchedPlan)
        self.patch.start()
        super().__init__()

    def teardown(self) -> None:
        """Count what has happened."""
        self.patch.stop()
        Machine.events += self.world.events

    @rule(number=PICK, command=st.sampled_from([m.Pause, m.Rehearse, m.Resume, m.Cancel]))
    def command(self, number: int, command: type[m.Pause | m.Rehearse | m.Resume]) -> None:
        job = self.pick(number, *JobState)
        if job is not None:
            self.world.command(command(job=str(job.id)), uid=job.uid)

    @rule(
        number=PICK,
        priority=st.none() | st.sampled_from([-50, 50]),
        memory=st.none() | st.integers(1, 24),
        utilization=st.none() | st.sampled_from([0.1, 0.9]),
    )
    def adjust(self, number: int, memory: int | None, **told: float | None) -> None:
        if job := self.pick(number, *JobState):
            size = None if memory is None else memory * GIB
            message = m.Adjust(job=str(job.id), memory=size, **told)  # type: ignore[arg-type]
            self.world.command(message, uid=job.uid)

    @rule(on=st.booleans())
    def drain(self, on: bool) -> None:
        self.world.command(m.Drain(on=on))

    @rule(seconds=st.sampled_from([0.01, 1.0, 6.0, 70.0, 700.0, 4000.0]), sample=st.booleans())
    def time_passes(self, seconds: float, sample: bool) -> None:
        """With samples that follow, or with a monitor that hangs: all that it saw goes stale."""
        self.world.advance(seconds, sample=sample)

    @rule(age=st.sampled_from([0.0, 0.5, 2.0, 60.0]))
    def a_sample_comes_late(self, age: float) -> None:
        self.world.sample(taken=self.world.now - age)

    @rule(uuid=DEVICE, ill=st.booleans(), hidden=st.booleans())
    def a_device_stops_telling(self, uuid: str, ill: bool, hidden: bool) -> None:
        """It does not answer, or does not tell what each process uses; or tells again."""
        for kind, applies in ((self.world.ill, ill), (self.world.hidden, hidden)):
            kind.add(uuid) if applies else kind.discard(uuid)
        self.world.sample()

    @rule(number=PICK, memory=st.integers(0, 24))
    def a_job_uses_something_else_than_it_reserved(self, number: int, memory: int) -> None:
        if job := self.pick(number, JobState.RUNNING):
            self.world.use(job.id, memory)

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

    @rule(silent=st.none() | PICK)
    def the_coordinator_restarts(self, silent: int | None) -> None:
        """7. and 8. What the store has is the state; launchers come back, perhaps all but one."""
        before = {job.id: job for job in self.world.scheduler.state.live()}
        self.world.restart(look=False)
        known = self.world.scheduler.state.jobs
        for job in before.values():
            if job.launcher is not None:
                assert known[job.id] == job
        self.world.sample()
        self.greet(before.values(), silent)

    @rule(number=PICK, unheard=st.sampled_from(["spawned", "exited", "durable"]))
    def the_coordinator_is_killed(self, number: int, unheard: str) -> None:
        """8. What was said to it last is lost, and is said again on the new connection."""
        wanted = {
            "spawned": (JobState.STARTING, JobState.RESUMING),
            "exited": (JobState.RUNNING,),
            "durable": (JobState.PAUSING,),
        }
        job = self.pick(number, *wanted[unheard])
        if job is None:
            return
        if unheard == "spawned" and job.lease is not None and job.lease > self.world.now:
            held = Held(job=job.id, attempt=job.attempt, pid=12_345, start_time=1)
            self.restart_with(job, held=held, alive=Process(12_345, 1))
            assert self.world.job(job.id).process == Process(12_345, 1)
        elif unheard == "exited" and job.process is not None:
            self.restart_with(job, dead=job.process)
            message = m.Exited(job=job.id, attempt=job.attempt, code=0)
            self.say(job, self.world.launcher(job.id), message)
            assert self.world.state(job.id) in (JobState.FINISHED, JobState.CANCELLED)
        elif unheard == "durable" and job.pause is not None and job.process is not None:
            self.restart_with(job)
            names = {"job": job.id, "attempt": job.attempt, "token": "t", "pid": 4711}
            resting = {"resting": job.pause.request, "checkpoint": "/checkpoints/9"}
            attach = m.Attach(pausable=("exit",), **names, **resting)  # type: ignore[arg-type]
            self.say(job, self.world.peer(), attach)

    def restart_with(
        self, job: Job, held: Held | None = None, alive: Process | None = None, dead: object = None
    ) -> None:
        """Kill the coordinator while the world knows more than the store."""
        jobs = list(self.world.scheduler.state.live())
        known = {process for j in jobs for process in (j.launcher, j.process, alive) if process}
        self.world.restart(alive=frozenset(known - {dead}))
        self.greet((j for j in jobs if j.id != job.id), None)
        self.hello(job, held)
        self.world.sample()

    def greet(self, jobs: Iterable[Job], silent: int | None) -> None:
        """The launchers that live say hello, all but one."""
        living = [job for job in jobs if job.launcher is not None]
        for place, job in enumerate(living):
            if silent is None or place != silent % len(living):
                self.hello(job, None)
        self.world.sample()

    def hello(self, job: Job, held: Held | None) -> None:
        """The launcher of a job says what it has in its hands."""
        if held is None and job.process is not None:
            pid, started = job.process.pid, job.process.start_time
            held = Held(job=job.id, attempt=job.attempt, pid=pid, start_time=started)
        message = m.Submit(uuid=job.uuid, spec=job.spec, held=held)
        self.world.say(self.world.peer(), message, uid=job.uid, sender=job.launcher)

    @invariant()
    @precondition(lambda self: not self.world.scheduler.state.expected)
    def no_lost_wake_up(self) -> None:
        """5. Whoever would fit now has been admitted by the event that made it fit."""
        plan = WatchedPlan(self.world.scheduler.state)
        plan.make()
        assert not plan.grants
        assert not plan.returns


PROFILES = {"fast": (60, 40, 0), "nightly": (20_000, 120, 1_000_000)}
EXAMPLES, STEPS, LEAST_EVENTS = PROFILES[os.environ.get("GPURUN_PROPERTIES", "fast")]

TestMachine = Machine.TestCase
TestMachine.settings = settings(
    max_examples=EXAMPLES,
    stateful_step_count=STEPS,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)


def test_as_many_events_as_the_profile_promises() -> None:
    """Runs after the machine, in the same process."""
    assert Machine.events >= LEAST_EVENTS
