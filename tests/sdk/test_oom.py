"""A training that ends for lack of memory says so; any other error is none of gpurun's business."""

import time
from typing import Any

import pytest
import torch
from tests.sdk.coordinator_double import ATTEMPT, JOB, TOKEN, Coordinator
from tests.sdk.trainings import Tiny

from gpurun import sdk
from gpurun.protocol import messages as m
from gpurun.sdk import link

WORDS = "CUDA out of memory. Tried to allocate 2.50 GiB. GPU 0 has a total capacity of 23.69 GiB"


def attached(coordinator: Coordinator, error: Exception) -> dict[str, Any]:
    """The configuration of a training that fails once it is known to the coordinator."""
    return {"error": error, "before_step": lambda _step: coordinator.wait_for(m.Attach)}


class Failing(Tiny):
    """Fails at its third step with the error that it was given."""

    not_saved = ("before_step", "error")

    def setup(self, config: dict[str, Any]) -> None:
        super().setup(config)
        self.error: Exception = config["error"]

    def step(self) -> dict[str, Any]:
        if len(self.losses) == 2:
            raise self.error
        return super().step()


@pytest.mark.parametrize(
    ("words", "needed"), [(WORDS, int(2.5 * 1024**3)), ("CUDA error: out of memory", 0)]
)
def test_running_out_of_memory_is_told_before_the_training_ends(
    coordinator: Coordinator, words: str, needed: int
) -> None:
    error = torch.OutOfMemoryError(words)
    with pytest.raises(torch.OutOfMemoryError) as raised:
        sdk.run(Failing, attached(coordinator, error), steps=9)
    assert raised.value is error
    told = coordinator.wait_for(m.OutOfMemory)
    assert (told.job, told.attempt, told.token, told.needed) == (JOB, ATTEMPT, TOKEN, needed)
    coordinator.wait_for(m.Detach)
    kinds = [type(message) for message in coordinator.heard]
    assert kinds.index(m.OutOfMemory) < kinds.index(m.Detach)


def test_any_other_error_is_not_told(coordinator: Coordinator) -> None:
    error = RuntimeError("a shape does not fit")
    with pytest.raises(RuntimeError, match="a shape"):
        sdk.run(Failing, attached(coordinator, error), steps=9)
    coordinator.wait_for(m.Detach)
    assert not coordinator.of(m.OutOfMemory)


def test_outside_of_gpurun_the_error_is_all_there_is() -> None:
    with pytest.raises(torch.OutOfMemoryError):
        sdk.run(Failing, {"error": torch.OutOfMemoryError(WORDS)}, steps=9)


def test_an_error_in_the_first_step_is_told_too(coordinator: Coordinator) -> None:
    """Before anybody has answered, and though the training ends at once."""
    error = torch.OutOfMemoryError(WORDS)

    class AtOnce(Tiny):
        def step(self) -> dict[str, Any]:
            raise error

    with pytest.raises(torch.OutOfMemoryError):
        sdk.run(AtOnce, steps=9)
    assert coordinator.wait_for(m.OutOfMemory).needed == int(2.5 * 1024**3)


@pytest.mark.parametrize(
    ("error", "told"), [(torch.OutOfMemoryError(WORDS), True), (RuntimeError("other"), False)]
)
def test_running_out_of_memory_in_setup_is_told(
    coordinator: Coordinator, error: Exception, told: bool
) -> None:
    """That is where a model goes to its device. Any other error makes no link."""

    class TooLarge(Tiny):
        def setup(self, config: dict[str, Any]) -> None:
            raise error

    with pytest.raises(type(error)):
        sdk.run(TooLarge, steps=9)
    if told:
        assert coordinator.wait_for(m.OutOfMemory).needed == int(2.5 * 1024**3)
        assert coordinator.wait_for(m.Attach).pausable == ()
    assert bool(coordinator.heard) is told


def test_without_a_coordinator_an_end_is_not_held_up(under_gpurun: dict[str, str]) -> None:
    """It waits for as long as a farewell may take, at most."""
    assert under_gpurun
    began = time.monotonic()
    with pytest.raises(torch.OutOfMemoryError):
        sdk.run(Failing, {"error": torch.OutOfMemoryError(WORDS)}, steps=9)
    assert time.monotonic() - began < link.FAREWELL + 1.0
