"""A pause at any step loses nothing, and one that cannot be carried out costs nothing."""

import os
import resource
from collections.abc import Callable
from typing import Any

import pytest

from gpurun import sdk
from gpurun.protocol import messages as m
from gpurun.sdk import checkpoint
from gpurun.sdk.link import Link
from tests.sdk.coordinator_double import JOB, TOKEN, Coordinator, wait_until
from tests.sdk.trainings import Tiny

STEPS = 9
Hook = Callable[[int], None]


@pytest.fixture(scope="module")
def expected() -> str:
    """The digest of the training that nobody interrupts."""
    return sdk.run(Tiny, steps=STEPS).digest


def asks_before(step: int, coordinator: Coordinator, links: list[Link], seconds: float = 60) -> Hook:
    """A hook that has the request for a pause arrive before this step, but for the first."""

    def hook(now: int) -> None:
        if now == step - 1:
            coordinator.pause(step + 1, seconds)
            wait_until(lambda: links[-1].request is not None, "the request")

    return hook


def go_on_when_durable(coordinator: Coordinator) -> None:
    coordinator.on(m.Durable, lambda heard: m.GoOn(job=JOB, request=heard.request))


@pytest.mark.parametrize(
    ("step", "workers"), [(step, 0) for step in range(1, STEPS)] + [(2, 2), (4, 2), (5, 2)]
)
def test_a_pause_at_any_step_loses_nothing(
    step: int,
    workers: int,
    expected: str,
    coordinator: Coordinator,
    links: list[Link],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The training that goes on, and the one that starts from the checkpoint, end the same."""
    go_on_when_durable(coordinator)
    config = {"workers": workers}
    undisturbed = expected if workers == 0 else sdk.run(Tiny, config, steps=STEPS).digest
    asks = asks_before(step, coordinator, links)
    assert sdk.run(Tiny, {**config, "before_step": asks}, steps=STEPS).digest == undisturbed
    durable = coordinator.wait_for(m.Durable)
    assert durable.step == step
    monkeypatch.setenv("GPURUN_RESUME", durable.checkpoint)
    result = sdk.run(Tiny, config, steps=STEPS)
    assert (result.digest, result.steps) == (undisturbed, STEPS)
    assert coordinator.wait_for(m.Resumed).step == step


def test_twice_in_one_epoch_and_before_the_first_step(
    expected: str, coordinator: Coordinator, links: list[Link], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second resume is exact too, also when no step lay between the two pauses."""
    go_on_when_durable(coordinator)
    really_open = Link.open

    def open_and_be_asked(link: Link) -> None:
        coordinator.on(m.Attach, lambda _: pause_request(len(links)))
        really_open(link)
        wait_until(lambda: link.request is not None, "the request")

    sdk.run(Tiny, {"before_step": asks_before(4, coordinator, links)}, steps=STEPS)
    with monkeypatch.context() as patched:
        patched.setattr(Link, "open", open_and_be_asked)
        for saved in (1, 2):
            patched.setenv("GPURUN_RESUME", coordinator.wait_for(m.Durable, saved).checkpoint)
            assert sdk.run(Tiny, steps=STEPS).digest == expected
    assert [durable.step for durable in coordinator.of(m.Durable)] == [4, 4, 4]
    monkeypatch.setenv("GPURUN_RESUME", coordinator.of(m.Durable)[-1].checkpoint)
    assert sdk.run(Tiny, steps=STEPS).digest == expected


def pause_request(number: int) -> m.PauseRequest:
    return m.PauseRequest(job=JOB, request=100 + number, deadline=float("inf"), how="exit")


def test_the_conversation(coordinator: Coordinator, links: list[Link]) -> None:
    """Hello, Attach, Capturing, Durable: in this order, with the attempt's token."""
    go_on_when_durable(coordinator)
    sdk.run(Tiny, {"before_step": asks_before(1, coordinator, links)}, steps=3)
    kinds = [type(message).__name__ for message in coordinator.heard]
    assert kinds == ["Hello", "Attach", "Capturing", "Durable"]
    attach, capturing, durable = coordinator.heard[1:]
    assert isinstance(attach, m.Attach)
    assert (attach.pausable, attach.resting, attach.token) == (("exit",), 0, TOKEN)
    assert isinstance(capturing, m.Capturing)
    assert isinstance(durable, m.Durable)
    assert capturing.request == durable.request == 2
    files = [f"{at}/{name}" for at, _, names in os.walk(durable.checkpoint) for name in names]
    assert durable.size == sum(os.path.getsize(file) for file in files)
    assert 0 < durable.seconds < 20


def test_after_the_deadline_it_trains_on_until_asked_anew(
    expected: str, coordinator: Coordinator, links: list[Link]
) -> None:
    """Overdue is said once; the same request with a later deadline is carried out."""
    go_on_when_durable(coordinator)
    late, anew = asks_before(3, coordinator, links, seconds=-1), asks_before(3, coordinator, links)

    def hook(now: int) -> None:
        late(now)
        if now == 5:
            coordinator.wait_for(m.Overdue)
            anew(2)

    assert sdk.run(Tiny, {"before_step": hook}, steps=STEPS).digest == expected
    assert [overdue.request for overdue in coordinator.of(m.Overdue)] == [4]
    assert [(d.request, d.step) for d in coordinator.of(m.Durable)] == [(4, 6)]


def test_a_request_withdrawn_before_the_safe_point_is_forgotten(
    expected: str, coordinator: Coordinator, links: list[Link]
) -> None:
    """GoOn clears the flag, and nothing is written."""
    asks = asks_before(3, coordinator, links)

    def hook(now: int) -> None:
        asks(now)
        if now == 2:
            coordinator.say(m.GoOn(job=JOB, request=4))
            wait_until(lambda: links[-1].request is None, "the withdrawal")

    assert sdk.run(Tiny, {"before_step": hook}, steps=STEPS).digest == expected
    assert not coordinator.of(m.Capturing)
    assert not os.path.exists(os.environ["GPURUN_CHECKPOINT_DIR"])


def test_a_request_withdrawn_during_the_save_is_not_rested_for(
    expected: str, coordinator: Coordinator, links: list[Link]
) -> None:
    """GoOn that arrives while the checkpoint is written is answered with Refused."""

    class Slow(Tiny):
        def save_checkpoint(self, checkpoint_dir: str) -> None:
            super().save_checkpoint(checkpoint_dir)
            coordinator.say(m.GoOn(job=JOB, request=4))
            wait_until(lambda: links[-1].withdrawn == 4, "the withdrawal")

    asks = asks_before(3, coordinator, links)
    assert sdk.run(Slow, {"before_step": asks}, steps=STEPS).digest == expected
    assert coordinator.wait_for(m.Refused).text == "withdrawn"
    assert not coordinator.of(m.Durable)


def test_asked_again_while_it_rests_it_answers_again(
    expected: str, coordinator: Coordinator, links: list[Link]
) -> None:
    """A lost Durable is said again, and a new request gets the checkpoint that is there."""
    answers = iter([4, 9])

    def react(_: m.Durable) -> m.Message:
        number = next(answers, 0)
        if number:
            return m.PauseRequest(job=JOB, request=number, deadline=0.0, how="exit")
        return m.GoOn(job=JOB, request=9)

    coordinator.on(m.Durable, react)
    asks = asks_before(3, coordinator, links)
    assert sdk.run(Tiny, {"before_step": asks}, steps=STEPS).digest == expected
    said = coordinator.of(m.Durable)
    assert [durable.request for durable in said] == [4, 4, 9]
    assert len({durable.checkpoint for durable in said}) == 1


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
        import torch

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


def test_too_little_room_is_refused_before_anything_is_written(
    expected: str,
    coordinator: Coordinator,
    links: list[Link],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The need is compared with what is free on the disk."""
    monkeypatch.setattr(checkpoint, "SPARE", 1 << 60)
    asks = asks_before(3, coordinator, links)
    assert sdk.run(Tiny, {"before_step": asks}, steps=STEPS).digest == expected
    assert "free some" in coordinator.wait_for(m.Refused).text


def test_what_not_saved_names_may_change(coordinator: Coordinator, links: list[Link]) -> None:
    """An attribute listed there does not stand in the way of a pause."""

    class Listed(Forgetful):
        not_saved = (*Forgetful.not_saved, "odd")

    go_on_when_durable(coordinator)
    sdk.run(Listed, {"before_step": asks_before(3, coordinator, links)}, steps=STEPS)
    assert coordinator.wait_for(m.Durable).step == 3
