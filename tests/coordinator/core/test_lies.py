"""Whoever may connect may say anything: no word in any state stops the scheduler.

Launchers and trainings of other versions, words that arrive twice or late, and liars look alike
from here. Every message with every number is said in every state that random lives lead to.
"""

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import rule
from tests.coordinator.core.test_properties import EXAMPLES, STEPS, Machine
from tests.coordinator.core.world import OTHER_USER, USER

from gpurun.coordinator.core.job import Process
from gpurun.coordinator.core.scheduler import MESSAGES
from gpurun.protocol import messages as m
from gpurun.protocol.job import Again, Held, JobSpec

SMALL = st.integers(-1, 4)
ODD = SMALL | st.sampled_from([2**31, 2**63, 2**64 - 1])
REAL = st.floats()
TEXT = st.sampled_from(
    ["", "1", "2", "job1.py", "exit", "/c/1", "99999999999999999999", "../x", "\n"]
)
SPECS = st.builds(
    JobSpec,
    command=st.sampled_from([(), ("python", "x.py")]),
    cwd=TEXT,
    name=TEXT,
    priority=SMALL | st.just(200),
    gpus=SMALL | st.just(2**40),
    memory=st.none() | ODD,
    memory_share=st.none() | REAL,
    utilization=st.none() | REAL,
    time=st.none() | REAL,
    only=st.none() | st.tuples(TEXT),
)
PLAIN = JobSpec(command=("python", "x.py"), cwd="/", name="job1.py", memory=8 << 30)
HELD = st.builds(Held, job=SMALL, attempt=SMALL | ODD, pid=ODD, start_time=ODD)
FIELDS: dict[str, st.SearchStrategy[object]] = {
    "uuid": st.sampled_from(["uuid-0", "uuid-1", "uuid-2", "new", "../x"]),
    "spec": SPECS | st.just(PLAIN),
    "held": st.none() | HELD,
    "again": st.none() | st.builds(Again, checkpoint=TEXT, changed=st.booleans()),
    "changed": st.booleans(),
    "token": st.just("t"),
    "pausable": st.sampled_from([(), ("exit",), ("nap",)]),
    "survivors": st.sampled_from([(), (1, 2)]),
    "seconds": REAL,
    "grace": REAL,
    "on": st.booleans(),
    "priority": st.none() | SMALL | ODD,
    "memory": st.none() | ODD,
    "memory_share": st.none() | REAL,
    "utilization": st.none() | REAL,
    "time": st.none() | REAL,
    "step": ODD,
    "size": ODD,
    "pid": ODD,
    "start_time": ODD,
    "code": ODD,
}


def lies(kind: type[m.Message]) -> st.SearchStrategy[m.Message]:
    """Messages of one kind; numbers are small, so that they often name what there is."""
    known = {}
    for name, annotation in kind.__annotations__.items():
        known[name] = FIELDS.get(name, TEXT if annotation is str else SMALL)
    return st.builds(kind, **known)


LIES = st.one_of([lies(kind) for kind in MESSAGES])


class Liars(Machine):
    """Random lives, among people who say anything."""

    @rule(message=LIES, uid=st.sampled_from([USER, OTHER_USER]), sender=st.booleans())
    def say_anything(self, message: m.Message, uid: int, sender: bool) -> None:
        process = Process(77_000 + uid, 1) if sender else None
        self.world.say(self.world.peer(), message, uid=uid, sender=process)


TestLiars = Liars.TestCase
TestLiars.settings = settings(
    max_examples=EXAMPLES,
    stateful_step_count=STEPS,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
