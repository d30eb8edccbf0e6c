"""Situations in which several tests begin."""

from tests.coordinator.core.world import World

from gpurun.protocol import messages as m
from gpurun.protocol.job import Held
from gpurun.protocol.quantity import GIB


def stepping_aside() -> tuple[World, int, m.Exited]:
    """A training whose tree has been ended for a pause, and is not yet seen gone."""
    world = World(24 * GIB)
    training = world.train(20, 0.9)
    world.command(m.Pause(job=str(training)))
    request = world.request(training)
    world.durable(training, request)
    exited = m.Exited(job=training, attempt=1, code=137, request=request)
    world.say(world.launcher(training), exited)
    assert world.wants_sample()
    return world, training, exited


def hello(world: World, job: int, held: Held | None = None) -> bytes:
    """The launcher of a job comes back on a new connection."""
    peer, known = world.peer(), world.job(job)
    message = m.Submit(uuid=known.uuid, spec=known.spec, held=held)
    world.say(peer, message, sender=known.launcher)
    return peer
