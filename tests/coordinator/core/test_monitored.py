"""What the core makes of the finer things that a look at a device tells."""

import msgspec
from tests.coordinator.core.world import World

from gpurun.coordinator.core.device import UNSEEN
from gpurun.coordinator.core.effects import Record
from gpurun.coordinator.core.events import SampleEvent
from gpurun.coordinator.core.sample import DeviceSample, Peak, Reading
from gpurun.coordinator.core.transitions import Note
from gpurun.coordinator.core.why import why_text
from gpurun.protocol import messages as m
from gpurun.protocol.job import JobState
from gpurun.protocol.quantity import GIB


def look(world: World, sample: DeviceSample, **changes: object) -> None:
    """The monitor sees this device, with such changes."""
    changed = msgspec.structs.replace(sample, **changes)
    world.handle(SampleEvent(at=world.instant, taken=world.now, devices=(changed,)))


def notes(world: World) -> dict[int, str]:
    """What the last event wrote into the stories of jobs, without changing them."""
    records = [effect for effect in world.effects if isinstance(effect, Record)]
    return {record.job.id: record.detail for record in records if record.trigger == Note.FAULT}


def test_a_device_that_is_set_aside_still_shows_what_is_gone() -> None:
    """It takes no work, but what has ended there is released, and a pause comes to its end."""
    world = World(24 * GIB)
    job = world.start(6, 0.1)
    world.say(world.launcher(job), m.Exited(job=job, attempt=1, code=0))
    look(world, world.device("GPU-0", without=job, health="its clocks are slowed by heat"))
    assert not world.job(job).charged
    waiting = world.submit(1, 0.1)
    assert world.state(waiting) is JobState.QUEUED


def test_where_time_cannot_be_measured_memory_alone_decides() -> None:
    """As on a MIG device; and `why` says so."""
    world = World(24 * GIB)
    first = world.start(6, 0.6)
    untimed = world.device("GPU-0", without=0)
    second, third = (world.submit(memory, 0.6) for memory in (6, 20))
    assert world.state(second) is JobState.QUEUED
    look(world, untimed, utilization=None)
    assert world.state(second) is JobState.STARTING
    assert world.state(third) is JobState.QUEUED
    state = world.scheduler.state
    assert "cannot be measured here; memory alone decides" in why_text(state, world.job(third))
    assert world.state(first) is JobState.RUNNING


def test_the_drivers_samples_alone_are_a_measure_of_time() -> None:
    """A look may find new ones while the driver's last figure is unknown."""
    world = World(24 * GIB)
    world.start(6, 0.6)
    second = world.submit(6, 0.6)
    sample = world.device("GPU-0", without=0)
    look(world, sample, utilization=None, readings=(Reading(world.now, 0.6),))
    assert world.state(second) is JobState.QUEUED


def test_a_list_that_is_not_told_leaves_nobody_alone() -> None:
    """Whoever would be alone on an idle device starts under the caps there."""
    world = World(24 * GIB)
    look(world, world.device("GPU-0", without=0), processes_known=False)
    large, small = world.submit(23, 0.1), world.submit(6, 0.1)
    assert world.state(large) is JobState.QUEUED
    assert world.state(small) is JobState.QUEUED, "room is set aside for the large one"
    world.command(m.Cancel(job=str(large)))
    assert world.state(small) is JobState.STARTING


def test_an_end_on_a_device_that_tells_no_list_is_believed_by_its_memory() -> None:
    """At once when what is used has fallen, else after a while."""
    for fallen in (True, False):
        world = World(24 * GIB)
        job = world.start(6, 0.1)
        held = world.device("GPU-0", without=0)
        look(world, held, processes=(), processes_known=False)
        world.now += 1
        world.say(world.launcher(job), m.Exited(job=job, attempt=1, code=0))
        free = 24 * GIB if fallen else held.free
        look(world, held, processes=(), processes_known=False, free=free)
        assert world.job(job).charged is not fallen
        world.now += UNSEEN
        look(world, held, processes=(), processes_known=False)
        assert not world.job(job).charged


def test_a_programs_fault_is_noted_on_the_jobs_that_were_there() -> None:
    """On one that has died of it, too; not on those of other devices, and nothing changes."""
    world = World(24 * GIB)
    job, other = world.start(6, 0.1), world.start(6, 0.1)
    before = world.job(job), world.job(other)
    look(world, world.device("GPU-0", without=job), faults=(31,))
    assert notes(world).keys() == {job, other}
    assert "XID 31 on GPU 0" in notes(world)[job]
    assert (world.job(job), world.job(other)) == before
    look(world, world.device("GPU-0", without=job), faults=(31,))
    assert notes(world).keys() == {other}


def test_the_drivers_account_of_a_peak_counts() -> None:
    """The most that was seen stays the most."""
    world = World(24 * GIB)
    job = world.start(6, 0.1)
    sample = world.device("GPU-0", without=0)
    look(world, sample, peaks=(Peak(job, 9 * GIB), Peak(99, GIB)))
    assert world.scheduler.state.seen[job].memory == 9 * GIB
    look(world, sample)
    assert world.scheduler.state.seen[job].memory == 9 * GIB


def test_the_end_of_a_launcher_after_its_job_asks_for_a_look() -> None:
    """What survived the job hangs below init from then on: its group tells whose it is."""
    world = World(24 * GIB)
    job = world.start(6, 0.1)
    world.say(world.launcher(job), m.Exited(job=job, attempt=1, code=0, survivors=(7,)))
    world.effects.clear()
    world.end_of_launcher(job)
    assert world.wants_sample()


def test_a_number_names_one_device() -> None:
    """Who had the number before is not there any more, and holds nobody."""
    world = World(24 * GIB, 24 * GIB)
    job = world.start(6, 0.1)
    (held,) = world.job(job).reservations
    world.say(world.launcher(job), m.Exited(job=job, attempt=1, code=0))
    look(world, world.device(held.device, without=job), uuid="GPU-new")
    other = {"GPU-0", "GPU-1"} - {held.device}
    assert world.scheduler.state.devices.keys() == {"GPU-new"} | other
    assert not world.job(job).charged
