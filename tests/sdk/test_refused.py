"""A save that fails, in whatever way, costs the training nothing."""

import os
import resource
from typing import Any

import pytest
import torch
from tests.sdk.asking import asks_before, go_on_when_durable
from tests.sdk.coordinator_double import Coordinator
from tests.sdk.saved import save
from tests.sdk.trainings import Tiny

from gpurun import sdk
from gpurun.protocol import messages as m
from gpurun.sdk import checkpoint, state
from gpurun.sdk.errors import UnsavedError
from gpurun.sdk.link import Link

STEPS = 9


class Odd:
    """Neither data nor anything with a state_dict."""

    def __init__(self) -> None:
        self.count = 0


class Forgetful(Tiny):
    def setup(self, config: dict[str, Any]) -> None:
        super().setup(config)
        self.odd = Odd()
        self.constant = Odd()

    def step(self) -> dict[str, Any]:
        self.odd.count += 1
        return super().step()


class Broken(Tiny):
    def save_checkpoint(self, checkpoint_dir: str) -> None:
        super().save_checkpoint(checkpoint_dir)
        torch.rand(3)  # a save that draws numbers and then fails must not shift the training's
        raise RuntimeError("no,\nnot now")


class FullDisk(Tiny):
    def save_checkpoint(self, checkpoint_dir: str) -> None:
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, limits[1]))
        try:
            super().save_checkpoint(checkpoint_dir)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)


class Interrupted(Tiny):
    def save_checkpoint(self, _checkpoint_dir: str) -> None:
        raise KeyboardInterrupt


class Cyclic(Tiny):
    def setup(self, config: dict[str, Any]) -> None:
        super().setup(config)
        self.tree: dict[str, Any] = {"name": "root"}
        self.tree["child"] = {"parent": self.tree}
        self.ring: list[Any] = [1]
        self.ring.append(self.ring)


class Closed:
    """Answers no question about itself."""

    def __getattr__(self, name: str) -> object:
        raise RuntimeError(f"no {name} yet")


class Secretive(Tiny):
    def setup(self, config: dict[str, Any]) -> None:
        super().setup(config)
        self.closed = Closed()


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (Forgetful, "odd is a Odd that may have changed since setup"),
        (Broken, "no, not now"),
        (FullDisk, "is the disk full"),
    ],
)
def test_a_save_that_fails_costs_nothing(
    kind: type[Tiny],
    words: str,
    coordinator: Coordinator,
    links: list[Link],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Refused says why each time, stderr once; nothing is left, and the training is the same."""
    first, second = (asks_before(step, coordinator, links) for step in (3, 6))

    def hook(now: int) -> None:
        first(now)
        second(now)

    undisturbed = sdk.run(kind, steps=STEPS).digest
    assert sdk.run(kind, {"before_step": hook}, steps=STEPS).digest == undisturbed
    assert words in coordinator.wait_for(m.Refused, 2).text
    assert not coordinator.of(m.Durable)
    assert os.listdir(os.environ["GPURUN_CHECKPOINT_DIR"]) == []
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("gpurun: cannot pause: ")
    assert words in lines[0]


def test_pitfall_13_too_little_room_is_refused_before_anything_is_written(
    coordinator: Coordinator, links: list[Link], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The need is compared with what is free on the disk."""
    monkeypatch.setattr(checkpoint, "SPARE", 1 << 60)
    undisturbed = sdk.run(Tiny, steps=STEPS).digest
    asks = asks_before(3, coordinator, links)
    assert sdk.run(Tiny, {"before_step": asks}, steps=STEPS).digest == undisturbed
    assert "free some" in coordinator.wait_for(m.Refused).text


def test_what_not_saved_names_may_change(coordinator: Coordinator, links: list[Link]) -> None:
    """An attribute listed there does not stand in the way of a pause."""

    class Listed(Forgetful):
        not_saved = (*Forgetful.not_saved, "odd")

    go_on_when_durable(coordinator)
    sdk.run(Listed, {"before_step": asks_before(3, coordinator, links)}, steps=STEPS)
    assert coordinator.wait_for(m.Durable).step == 3


def test_what_contains_itself_is_named_and_trains(
    coordinator: Coordinator, links: list[Link], capsys: pytest.CaptureFixture[str]
) -> None:
    """A cycle is no endless walk: the pause is refused with the attribute's name."""
    asks = asks_before(3, coordinator, links)
    result = sdk.run(Cyclic, {"before_step": asks}, steps=STEPS)
    assert result.trainable.losses == sdk.run(Tiny, steps=STEPS).trainable.losses
    words = "tree['child']['parent'] is a dict that contains itself"
    assert words in coordinator.wait_for(m.Refused).text
    assert words in capsys.readouterr().err


def test_a_ring_of_lists_is_named(folder: str) -> None:
    """Sequences are walked as mappings are."""
    trainable = Cyclic()
    trainable.setup({})
    del trainable.tree
    state.remember(trainable)
    with pytest.raises(UnsavedError, match=r"ring\[1\] is a list that contains itself"):
        save(trainable, folder, 1)


def test_attributes_that_cannot_be_read_only_forbid_the_pause(
    coordinator: Coordinator, capsys: pytest.CaptureFixture[str]
) -> None:
    """Preparing for a pause never ends a training: one line, and Attach offers no exit."""

    def hook(_: int) -> None:
        coordinator.wait_for(m.Attach)

    result = sdk.run(Secretive, {"before_step": hook}, steps=STEPS)
    assert result.trainable.losses == sdk.run(Tiny, steps=STEPS).trainable.losses
    assert coordinator.wait_for(m.Attach).pausable == ("stand",)
    assert capsys.readouterr().err.splitlines() == [
        "gpurun: this training can stand still, but neither park nor exit: "
        "its attributes cannot be read (RuntimeError: no state_dict yet)"
    ]


def test_an_interrupt_during_the_save_is_answered_and_goes_on_up(
    coordinator: Coordinator, links: list[Link]
) -> None:
    """Ctrl-C ends the training as ever, and the request is not left without an answer."""
    asks = asks_before(3, coordinator, links)
    with pytest.raises(KeyboardInterrupt):
        sdk.run(Interrupted, {"before_step": asks}, steps=STEPS)
    coordinator.wait_for(m.Detach)
    assert [refused.text for refused in coordinator.of(m.Refused)] == ["KeyboardInterrupt"]
