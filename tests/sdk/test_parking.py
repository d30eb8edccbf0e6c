"""Parking: the state goes to host memory and comes back in place; the checkpoint follows.

The CPU stands for the device: its storages are really emptied.
"""

import os
import signal
import threading
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.sdk.asking import asks_before
from tests.sdk.coordinator_double import JOB, Coordinator, mortal_process, replaced_at, wait_until
from tests.sdk.saved import load
from tests.sdk.trainings import Tiny

from gpurun import sdk
from gpurun.protocol import messages as m
from gpurun.sdk import checkpoint, device_memory, park, resting
from gpurun.sdk.errors import NoRoomError
from gpurun.sdk.link import Link
from gpurun.sdk.parking import Parking
from gpurun.sdk.saver import Saver

STEPS = 9


pytestmark = pytest.mark.usefixtures("releases")


@pytest.fixture(scope="module")
def expected() -> str:
    """The digest of the training that nobody interrupts."""
    return sdk.run(Tiny, steps=STEPS).digest


@pytest.mark.parametrize("step", range(1, STEPS))
def test_it_goes_on_as_if_nothing_had_been(
    step: int, expected: str, coordinator: Coordinator, links: list[Link]
) -> None:
    """It says Released, then Durable, and that it goes on, in the same process."""

    def go_on(heard: m.Durable) -> m.Message:
        return m.GoOn(job=JOB, request=heard.request)

    coordinator.on(m.Durable, go_on)
    hook = asks_before(step, coordinator, links, how="park")
    assert sdk.run(Tiny, {"before_step": hook}, steps=STEPS).digest == expected
    coordinator.wait_for(m.Detach)
    kinds = {type(message) for message in coordinator.talk}
    assert kinds == {
        m.Hello, m.Attach, m.Capturing, m.Released, m.Durable, m.Resumed, m.Detach
    }  # fmt: skip
    (released,) = coordinator.of(m.Released)
    assert (released.step, released.kept) == (step, 5)
    assert checkpoint.newest_complete(coordinator.of(m.Durable)[0].checkpoint)


def test_the_checkpoint_is_that_of_the_moment(
    expected: str, coordinator: Coordinator, links: list[Link], under_gpurun: dict[str, str]
) -> None:
    """What the training does after it has gone on is not in it."""
    coordinator.on(m.Released, lambda heard: m.GoOn(job=JOB, request=heard.request))
    hook = asks_before(4, coordinator, links, how="park")
    sdk.run(Tiny, {"before_step": hook}, steps=STEPS)
    durable = coordinator.wait_for(m.Durable)
    again = Tiny()
    again.setup({})
    assert load(again, durable.checkpoint) == durable.step == 4
    for _ in range(durable.step, STEPS):
        again.step()
    assert sdk.digest(again) == expected


def test_its_memory_is_given_back_while_it_waits(
    coordinator: Coordinator, links: list[Link], releases: list[int]
) -> None:
    """Parameters, gradients and the optimizer's state."""
    seen: list[Any] = []
    trained: list[Tiny] = []

    class Watched(Tiny):
        def setup(self, config: dict[str, Any]) -> None:
            super().setup(config)
            trained.append(self)

        not_saved = ("before_step",)

    def look(heard: m.Released) -> m.Message:
        held = [*trained[0].model.parameters()]
        moments = [state["exp_avg"] for state in trained[0].optimizer.state.values()]
        gradients = [parameter.grad for parameter in held if parameter.grad is not None]
        assert len(gradients) == len(held)
        tensors = (*held, *gradients, *moments)
        seen.append({len(tensor.untyped_storage()) for tensor in tensors})
        return m.GoOn(job=JOB, request=heard.request)

    coordinator.on(m.Released, look)
    hook = asks_before(4, coordinator, links, how="park")
    sdk.run(Watched, {"before_step": hook}, steps=STEPS)
    assert seen == [{0}]
    assert releases


def test_where_memory_is_short_on_return_it_waits_and_changes_nothing(
    expected: str,
    coordinator: Coordinator,
    links: list[Link],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Another program may hold the memory still that was granted."""
    fill, failures = Parking.fill, [1, 1]

    def short(parking: Parking) -> None:
        if failures.pop() if failures else 0:
            raise torch.OutOfMemoryError("out of memory")
        fill(parking)

    monkeypatch.setattr(park, "RETRY", 0.01)
    monkeypatch.setattr(Parking, "fill", short)
    coordinator.on(m.Released, lambda heard: m.GoOn(job=JOB, request=heard.request))
    hook = asks_before(3, coordinator, links, how="park")
    assert sdk.run(Tiny, {"before_step": hook}, steps=STEPS).digest == expected
    assert failures == []
    assert "parked, and waiting for its memory: out of memory" in capsys.readouterr().err


def test_without_host_memory_it_is_refused_and_trains_on(
    expected: str,
    coordinator: Coordinator,
    links: list[Link],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(device_memory, "host_free", lambda: 1)
    hook = asks_before(3, coordinator, links, how="park")
    assert sdk.run(Tiny, {"before_step": hook}, steps=STEPS).digest == expected
    assert "bytes of host memory and 1 are free" in coordinator.wait_for(m.Refused).text
    assert coordinator.of(m.Released) == []


def test_a_disk_that_takes_nothing_leaves_it_parked(
    expected: str,
    coordinator: Coordinator,
    links: list[Link],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The state is in memory; it is not called durable."""

    def full(*_: object) -> None:
        raise NoRoomError("the disk is full")

    monkeypatch.setattr(checkpoint, "require_room", full)
    done: list[int] = []

    def go_on(heard: m.Released) -> m.Message:
        wait_until(lambda: "could not be written" in "".join(said), "the word of it")
        done.append(1)
        return m.GoOn(job=JOB, request=heard.request)

    said: list[str] = []
    monkeypatch.setattr("gpurun.sdk.park.say", said.append)
    coordinator.on(m.Released, go_on)
    hook = asks_before(3, coordinator, links, how="park")
    assert sdk.run(Tiny, {"before_step": hook}, steps=STEPS).digest == expected
    assert said == ["parked in memory, but its checkpoint could not be written: the disk is full"]
    assert (coordinator.of(m.Durable), done) == ([], [1])
    assert [message.text for message in coordinator.of(m.Unsaved)] == ["the disk is full"]


class Draws:
    """Its state_dict draws a number, as that of a loader does which makes an iterator for it."""

    def state_dict(self) -> dict[str, Any]:
        return {"drawn": torch.rand(1)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Nothing of it counts."""


class Drawing(Tiny):
    """A training whose own numbers come from the same generator."""

    not_saved = ("before_step",)

    def setup(self, config: dict[str, Any]) -> None:
        super().setup(config)
        self.draws = Draws()

    def step(self) -> dict[str, Any]:
        self.drawn = torch.rand(1).item()
        return super().step()


class Heads(Tiny):
    """Two heads that take turns; gradients are zeroed, not dropped, at the start of a step."""

    not_saved = ("before_step",)

    def setup(self, config: dict[str, Any]) -> None:
        super().setup(config)
        self.heads = torch.nn.ModuleList([torch.nn.Linear(3, 1), torch.nn.Linear(3, 1)])
        self.own = torch.optim.Adam(self.heads.parameters(), lr=0.1)

    def step(self) -> dict[str, Any]:
        self.own.zero_grad(set_to_none=False)
        self.heads[len(self.losses) // 3 % 2](torch.ones(3)).sum().backward()
        self.own.step()
        return super().step()


@pytest.mark.parametrize("training", [Drawing, Heads])
def test_random_numbers_and_gradients_are_as_they_were(
    training: type[Tiny], coordinator: Coordinator, links: list[Link]
) -> None:
    alone = sdk.run(training, steps=STEPS)
    coordinator.on(m.Durable, lambda heard: m.GoOn(job=JOB, request=heard.request))
    hook = asks_before(4, coordinator, links, how="park")
    parked = sdk.run(training, {"before_step": hook}, steps=STEPS)
    assert coordinator.of(m.Released)
    assert states_of(parked.trainable) == states_of(alone.trainable)


def states_of(trainable: Tiny) -> list[Any]:
    """What the two must have in common."""
    heads = getattr(trainable, "heads", torch.nn.Module())
    return [
        trainable.losses,
        getattr(trainable, "drawn", 0),
        *(parameter.tolist() for parameter in heads.parameters()),
    ]


def test_a_script_that_is_interrupted_has_its_state_back(
    coordinator: Coordinator, links: list[Link]
) -> None:
    """What it does on Ctrl-C may read it, such as to save it."""
    seen: list[int] = []

    class Saves(Tiny):
        not_saved = ("before_step",)

        def cleanup(self) -> None:
            seen.extend(len(one.untyped_storage()) for one in self.model.parameters())

    coordinator.on(m.Released, lambda _: os.kill(os.getpid(), signal.SIGINT))
    hook = asks_before(4, coordinator, links, how="park")
    with pytest.raises(KeyboardInterrupt):
        sdk.run(Saves, {"before_step": hook}, steps=STEPS)
    assert seen
    assert min(seen) > 0


def test_an_error_that_is_not_for_lack_of_memory_ends_the_training(
    coordinator: Coordinator, links: list[Link], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would come again for ever."""

    def broken(_: Parking) -> None:
        raise RuntimeError("CUDA error: unspecified launch failure")

    monkeypatch.setattr(Parking, "fill", broken)
    coordinator.on(m.Released, lambda heard: m.GoOn(job=JOB, request=heard.request))
    hook = asks_before(4, coordinator, links, how="park")
    with pytest.raises(RuntimeError, match="launch failure"):
        sdk.run(Tiny, {"before_step": hook}, steps=STEPS)


def test_beside_a_dead_coordinator_it_waits_for_the_next(
    expected: str,
    under_gpurun: dict[str, str],
    links: list[Link],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What it gave back may be somebody else's by now."""
    said: list[str] = []
    monkeypatch.setattr(resting, "GRACE", 0.05)
    monkeypatch.setattr(resting, "say", said.append)
    with mortal_process() as process:
        first = Coordinator(under_gpurun["GPURUN_SOCKET"], process.pid)

        def die(_: m.Durable) -> None:
            first.stop()
            process.kill()

        def another() -> None:
            wait_until(lambda: bool(said), "the word that it waits")
            with Coordinator(under_gpurun["GPURUN_SOCKET"]) as second:
                second.on(m.Attach, lambda heard: m.GoOn(job=JOB, request=heard.parked))
                wait_until(lambda: bool(second.of(m.Detach)), "the end")

        first.on(m.Durable, die)
        hook = asks_before(3, first, links, how="park")
        helper = threading.Thread(target=another)
        helper.start()
        with first:
            assert sdk.run(Tiny, {"before_step": hook}, steps=STEPS).digest == expected
        helper.join()
    assert set(said) == {
        "parked, and there is no coordinator to let it go on; any gpurun starts one"
    }


def test_a_checkpoint_of_an_earlier_pause_is_not_taken_for_this_ones(
    coordinator: Coordinator, links: list[Link], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first comes on disk after the training has gone on."""
    write, gate, seen = checkpoint.write, threading.Event(), []

    def slow(*arguments: Any) -> checkpoint.Written:
        assert gate.wait(20)
        return write(*arguments)

    def released(heard: m.Released) -> m.Message:
        seen.append(links[-1].saved)
        gate.set() if len(seen) == 2 else None
        return m.GoOn(job=JOB, request=heard.request)

    monkeypatch.setattr(checkpoint, "write", slow)
    coordinator.on(m.Released, released)
    asks = [asks_before(step, coordinator, links, how="park") for step in (3, 6)]

    def hook(now: int) -> None:
        for ask in asks:
            ask(now)
        if now == 4:
            gate.set()
            wait_until(lambda: bool(links[-1].saved), "the first checkpoint")
            gate.clear()

    sdk.run(Tiny, {"before_step": hook}, steps=STEPS)
    assert seen == ["", ""]


class Own(Tiny):
    """Writes a file of its own, from what is on the device."""

    not_saved = ("before_step",)

    def setup(self, config: dict[str, Any]) -> None:
        super().setup(config)
        self.odd: list[object] = []

    def step(self) -> dict[str, Any]:
        self.odd.append(object())  # the default could not save that
        return super().step()

    def save_checkpoint(self, checkpoint_dir: str, /) -> dict[str, Any] | None:
        torch.save(self.model.state_dict(), Path(checkpoint_dir) / "own.pt")
        return None

    def load_checkpoint(self, checkpoint: Any, /) -> None:
        """It is never loaded here."""


def test_a_script_that_writes_its_own_files_does_so_first(
    coordinator: Coordinator, links: list[Link]
) -> None:
    """They read the device, so that the checkpoint comes before the release."""
    coordinator.on(m.Released, lambda heard: m.GoOn(job=JOB, request=heard.request))
    hook = asks_before(3, coordinator, links, how="park")
    sdk.run(Own, {"before_step": hook}, steps=STEPS)
    kinds = [type(message) for message in coordinator.heard]
    assert kinds.index(m.Durable) < kinds.index(m.Released)
    durable = coordinator.of(m.Durable)[0]
    weights = torch.load(f"{durable.checkpoint}/rank-0/state/own.pt", weights_only=True)
    assert all(len(tensor.untyped_storage()) for tensor in weights.values())


def test_a_coordinator_that_returns_is_told_that_it_is_parked(
    expected: str, under_gpurun: dict[str, str], links: list[Link]
) -> None:
    """And where its checkpoint is; its word lets it go on."""
    with replaced_at(m.Durable, under_gpurun["GPURUN_SOCKET"], "parked") as double:
        hook = asks_before(3, double, links, how="park")
        assert sdk.run(Tiny, {"before_step": hook}, steps=STEPS).digest == expected
        attach = double.of(m.Attach)[-1]
        assert (attach.parked, attach.kept) == (4, 5)
        assert attach.checkpoint == double.of(m.Durable)[0].checkpoint


@pytest.mark.parametrize("fault", ["release", "saver", "interrupted", "meanwhile"])
def test_whatever_fails_while_it_parks_leaves_it_whole(
    fault: str,
    expected: str,
    coordinator: Coordinator,
    links: list[Link],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It trains on, or ends with all its state in place."""
    error = KeyboardInterrupt() if fault in ("interrupted", "meanwhile") else RuntimeError("no")

    def fails(*_: object) -> None:
        raise error

    where: dict[str, tuple[Any, str]] = {
        "release": (device_memory, "release"),
        "saver": (Saver, "start"),
        "interrupted": (device_memory, "release"),
        "meanwhile": (park, "_save_meanwhile"),
    }
    monkeypatch.setattr(*where[fault], fails)
    sizes: list[int] = []

    class Watched(Tiny):
        not_saved = ("before_step",)

        def cleanup(self) -> None:
            sizes.extend(len(one.untyped_storage()) for one in self.model.parameters())

    coordinator.on(m.Released, lambda heard: m.GoOn(job=JOB, request=heard.request))
    hook = asks_before(4, coordinator, links, how="park")
    if isinstance(error, KeyboardInterrupt):
        with pytest.raises(KeyboardInterrupt):
            sdk.run(Watched, {"before_step": hook}, steps=STEPS)
    else:
        losses = sdk.run(Watched, {"before_step": hook}, steps=STEPS).trainable.losses
        assert losses == sdk.run(Tiny, steps=STEPS).trainable.losses
        coordinator.wait_for(m.Unsaved if fault == "saver" else m.Refused)
    assert sizes
    assert min(sizes) > 0
