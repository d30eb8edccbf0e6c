"""What is refused at once, and what is only just possible and waits."""

import msgspec
import pytest
from tests.coordinator.core.world import OTHER_USER, World

from gpurun.coordinator.core.request import obstacle_for_ever
from gpurun.coordinator.core.settings import Queueing, Settings
from gpurun.protocol import messages as m
from gpurun.protocol.job import JobSpec, JobState
from gpurun.protocol.quantity import GIB

PLAIN = JobSpec(command=("x",), cwd="/", name="x")


def problem(world: World, **spec: object) -> m.Problem | None:
    message = m.Submit(uuid="u", spec=msgspec.structs.replace(PLAIN, **spec))
    return obstacle_for_ever(world.scheduler.state, message)


@pytest.mark.parametrize(
    "spec",
    [
        {"priority": 100},
        {"priority": -100},
        {"gpus": 0},
        {"gpus": 2},
        {"memory": 1},
        {"memory": 24 * GIB},
        {"memory": 12 * GIB, "gpus": 2},
        {"utilization": 1.0},
        {"memory_share": 1.0},
        {"time": 0.0},
        {"only": ("GPU-1",)},
    ],
)
def test_the_utmost_is_possible(spec: dict[str, object]) -> None:
    assert problem(World(24 * GIB, 12 * GIB), **spec) is None


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"command": ()}, "no command"),
        ({"priority": 101}, "priority 101"),
        ({"priority": -101}, "priority -101"),
        ({"gpus": -1}, "--gpus -1"),
        ({"gpus": 1025}, "--gpus 1025 is not a number of devices"),
        ({"gpus": 3}, "--gpus 3 is more than this machine has (2)"),
        ({"memory": 0}, "--mem must be more than nothing"),
        ({"memory": 24 * GIB + 1}, "more than any device has (the largest: 24.0 GiB)"),
        ({"memory": 12 * GIB + 1, "gpus": 2}, "more than any device has"),
        ({"memory": 13 * GIB, "only": ("1",)}, "(the largest: 12.0 GiB)"),
        ({"utilization": 0.0}, "a share"),
        ({"memory_share": 1.01}, "a share"),
        ({"memory_share": float("nan")}, "a share"),
        ({"on": ("7",)}, "--gpu 7 is not a device of this machine; there are 0 (GPU-0), 1 (GPU-1)"),
        ({"on": ("1",), "gpus": 2}, "--gpu 1 leaves 1 of this machine's devices and 2 are asked"),
        ({"only": ()}, "CUDA_VISIBLE_DEVICES= leaves 0"),
        ({"only": ("1",), "gpus": 2}, "CUDA_VISIBLE_DEVICES=1 leaves 1 of this machine's devices"),
    ],
)
def test_a_step_beyond_is_refused_as_wrong_usage(spec: dict[str, object], words: str) -> None:
    found = problem(World(24 * GIB, 12 * GIB), **spec)
    assert found is not None
    assert words in found.text
    assert found.code == 2


def test_without_a_device_only_who_needs_none_is_taken() -> None:
    world = World()
    assert problem(world) == m.Problem(text="this machine has no GPU", code=125)
    assert problem(world, gpus=0) is None


def test_memory_of_unknown_size_may_be_enough() -> None:
    """A device that does not answer now is no reason to refuse for ever."""
    world = World(24 * GIB)
    device = world.scheduler.state.devices["GPU-0"]
    device.sample = msgspec.structs.replace(device.sample, total=None)
    assert problem(world, memory=60 * GIB) is None
    assert world.state(world.submit(60, 0.1)) is JobState.QUEUED


def test_a_user_has_no_more_jobs_than_the_configuration_says() -> None:
    """Those that have ended do not count, nor do those of others."""
    world = World(24 * GIB, settings=Settings(queue=Queueing(max_jobs_per_user=2)))
    first = world.start(2, 0.1)
    world.submit(2, 0.1)
    refused = world.command(m.Submit(uuid="third", spec=JobSpec(command=("x",), cwd="/", name="x")))
    assert isinstance(refused, m.Problem)
    assert refused.code == 75
    assert "you have 2 jobs already, which is [queue] max_jobs_per_user" in refused.text
    assert world.submit(2, 0.1, uid=OTHER_USER)
    world.exit(first)
    assert world.submit(2, 0.1)
