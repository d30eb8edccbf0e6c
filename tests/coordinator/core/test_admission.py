"""The admission sum: who may start beside whom, and who is alone."""

import pytest
from tests.coordinator.core.world import World

from gpurun.coordinator.core.settings import Limits, Settings
from gpurun.protocol import messages as m
from gpurun.protocol.job import JobState, ReasonCode
from gpurun.protocol.quantity import GIB


def reason(world: World, job: int) -> ReasonCode:
    return world.last(m.Waiting, world.launcher(job)).reason.code


def test_a_job_that_fits_is_granted_at_once() -> None:
    world = World(24 * GIB)
    job = world.submit(6, 0.4)
    grant = world.last(m.Grant, world.launcher(job))
    assert grant.devices == ("GPU-0",)
    assert grant.memory == 6 * GIB
    assert grant.basis == "told"


def test_two_jobs_admitted_together_never_count_on_the_same_room() -> None:
    """The second of two jobs that each fit alone waits, though the first has allocated nothing."""
    world = World(24 * GIB)
    world.submit(12, 0.1)
    second = world.submit(12, 0.1)
    assert world.state(second) is JobState.QUEUED
    assert reason(world, second) is ReasonCode.MEMORY


def test_headroom_is_kept_free_beside_the_cap() -> None:
    """21.6 GiB are under the cap of 24; with 0.5 GiB of headroom 10 + 11 fit and 10 + 12 do not."""
    world = World(24 * GIB)
    world.start(10, 0.1)
    assert world.state(world.submit(12, 0.1)) is JobState.QUEUED
    assert world.state(world.submit(11, 0.1)) is JobState.QUEUED  # its room is set aside
    fresh = World(24 * GIB)
    fresh.start(10, 0.1)
    assert fresh.state(fresh.submit(11, 0.1)) is JobState.STARTING


def test_utilization_has_a_cap_too() -> None:
    world = World(24 * GIB)
    world.start(2, 0.6)
    job = world.submit(2, 0.4)
    assert reason(world, job) is ReasonCode.UTILIZATION
    assert world.state(world.submit(2, 0.3, priority=1)) is JobState.STARTING


def test_shares_that_sum_to_the_cap_fit_whatever_the_rounding() -> None:
    world = World(24 * GIB)
    for _ in range(3):
        world.start(1, 0.3)
    assert len(world.scheduler.state.charged()) == 3


def test_a_job_alone_on_an_idle_device_starts_whatever_the_caps() -> None:
    """23 of 24 GiB and 97 % are over both caps; on an idle device nothing else would ever help."""
    world = World(24 * GIB)
    job = world.start(23, 0.97)
    assert world.job(job).reservations[0].memory == 23 * GIB


def test_nothing_joins_a_job_that_is_alone_over_a_cap() -> None:
    world = World(24 * GIB)
    world.start(23, 0.1)
    assert world.state(world.submit(1, 0.1)) is JobState.QUEUED


def test_a_foreign_program_makes_nobody_alone() -> None:
    """Beside a program started by hand the caps hold: 20 + 4 GiB do not start at 0.9 of 24."""
    world = World(24 * GIB)
    world.external["GPU-0"] = (4 * GIB, 0.0)
    world.sample()
    job = world.submit(18, 0.1)
    assert reason(world, job) is ReasonCode.MEMORY
    assert world.state(world.submit(17, 0.1, priority=1)) is JobState.STARTING


def test_foreign_utilization_counts() -> None:
    world = World(24 * GIB)
    world.external["GPU-0"] = (1 * GIB, 0.7)
    world.sample()
    assert reason(world, world.submit(2, 0.3)) is ReasonCode.UTILIZATION


def test_unknown_need_reserves_all_that_is_left_and_says_so() -> None:
    world = World(24 * GIB)
    job = world.submit()
    grant = world.last(m.Grant, world.launcher(job))
    assert grant.basis == "unknown"
    assert grant.memory == int(0.9 * 24 * GIB)
    assert world.state(world.submit(1, 0.1)) is JobState.QUEUED


def test_unknown_need_waits_where_less_than_a_quarter_is_left() -> None:
    world = World(24 * GIB)
    world.start(16, 0.1)
    unknown = world.submit(None, 0.1)
    assert reason(world, unknown) is ReasonCode.MEMORY
    roomier = World(24 * GIB)
    roomier.start(12, 0.1)
    job = roomier.submit(None, 0.1)
    assert roomier.job(job).reservations[0].memory == int(0.9 * 24 * GIB) - int(12.5 * GIB)


def test_a_share_of_memory_is_taken_of_each_device() -> None:
    world = World(24 * GIB)
    job = world.submit(None, 0.1, memory_share=0.25)
    assert world.job(job).reservations[0].memory == 6 * GIB


def test_a_job_that_outgrows_its_reservation_is_charged_for_what_it_uses() -> None:
    world = World(24 * GIB)
    job = world.start(4, 0.1)
    sample = world._device(0, "GPU-0")
    grown = sample.processes[0]
    import msgspec

    process = msgspec.structs.replace(grown, memory=16 * GIB, assumed=False)
    device = msgspec.structs.replace(sample, free=8 * GIB, processes=(process,))
    from gpurun.coordinator.core.events import SampleEvent

    world.handle(SampleEvent(at=world.instant, taken=world.now, devices=(device,)))
    seen = world.stored[job].seen
    assert seen is not None
    assert seen.memory == 16 * GIB
    assert world.state(world.submit(1, 0.1)) is JobState.QUEUED


def test_a_stale_sample_admits_nothing() -> None:
    world = World(24 * GIB)
    world.now += 10
    job = world.submit(1, 0.1)
    assert reason(world, job) is ReasonCode.STALE
    world.sample()
    assert world.state(job) is JobState.STARTING


def test_unknown_memory_of_a_device_is_never_free() -> None:
    """A device that does not say what is free takes no work until it does."""
    import msgspec

    from gpurun.coordinator.core.events import SampleEvent

    world = World(24 * GIB)
    device = msgspec.structs.replace(world._device(0, "GPU-0"), free=None)
    world.handle(SampleEvent(at=world.instant, taken=world.now, devices=(device,)))
    assert reason(world, world.submit(1, 0.1)) is ReasonCode.UNHEALTHY


def test_own_jobs_of_unreadable_memory_count_as_their_reservation() -> None:
    """Without per-process memory the device is shared all the same, and nothing counts twice."""
    world = World(24 * GIB)
    world.hidden.add("GPU-0")
    world.start(10, 0.1)
    assert world.state(world.submit(10, 0.1)) is JobState.STARTING


def test_beside_a_foreigner_unreadable_memory_is_all_external() -> None:
    """10 own + 2 foreign: nothing is subtracted from the 12 used, so 10 + 12 + 1 is too much."""
    world = World(24 * GIB)
    world.hidden.add("GPU-0")
    world.external["GPU-0"] = (2 * GIB, 0.0)
    world.start(10, 0.1)
    assert world.state(world.submit(1, 0.1)) is JobState.QUEUED


def test_a_known_need_goes_where_it_leaves_the_smallest_hole() -> None:
    world = World(24 * GIB, 12 * GIB)
    assert world.last(m.Grant, world.launcher(world.submit(6, 0.1))).devices == ("GPU-1",)


def test_an_unknown_need_goes_where_most_is_left() -> None:
    world = World(12 * GIB, 24 * GIB)
    assert world.last(m.Grant, world.launcher(world.submit())).devices == ("GPU-1",)


def test_several_devices_come_together_or_not_at_all() -> None:
    world = World(24 * GIB, 24 * GIB)
    world.start(20, 0.1)
    job = world.submit(6, 0.1, gpus=2)
    assert reason(world, job) is ReasonCode.GPUS
    world.exit(1)
    assert world.last(m.Grant, world.launcher(job)).devices == ("GPU-0", "GPU-1")


def test_a_job_that_needs_no_device_starts_beside_anything() -> None:
    world = World(24 * GIB)
    world.start(23, 0.9)
    assert world.state(world.submit(gpus=0)) is JobState.STARTING


def test_the_callers_own_visible_devices_restrict_the_choice() -> None:
    world = World(24 * GIB, 24 * GIB)
    by_index = world.submit(6, 0.1, only=("1",))
    by_uuid = world.submit(6, 0.1, only=("GPU-0",))
    assert world.job(by_index).reservations[0].device == "GPU-1"
    assert world.job(by_uuid).reservations[0].device == "GPU-0"


def test_a_device_is_handed_over_whatever_the_window_says() -> None:
    """After a minute at 97 % the window must not hold up the next job once the last has ended."""
    world = World(24 * GIB)
    job = world.start(20, 0.9)
    for _ in range(60):
        world.external["GPU-0"] = (0, 0.97)  # the device reads 97 %, by our own job
        world.external.pop("GPU-0")
        world.scheduler.state.devices["GPU-0"]._window.append((world.now, 0.97))
        world.now += 1
    waiting = world.submit(20, 0.9)
    world.sample()
    world.now += 0.005
    world.exit(job)
    assert world.state(waiting) is JobState.STARTING


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"memory": 40}, "more than any device"),
        ({"gpus": 3}, "more than this machine has"),
        ({"only": ("7",)}, "CUDA_VISIBLE_DEVICES"),
        ({"priority": 900}, "priority"),
        ({"util": 1.5}, "share"),
    ],
)
def test_what_can_never_be_admitted_is_refused_at_once(spec: dict[str, object], words: str) -> None:
    world = World(24 * GIB, 24 * GIB)
    world.peers += 1
    from gpurun.protocol.job import JobSpec

    fields = {key: value for key, value in spec.items() if key not in ("memory", "util")}
    memory = spec.get("memory")
    whole = JobSpec(
        command=("x",),
        cwd="/",
        name="x",
        memory=memory * GIB if isinstance(memory, int) else None,
        utilization=spec.get("util"),  # type: ignore[arg-type]
        **fields,  # type: ignore[arg-type]
    )
    problem = world.command(m.Submit(uuid="u", spec=whole))
    assert isinstance(problem, m.Problem)
    assert words in problem.text
    assert problem.code == 2
    assert not world.scheduler.state.jobs


def test_a_machine_with_no_device_says_what_the_driver_said() -> None:
    from gpurun.coordinator.core.events import SampleEvent
    from gpurun.protocol.job import JobSpec

    world = World()
    problem = "no NVIDIA driver; try GPURUN_DEVICES=sim:24GiB"
    world.handle(SampleEvent(at=world.instant, taken=world.now, devices=(), problem=problem))
    answer = world.command(m.Submit(uuid="u", spec=JobSpec(command=("x",), cwd="/", name="x")))
    assert answer == m.Problem(text=problem, code=125)


def test_the_cap_is_the_configured_one() -> None:
    world = World(24 * GIB, settings=Settings(limits=Limits(memory=0.5, headroom=0)))
    world.start(6, 0.1)
    assert world.state(world.submit(7, 0.1)) is JobState.QUEUED
    assert world.state(world.submit(6, 0.1, priority=1)) is JobState.STARTING
