"""What a device is charged with, and how old a look may be."""

from typing import Any

import msgspec
from tests.coordinator.core.world import World

from gpurun.coordinator.core.device import Device
from gpurun.coordinator.core.events import SampleEvent
from gpurun.coordinator.core.job import Job, PauseOrder, Reservation
from gpurun.coordinator.core.jobs import Jobs
from gpurun.coordinator.core.ledger import Charge, load_of
from gpurun.coordinator.core.order import in_order
from gpurun.coordinator.core.sample import DeviceSample, ProcessSample
from gpurun.coordinator.core.settings import Monitoring, Pausing, Settings
from gpurun.protocol import messages as m
from gpurun.protocol.job import JobSpec, JobState, ReasonCode
from gpurun.protocol.quantity import GIB

SPEC = JobSpec(command=("x",), cwd="/", name="x")


def job(number: int, memory: int = 0, **changes: Any) -> Job:
    held = (Reservation("GPU-0", memory, 0.25),) if memory else ()
    whole = Job(
        id=number,
        uuid="",
        uid=0,
        user="",
        spec=SPEC,
        submitted_at=0.0,
        since=0.0,
        reservations=held,
    )
    return msgspec.structs.replace(whole, **changes)


def device(
    free: int | None, *processes: tuple[int | None, int | None], compute: bool = True
) -> Device:
    """A device of 100 bytes; each process by its job and its bytes."""
    seen = tuple(
        ProcessSample(pid=1, start_time=1, memory=memory, job=number, compute=compute)
        for number, memory in processes
    )
    return Device(
        DeviceSample(
            index=0,
            uuid="GPU-0",
            name="x",
            total=None if free is None else 100,
            free=free,
            utilization=0.0,
            processes=seen,
        ),
        0.0,
    )


def test_a_charge_is_the_greater_of_reserved_and_seen() -> None:
    jobs = [job(1, 10), job(2, 30), job(3, 5)]
    load = load_of(device(50, (1, 20), (2, 20), (2, 5)), jobs, stale=False)
    assert load.charges == {
        1: Charge(20, 0.25, owner=0),
        2: Charge(30, 0.25, owner=0),
        3: Charge(5, 0.25, owner=0),
    }
    assert (load.charged_memory, load.charged_utilization) == (55, 0.75)
    assert load.external_memory == 5, "100 - 50 free - 45 seen of our own"


def test_what_is_reserved_elsewhere_is_not_charged_here() -> None:
    elsewhere = job(1, reservations=(Reservation("GPU-1", 10, 0.25),))
    assert load_of(device(100), [elsewhere], stale=False).charges == {}


def test_an_own_process_that_is_charged_nowhere_here_is_external() -> None:
    """Nothing else would count it."""
    load = load_of(device(60, (1, 30), (2, 10)), [job(1, 30)], stale=False)
    assert load.external_memory == 10


def test_external_is_never_less_than_nothing() -> None:
    """Two looks at moving things do not always add up."""
    assert load_of(device(90, (1, 30)), [job(1, 30)], stale=False).external_memory == 0
    assert load_of(device(90, (1, None)), [job(1, 30)], stale=False).external_memory == 0


def test_own_memory_that_cannot_be_read_counts_as_its_reservation() -> None:
    assert load_of(device(40, (1, None)), [job(1, 50)], stale=False).external_memory == 10
    beside = load_of(device(40, (1, None), (None, None)), [job(1, 50)], stale=False)
    assert beside.external_memory == 60, "subtracting would hide the foreigner in our unused room"


def test_a_device_of_unknown_memory_has_none() -> None:
    load = load_of(device(None), [], stale=True)
    assert (load.total, load.free, load.external_memory, load.healthy) == (0, 0, 0, False)
    assert load.stale


def test_nobody_is_alone_beside_a_charge_a_claim_or_a_foreigner() -> None:
    idle = load_of(device(100), [], stale=False)
    assert idle.idle
    assert idle.utilization == 0.0
    assert not load_of(device(100), [job(1, 10)], stale=False).idle
    assert not load_of(device(90, (None, 10)), [], stale=False).idle
    assert load_of(device(90, (None, 10), compute=False), [], stale=False).idle
    idle.keep(2, Charge(10, 0.1))
    assert not idle.idle
    assert (idle.set_aside_memory, idle.set_aside_utilization) == (10, 0.1)
    assert idle.without(frozenset()).set_aside == idle.set_aside


def test_a_look_is_stale_after_three_intervals_and_no_sooner() -> None:
    world = World(24 * GIB, settings=Settings(monitor=Monitoring(interval=2.0)))
    world.now += 6.0
    assert world.state(world.submit(1, 0.1)) is JobState.STARTING
    world.now += 0.01
    late = world.submit(1, 0.1)
    assert world.last(m.Waiting, world.launcher(late)).reason.code is ReasonCode.STALE


def test_a_stale_device_says_what_the_driver_said() -> None:
    world = World(24 * GIB)
    world.now += 10.0
    gone = SampleEvent(at=world.instant, taken=world.now, devices=(), problem="the driver hangs")
    world.handle(gone)
    job = world.submit(1, 0.1)
    reason = world.last(m.Waiting, world.launcher(job)).reason
    assert reason.text == "GPU 0 has not been seen lately: the driver hangs"
    assert reason.missing == 0.0


def test_the_queue_is_ordered_by_priority_then_age_and_long_absence_goes_before_both() -> None:
    """Who has stepped aside for less goes before its equals only; who is held is not in it."""
    pausing, now = Pausing(max_paused=100.0), 1000.0
    urgent = msgspec.structs.replace(SPEC, priority=50)
    paused: dict[str, Any] = {"state": JobState.PAUSED}
    aside = PauseOrder(request=1, deadline=0.0, by_user=False)
    jobs = [
        job(1, since=0.0),
        job(2, pause=msgspec.structs.replace(aside, captured=901.0), **paused),
        job(3, since=0.0, held=True, **paused),
        job(4, spec=urgent),
        job(5, pause=msgspec.structs.replace(aside, captured=900.0), **paused),
    ]
    known = Jobs(ageing=300.0)
    for found in jobs:
        known[found.id] = found
    assert [found.id for found in in_order(known, pausing, now)] == [5, 4, 2, 1]
