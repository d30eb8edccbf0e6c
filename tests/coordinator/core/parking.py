"""Trainings that park: what is said for them, and where they stand then."""

from tests.coordinator.core.world import World

from gpurun.coordinator.core.job import Way
from gpurun.coordinator.core.loads import loads_of
from gpurun.protocol import messages as m
from gpurun.protocol.job import Held, JobState
from gpurun.protocol.quantity import GIB

WAYS = tuple(Way)
PARK = ("stand", "park")
QUEUED, STARTING, RUNNING = JobState.QUEUED, JobState.STARTING, JobState.RUNNING
PAUSING, PAUSED, RESUMING = JobState.PAUSING, JobState.PAUSED, JobState.RESUMING


def train(
    world: World,
    memory: int = 16,
    ways: tuple[str, ...] = WAYS,
    *,
    util: float = 0.8,
    **spec: object,
) -> int:
    job = world.start(memory, util, **spec)
    world.attach(job, ways=ways)
    return job


def asked(world: World, job: int) -> m.PauseRequest:
    return world.last(m.PauseRequest, world.trainer(job))


def say(world: World, job: int, kind: type[m.Message], **fields: object) -> None:
    known = world.job(job)
    said = kind(job=job, attempt=known.attempt, token="t", **fields)
    world.say(world.trainer(job), said, uid=known.uid)


def park(world: World, job: int, kept: int = 0) -> None:
    """The training comes to a safe point and gives its memory back; nobody has looked yet."""
    request = asked(world, job).request
    say(world, job, m.Capturing, request=request)
    say(world, job, m.Released, request=request, step=7, kept=kept)


def parked(world: World, memory: int = 12, kept: int = 0, **spec: object) -> tuple[int, int]:
    """A training that is parked for a light task, which runs."""
    training = train(world, **spec)  # type: ignore[arg-type]
    light = world.submit(memory, 0.5, priority=50)
    park(world, training, kept)
    world.sample()
    world.spawn(light)
    return training, light


def saves(world: World, job: int) -> None:
    """The checkpoint is on disk."""
    order = world.job(job).pause
    assert order is not None
    world.durable(job, order.request)


def charge(world: World, job: int) -> int:
    """Bytes with which the device is charged for it."""
    return loads_of(world.scheduler.state)["GPU-0"].charges[job].memory


def leaving(world: World) -> int:
    """A parked training that is about to be ended, since parking was not enough."""
    training = train(world)
    world.submit(12, 0.5, priority=50)
    world.keeps[training] = 10 * GIB
    park(world, training)
    world.sample()
    saves(world, training)
    assert world.state(training) is PAUSING
    return training


def hello(world: World, job: int) -> bytes:
    """Its launcher comes back to a new coordinator."""
    known, peer = world.job(job), world.peer()
    held = None
    if known.process is not None:
        pid, started = known.process.pid, known.process.start_time
        held = Held(job=job, attempt=known.attempt, pid=pid, start_time=started)
    message = m.Submit(uuid=known.uuid, spec=known.spec, held=held)
    world.say(peer, message, sender=known.launcher)
    return peer


def back(world: World) -> tuple[int, int]:
    """A training that was parked and trains again, and the number of that request."""
    training, light = parked(world)
    old = asked(world, training).request
    world.exit(light)
    say(world, training, m.Resumed, step=7)
    return training, old


def late(world: World, job: int, request: int, checkpoint: str) -> None:
    facts = {"request": request, "checkpoint": checkpoint, "step": 7, "size": 1, "seconds": 90.0}
    say(world, job, m.Durable, **facts)
