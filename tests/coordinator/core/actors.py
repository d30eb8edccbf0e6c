"""Random launchers, trainings and strangers around a scheduler, for the property tests."""

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule
from tests.coordinator.core.world import OTHER_USER, USER, World

from gpurun.coordinator.core.job import Job, Stage, Way
from gpurun.protocol import messages as m
from gpurun.protocol.job import Again, JobState, ProgramId
from gpurun.protocol.quantity import GIB

PICK = st.integers(0, 1000)
DEVICES = (24 * GIB, 16 * GIB, 16 * GIB)
WORDS = (
    m.AskAgain, m.Leave, m.Spawned, m.SpawnFailed, m.Exited, m.Attach, m.Detach,
    m.Capturing, m.Standing, m.Released, m.Overdue, m.Durable, m.Unsaved, m.Refused,
    m.Resumed, m.Saved, m.Changed, m.Submit, m.Progress,
)  # fmt: skip
PROGRAMS = [
    None,
    *(ProgramId(path="/x.py", digest="1", arguments=("--batch", str(n))) for n in (8, 16)),
]
LIVE = (JobState.RUNNING, JobState.PAUSING, JobState.PAUSED, JobState.RESUMING)
COMMANDS = (m.Pause, m.Rehearse, m.Resume, m.Retry, m.Cancel, m.Adjust)


class Actors(RuleBasedStateMachine):
    """Three devices and whoever comes; the invariants are checked after every event."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World(*DEVICES)

    def pick(self, number: int, *states: JobState) -> Job | None:
        """Some living job in one of these states that has a launcher."""
        launchers = self.world.scheduler.state.launchers
        live = self.world.scheduler.state.live()
        jobs = [job for job in live if job.state in states and job.id in launchers]
        return jobs[number % len(jobs)] if jobs else None

    def say(self, job: Job, peer: bytes, message: m.Message) -> None:
        """The job's owner says something."""
        self.world.say(peer, message, uid=job.uid)

    @rule(
        memory=st.none() | st.integers(1, 24),
        util=st.none() | st.sampled_from([0.1, 0.3, 0.9, 1.0]),
        priority=st.sampled_from([-50, 0, 50]),
        gpus=st.sampled_from([0, 1, 1, 1, 2, 3]),
        uid=st.sampled_from([USER, OTHER_USER]),
        time=st.none() | st.sampled_from([20.0, 600.0]),
        share=st.booleans(),
        on=st.none() | st.sampled_from([("0",), ("1", "2"), ("GPU-2",)]),
        after=st.none() | PICK,
        program=st.sampled_from(PROGRAMS),
        told=st.sampled_from([("", 0), ("", 0), ("STOP", 0), ("USR2", 85)]),
    )
    def submit(self, after: int | None, told: tuple[str, int], **spec: object) -> None:
        """A job comes; one that can never be admitted is refused."""
        spec["pause_signal"], spec["pause_exit"] = told
        before = None if after is None else self.pick(after, *JobState)
        spec["after"] = () if before is None else (str(before.id),)
        self.world.offer(spec.pop("memory"), spec.pop("util"), **spec)  # type: ignore[arg-type]

    @rule(number=PICK)
    def spawn(self, number: int) -> None:
        """A launcher uses its lease; a training that comes back loads its checkpoint."""
        job = self.pick(number, JobState.STARTING, JobState.RESUMING)
        if job is not None and job.state is JobState.RESUMING and job.process is not None:
            resumed = m.Resumed(job=job.id, attempt=job.attempt, token="t", step=1)
            self.say(job, self.world.peer(), resumed)
            return
        if job is None or job.lease is None or job.lease <= self.world.now:
            return
        resumes = job.state is JobState.RESUMING
        self.world.spawn(job.id)
        if job.spec.pause_signal:
            self.speak_for(job)
        elif resumes:
            peer = self.world.attach(job.id)
            attempt = self.world.job(job.id).attempt
            self.say(job, peer, m.Resumed(job=job.id, attempt=attempt, token="t", step=1))

    def speak_for(self, job: Job, standing: int = 0) -> None:
        """Its launcher says how a program with no SDK can be paused, and that it is back."""
        launcher = self.world.launcher(job.id)
        names = {"job": job.id, "attempt": self.world.job(job.id).attempt, "token": "t"}
        way = "exit" if job.spec.pause_exit else "stand"
        attach = m.Attach(pid=4711, pausable=(way,), standing=standing, **names)  # type: ignore[arg-type]
        self.say(job, launcher, attach)
        if not standing:
            self.say(job, launcher, m.Resumed(step=0, **names))  # type: ignore[arg-type]

    @rule(number=PICK, stands=st.booleans())
    def launcher_speaks(self, number: int, stands: bool) -> None:
        """A launcher comes back to a coordinator, or continues by itself what it had stopped."""
        job = self.pick(number, *LIVE)
        if job is not None and job.process is not None and job.spec.pause_signal:
            standing = job.pause.request if stands and job.pause is not None else 0
            self.speak_for(job, standing)

    @rule(number=PICK)
    def a_program_with_no_sdk_saves(self, number: int) -> None:
        """It exits with its code after it was asked, whatever has become of the request."""
        job = self.pick(number, *LIVE)
        if job is not None and job.process is not None and job.spec.pause_exit and job.request:
            self.world.exit(job.id, job.spec.pause_exit, job.request)

    @rule(number=PICK, memory=st.integers(0, 24), share=st.sampled_from([0.0, 0.4, 1.0]))
    def use(self, number: int, memory: int, share: float) -> None:
        """A job is seen to use something else than it reserved, as far as the devices have it."""
        job = self.pick(number, *JobState)
        if job is not None and job.process is not None:
            self.world.uses[job.id] = (memory * GIB, share)
            self.world.sample()

    @rule(number=PICK, kind=st.sampled_from([m.Cycled, m.OutOfMemory]))
    def speak_of_memory(self, number: int, kind: type[m.Message]) -> None:
        """A training has done a whole cycle, or has run out of memory."""
        if job := self.pick(number, JobState.RUNNING):
            message = kind(job=job.id, attempt=job.attempt, token="t")
            self.say(job, self.world.peer(), message)

    @rule(
        number=PICK,
        pid=st.sampled_from([4711, 4711, 4712]),
        ways=st.sampled_from([("exit",), ("stand", "exit"), ("stand",), ("park",), tuple(Way)]),
        rest=st.sampled_from(["", "", "standing", "parked", "resting"]),
        saved=st.sampled_from(["", "/checkpoints/3"]),
    )
    def attach(self, number: int, pid: int, ways: tuple[str, ...], rest: str, saved: str) -> None:
        """A training loop begins, or a second one in the same job, or one comes back."""
        job = self.pick(number, *LIVE)
        if job is not None and job.process is not None:
            staying = {rest: job.pause.request if job.pause else 1} if rest else {}
            self.world.attach(job.id, ways, pid, checkpoint=saved, **staying)

    @rule(number=PICK, code=st.integers(0, 1))
    def exit(self, number: int, code: int) -> None:
        """A job's main process ends."""
        job = self.pick(number, JobState.RUNNING, JobState.PAUSING, JobState.PAUSED)
        if job is not None and job.process is not None:
            self.world.exit(job.id, code)

    @rule(
        number=PICK,
        how=st.sampled_from(["durable", "capture", "capture", "end", "refuse", "overdue", "late"]),
        kept=st.integers(0, 4),
    )
    def answer_a_pause(self, number: int, how: str, kept: int) -> None:
        """A pause succeeds, fails or comes too late; or nobody answers, and time passes."""
        job = self.pick(number, JobState.PAUSING)
        if job is None or job.pause is None or job.process is None:
            return
        if not self.world.scheduler.state.trainers.get(job.id):
            return
        request, peer = job.pause.request, self.world.trainer(job.id)
        names = {"job": job.id, "attempt": job.attempt, "token": "t", "request": request}
        if how == "capture" and job.pause.how is Way.STAND:
            self.say(job, peer, m.Standing(step=1, **names))  # type: ignore[arg-type]
            return
        if how == "capture" and job.pause.how is Way.PARK:
            self.say(job, peer, m.Released(step=1, kept=kept * GIB, **names))  # type: ignore[arg-type]
            self.world.sample()
            return
        if how == "end" and job.pause.stage is Stage.DURABLE and job.pause.how is Way.EXIT:
            self.world.exit(job.id, 137, request)
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

    @rule(number=PICK, keeps=st.none() | st.integers(0, 8), durable=st.booleans())
    def is_parked(self, number: int, keeps: int | None, durable: bool) -> None:
        """A parked job keeps more or less than it said; its checkpoint comes on disk."""
        job = self.pick(number, JobState.PAUSED, JobState.PAUSING)
        if job is None or job.pause is None or not job.parked:
            return
        if keeps is not None:
            self.world.keeps[job.id] = keeps * GIB
            self.world.sample()
        if durable and self.world.scheduler.state.trainers.get(job.id):
            self.world.durable(job.id, job.pause.request)

    @rule(number=PICK, word=st.sampled_from(WORDS), late=st.booleans())
    def say_anything(self, number: int, word: type[m.Message], late: bool) -> None:
        """Any word at any time, of this attempt or of an earlier one."""
        if job := self.pick(number, *JobState):
            message = word_about(job, word, attempt=job.attempt - late)
            self.world.say(self.world.peer(), message, uid=job.uid, sender=job.launcher)

    @rule(number=PICK, word=st.sampled_from((*WORDS, *COMMANDS)))
    def a_stranger_speaks(self, number: int, word: type[m.Message]) -> None:
        """4. Whatever another user says of a job, the answer is that it is none of his."""
        if job := self.pick(number, *JobState):
            stranger, peer = USER + OTHER_USER - job.uid, self.world.peer()
            message = word_about(job, word, attempt=job.attempt)
            self.world.say(peer, message, uid=stranger, sender=job.launcher)
            answers = [answer for to, answer in self.world.sent if to == peer]
            assert all(isinstance(answer, m.Problem) for answer in answers), answers

    @rule(number=PICK)
    def launcher_dies(self, number: int) -> None:
        """The job lives on, or is lost."""
        if job := self.pick(number, *JobState):
            self.world.end_of_launcher(job.id)

    @rule(number=PICK, heard=st.booleans())
    def process_dies(self, number: int, heard: bool) -> None:
        """The kernel reports an end before the launcher does; then it is not seen any more."""
        job = self.pick(number, *LIVE)
        if job is None or job.process is None:
            return
        self.world.end_of_process(job.id)
        self.world.gone.add(job.id)
        self.world.sample()
        if heard and job.id in self.world.scheduler.state.launchers:
            self.world.exit(job.id, 1)

    @rule(number=PICK, checkpoint=st.sampled_from(["", "/checkpoints/5"]), twice=st.booleans())
    def run_again(self, number: int, checkpoint: str, twice: bool) -> None:
        """Somebody has a job that has ended run again, perhaps while its device still shows it."""
        state = self.world.scheduler.state
        ended = [job for job in (*state.ended.values(), *state.jobs.values()) if job.state.ended]
        if ended:
            job = ended[number % len(ended)]
            again = Again(checkpoint=checkpoint)
            for _ in range(1 + twice):
                self.world.rerun(job.id, again, uid=job.uid)

    @rule(number=PICK)
    def launcher_obeys(self, number: int) -> None:
        """It ends the tree for which it was last told to, whatever has happened since."""
        job = self.pick(number, *JobState)
        if job is None or job.process is None:
            return
        told = self.world.got(m.EndTree, self.world.launcher(job.id))
        if told and told[-1].attempt == job.attempt:
            self.world.exit(job.id, 137, told[-1].request)


def word_about(job: Job, word: type[m.Message], attempt: int) -> m.Message:
    """A message of this kind about the job."""
    if word is m.Submit:
        return m.Submit(uuid=job.uuid, spec=job.spec)
    if word in COMMANDS:
        more: dict[str, Any] = {"priority": 7} if word is m.Adjust else {}
        return word(job=str(job.id), **more)
    facts = {
        "job": job.id,
        "attempt": attempt,
        "token": "t",
        "pid": 12_345,
        "start_time": 1,
        "code": 1,
        "request": job.pause.request if job.pause else 1,
        "checkpoint": "/checkpoints/1",
        "step": 1,
        "size": 1,
        "seconds": 0.1,
        "text": "no",
        "file": "/home/user/model.py",
        "pausable": ("exit",),
        "kept": GIB,
    }
    return word(**{name: facts[name] for name in word.__struct_fields__ if name in facts})
