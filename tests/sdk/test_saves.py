"""Checkpoints without a pause, what is kept of them, and what a later training finds."""

import os
import tempfile
import time
import weakref
from typing import Any

import pytest
import torch
from tests.sdk.asking import asks_before, go_on_when_durable
from tests.sdk.coordinator_double import Coordinator
from tests.sdk.trainings import Tiny

from gpurun import sdk
from gpurun.protocol import messages as m
from gpurun.sdk import checkpoint, saving, snapshot
from gpurun.sdk.checkpoint import Label
from gpurun.sdk.link import Link
from gpurun.sdk.moment import Moment
from gpurun.sdk.saves import Saves
from gpurun.sdk.state import Attributes, remember
from gpurun.sdk.tensors import on_host

STEPS = 9


class Dipping(Tiny):
    """Its loss is smallest in the fifth step."""

    def step(self) -> dict[str, Any]:
        super().step()
        return {"loss": abs(len(self.losses) - 5)}


@pytest.fixture(scope="module")
def expected() -> str:
    """The digest of the training that nobody interrupts."""
    return sdk.run(Tiny, steps=STEPS).digest


def test_a_training_that_crashes_goes_on_from_its_last_save(
    expected: str, coordinator: Coordinator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The coordinator is told of each; the copy is of its step, whatever was trained meanwhile."""

    def crash(step: int) -> None:
        if step == 8:
            coordinator.wait_for(m.Saved, 2)
            raise RuntimeError("crash")

    with pytest.raises(RuntimeError, match="crash"):
        sdk.run(Tiny, {"before_step": crash}, steps=STEPS, save_every=3)
    told = coordinator.of(m.Saved)
    assert [saved.step for saved in told] == [3, 6]
    for saved in told:
        monkeypatch.setenv("GPURUN_RESUME", saved.checkpoint)
        assert sdk.run(Tiny, steps=STEPS).digest == expected


@pytest.mark.parametrize("outside", [False, True])
def test_the_newest_and_the_best_stay(
    outside: bool,
    under_gpurun: dict[str, str],
    coordinator: Coordinator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The best can be had back at the end, outside gpurun too."""
    if outside:
        monkeypatch.delenv("GPURUN_JOB")
    result = sdk.run(Dipping, steps=STEPS, save_every=1, keep=1, best="loss")
    assert len(result.trainable.losses) == STEPS
    assert result.restore_best() == 5
    assert len(result.trainable.losses) == 5
    if not outside:
        kept = sorted(os.listdir(under_gpurun["GPURUN_CHECKPOINT_DIR"]))
        assert [name.partition("-step-")[2] for name in kept if "-step-" in name] == ["5", "8"]


def test_a_loss_that_is_nan_is_not_the_best(under_gpurun: dict[str, str]) -> None:
    """Nothing compares with it, so that it would stay for ever."""
    saves = Saves(1, best="loss")
    assert saves.metric({"loss": float("nan")}) is None
    assert saves.metric({"loss": torch.tensor(0.5)}) == 0.5
    assert saves.metric({}) is None


def test_a_copy_is_of_one_moment_and_holds_nothing_of_the_training() -> None:
    """It is written later, when other metrics are the last and other tensors are there."""
    trainable = Tiny()
    trainable.setup({})
    remember(trainable)
    trainable.scratch = torch.zeros(3)  # type: ignore[attr-defined]
    subject = Attributes(trainable)
    subject.last = {"loss": 1.0}
    write = snapshot.captured(subject, Moment(1), on_host)
    subject.last["loss"] = 2.0
    replaced = weakref.ref(trainable.scratch)  # type: ignore[attr-defined]
    del trainable.scratch  # type: ignore[attr-defined]
    assert replaced() is None, "memory of the device is held until the disk has it"
    with tempfile.TemporaryDirectory() as folder:
        write(folder)
        run = torch.load(f"{folder}/rank-0/run.pt", weights_only=True)
    assert run["last"] == {"loss": 1.0}


def test_without_a_metric_there_is_no_best() -> None:
    """And nothing is changed."""
    result = sdk.run(Tiny, steps=2)
    digest = result.digest
    assert result.restore_best() is None
    assert result.digest == digest


def test_a_save_that_fails_costs_the_training_nothing(
    expected: str,
    coordinator: Coordinator,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It says so once, and trains on."""

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "require_room", full)
    assert sdk.run(Tiny, steps=STEPS, save_every=2).digest == expected
    (line,) = capsys.readouterr().err.splitlines()
    assert "No space left on device" in line
    assert "the training goes on" in line
    assert coordinator.of(m.Saved) == []


def test_it_is_due_by_steps_or_by_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted from the last one."""
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    by_time, by_steps = Saves("10min"), Saves(5)
    assert not by_time.due(0)
    now[0] += 600
    assert by_time.due(0)
    by_time.begin(0)
    assert not by_time.due(10**9)
    by_steps.begin(7)
    assert [by_steps.due(step) for step in (11, 12, 13)] == [False, True, True]
    assert not Saves().due(10**9)


@pytest.mark.parametrize(("every", "mode"), [(0, "min"), ("often", "min"), (5, "least")])
def test_what_cannot_be_meant_is_a_value_error(every: Any, mode: str) -> None:
    """Before the training begins."""
    with pytest.raises(ValueError, match=r"save_every|duration|mode"):
        Saves(every, mode=mode)


def test_a_training_that_was_over_before_the_pause_is_not_repeated(
    coordinator: Coordinator,
    links: list[Link],
    under_gpurun: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """k-fold: the first fold is at its end at once, with the result that it had."""
    go_on_when_durable(coordinator)
    monkeypatch.setattr(saving, "SHARE", 1e9)  # it trains for milliseconds
    first = sdk.run(Tiny, {"workers": 0}, steps=STEPS)
    second = sdk.run(Tiny, {"before_step": asks_before(4, coordinator, links)}, steps=STEPS)
    monkeypatch.setenv("GPURUN_RESUME", coordinator.wait_for(m.Durable).checkpoint)
    trained: list[int] = []
    again = [sdk.run(Tiny, {"before_step": trained.append}, steps=STEPS) for _ in range(2)]
    assert trained == list(range(4, STEPS))
    assert [run.digest for run in again] == [first.digest, second.digest]
    assert [run.metrics for run in again] == [first.metrics, second.metrics]
    assert [resumed.step for resumed in coordinator.of(m.Resumed)] == [STEPS, 4]


def test_a_training_whose_newest_is_damaged_goes_on_from_its_own(folder: str) -> None:
    """Not from another's of its script, and not from an end that came later."""

    def fill(inside: str) -> None:
        with open(f"{inside}/file", "w", encoding="utf-8") as file:
            file.write("state")

    first = checkpoint.write(folder, Label(9, 0, final=True), fill).path
    before = checkpoint.write(folder, Label(1, 1), fill).path
    newest = checkpoint.write(folder, Label(2, 1), fill).path
    checkpoint.write(folder, Label(3, 0), fill)
    checkpoint.write(folder, Label(9, 2, final=True), fill)
    os.truncate(f"{newest}/file", 1)
    assert checkpoint.newest_complete(newest, 1) == before
    assert checkpoint.of_run(newest, 0) == first
    assert checkpoint.of_run(newest, 2) is None
    os.truncate(f"{newest}/manifest.json", 1)
    assert checkpoint.of_run(newest, 1) == before
    assert checkpoint.of_run(newest, 3) is None


def test_what_a_training_keeps_is_its_own(folder: str) -> None:
    """The end of the one before is not discarded for the saves of the next."""

    def fill(_: str) -> None:
        """Nothing."""

    end = checkpoint.write(folder, Label(9, 0, final=True), fill).path
    later = [checkpoint.write(folder, Label(step, 1), fill).path for step in range(1, 5)]
    assert checkpoint.of_run(later[-1], 0) == end
    assert checkpoint.of_run(later[-1], 1) == later[-1]
    assert checkpoint.of_run(later[-1], 2) is None
    assert len([name for name in os.listdir(folder) if "-step-" in name]) == 3


def test_a_loop_saves_without_a_pause_too(
    coordinator: Coordinator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behind each third of its turns; from there it ends the same."""

    def train() -> str:
        torch.manual_seed(1)
        model = torch.nn.Linear(2, 1)
        optimizer = torch.optim.Adam(model.parameters())
        job = sdk.job(model=model, optimizer=optimizer, respawn=True, save_every=3)
        for _ in job.steps(8):
            optimizer.zero_grad()
            model(torch.rand(4, 2)).sum().backward()
            optimizer.step()
            if job.step % 3 == 1 and job.step > 3:
                coordinator.wait_for(m.Saved, job.step // 3)
        return sdk.digest(optimizer.state_dict())

    ended = train()
    assert [saved.step for saved in coordinator.of(m.Saved)] == [3, 6]
    monkeypatch.setenv("GPURUN_RESUME", coordinator.of(m.Saved)[0].checkpoint)
    assert train() == ended
