"""What is remembered of a device between two looks."""

import pytest

from gpurun.coordinator.core.device import SETTLE, Device
from gpurun.coordinator.core.sample import DeviceSample, ProcessSample
from gpurun.protocol.quantity import GIB

WINDOW = 10.0


def process(
    job: int | None,
    memory: int | None = GIB,
    share: float | None = None,
    compute: bool = True,
) -> ProcessSample:
    return ProcessSample(
        pid=1, start_time=1, memory=memory, utilization=share, job=job, compute=compute
    )


def sample(share: float | None, *processes: ProcessSample, **changes: object) -> DeviceSample:
    fields = {"total": 24 * GIB, "free": 20 * GIB, **changes}
    return DeviceSample(
        index=0,
        uuid="GPU-0",
        name="Scripted",
        utilization=share,
        processes=processes,
        **fields,  # type: ignore[arg-type]
    )


def test_the_window_is_the_mean_of_the_looks_that_lie_in_it() -> None:
    """One that is exactly as old as the window still counts."""
    device = Device(sample(0.0), 100.0)
    assert device.window is None
    for taken, share in ((101.0, 0.9), (105.0, 0.2), (111.0, 0.4)):
        device.look(sample(share), taken, WINDOW)
    assert device.window == pytest.approx(0.5)
    device.look(sample(0.6), 111.5, WINDOW)
    assert device.window == pytest.approx(0.4)


def test_a_look_that_does_not_know_the_utilization_says_nothing() -> None:
    device = Device(sample(None), 100.0)
    device.look(sample(None), 101.0, WINDOW)
    assert device.window is None


def test_a_new_window_begins_once_the_driver_no_longer_speaks_of_the_time_before() -> None:
    device = Device(sample(0.9), 100.0)
    device.look(sample(0.9), 101.0, WINDOW)
    device.restart_window(101.5)
    assert device.window is None
    device.look(sample(0.9), 101.5 + SETTLE - 0.01, WINDOW)
    assert device.window is None
    device.look(sample(0.1), 101.5 + SETTLE, WINDOW)
    assert device.window == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("changes", "healthy"),
    [
        ({}, True),
        ({"health": "fell off the bus"}, False),
        ({"total": None}, False),
        ({"free": None}, False),
        ({"free": 0}, True),
    ],
)
def test_a_device_takes_work_when_it_answers_and_its_memory_is_known(
    changes: dict[str, object], healthy: bool
) -> None:
    assert Device(sample(0.0, **changes), 100.0).healthy is healthy


def test_what_only_draws_and_what_is_ours_is_no_foreign_program() -> None:
    assert not Device(sample(0.0, process(1), process(None, compute=False)), 1.0).foreign
    assert Device(sample(0.0, process(1), process(None)), 1.0).foreign


def test_what_a_job_uses_is_the_sum_of_its_processes_or_unknown() -> None:
    device = Device(sample(0.0, process(1), process(1), process(2, None), process(None)), 1.0)
    assert device.observed(1) == 2 * GIB
    assert device.observed(2) is None
    assert device.observed(3) == 0
    assert device.jobs() == {1, 2}


def test_the_foreign_share_is_what_the_driver_says_of_foreign_computations() -> None:
    device = Device(sample(0.9, process(None, share=0.3), process(None, share=0.2)), 1.0)
    assert device.foreign_share == pytest.approx(0.5)
    drawing = process(None, share=0.3, compute=False)
    device.look(sample(0.9, process(None, share=0.3), drawing, process(1, share=0.5)), 2.0, WINDOW)
    assert device.foreign_share == pytest.approx(0.3)
    device.look(sample(0.9, process(None, share=0.7), process(None, share=0.7)), 3.0, WINDOW)
    assert device.foreign_share == 1.0
    device.look(sample(0.9, process(1)), 4.0, WINDOW)
    assert device.foreign_share == 0.0


def test_a_share_that_the_driver_does_not_say_is_learned_while_none_of_ours_is_there() -> None:
    """Beside our own job the last one learned stays; it is not mistaken for ours."""
    foreign = process(None)
    device = Device(sample(0.4, foreign), 1.0)
    device.look(sample(0.4, foreign), 2.0, WINDOW)
    assert device.foreign_share == pytest.approx(0.4)
    device.look(sample(0.9, foreign, process(1)), 3.0, WINDOW)
    assert device.foreign_share == pytest.approx(0.4)
    device.restart_window(4.0)
    device.look(sample(0.9, foreign), 4.1, WINDOW)
    assert device.foreign_share == pytest.approx(0.4), "the driver still speaks of our job"
    device.look(sample(0.2, foreign), 4.0 + SETTLE, WINDOW)
    assert device.foreign_share == pytest.approx(0.2)
