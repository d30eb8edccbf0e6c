"""A training of Hugging Face's Trainer that is paused at any step ends as if it had not been."""

import os
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.sdk.asking import asks_before, go_on_when_durable
from tests.sdk.coordinator_double import JOB, Coordinator, wait_until
from tests.sdk.hf.trainers import STEPS, Cases, Hook, Noisy, Tuner, digest, train, trainer
from torch.utils.data import IterableDataset
from transformers import EarlyStoppingCallback, TrainerCallback

from gpurun import sdk
from gpurun.protocol import messages as m
from gpurun.sdk.hf_loader import Loader
from gpurun.sdk.link import Link

CASES: Cases = {
    "plain": {},
    "workers": {"dataloader_num_workers": 2, "eval_strategy": "no"},
    "a subclass": {"kind": Tuner},
}


class Left(Exception):  # noqa: N818 - not an error
    """Ends an attempt whose checkpoint is there, as the launcher would."""


class Attempts:
    """One training in many attempts, each going on from the pause of the one before."""

    def __init__(
        self, coordinator: Coordinator, links: list[Link], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        go_on_when_durable(coordinator)
        self._coordinator = coordinator
        self._links = links
        self._monkeypatch = monkeypatch
        self._pauses = 0

    def until(self, step: int, folder: Path, run: Any = None, **changes: Any) -> m.Durable:
        """An attempt that is paused by exit when so many steps are done; `run` is given a hook."""
        asks = asks_before(step, self._coordinator, self._links)

        def hook(now: int) -> None:
            asks(now)
            if now >= step and self._links[-1].welcomed:
                raise Left

        try:  # pytest.raises would keep the frames, and with them the loader's workers
            run(hook) if run else train(str(folder), hook, **changes)
        except Left:
            pass
        else:
            pytest.fail(f"there was no step behind {step}")
        self._pauses += 1
        durable = self._coordinator.wait_for(m.Durable, self._pauses)
        self._monkeypatch.setenv("GPURUN_RESUME", durable.checkpoint)
        return durable


@pytest.fixture
def attempts(
    coordinator: Coordinator, links: list[Link], monkeypatch: pytest.MonkeyPatch
) -> Attempts:
    return Attempts(coordinator, links, monkeypatch)


@pytest.mark.parametrize("case", CASES)
def test_paused_at_each_of_its_steps_it_ends_the_same(
    case: str, attempts: Attempts, coordinator: Coordinator, tmp_path: Path
) -> None:
    """Each attempt does one step; epochs have four, so that there are many pauses in one."""
    changes = CASES[case]
    with pytest.MonkeyPatch.context() as outside:
        outside.delenv("GPURUN_JOB")
        expected = train(str(tmp_path), **changes)
    for step in range(1, STEPS):
        assert attempts.until(step, tmp_path, **changes).step == step
    steps: list[int] = []
    assert train(str(tmp_path), steps.append, **changes) == expected
    assert steps == [STEPS - 1]
    assert {resumed.step for resumed in coordinator.of(m.Resumed)} == set(range(1, STEPS))


def test_one_that_goes_on_after_all_ends_the_same_and_so_does_one_that_parks(
    coordinator: Coordinator, links: list[Link], releases: list[int], tmp_path: Path
) -> None:
    """Its parameters and the optimizer's state leave the device, and come back in place."""
    expected = train(str(tmp_path))
    seen: list[int] = []

    def look(heard: m.Released) -> m.GoOn:
        moments = [state["exp_avg"] for state in trained.optimizer.state.values()]
        seen.extend(len(t.untyped_storage()) for t in (*trained.model.parameters(), *moments))
        return m.GoOn(job=JOB, request=heard.request)

    coordinator.on(m.Released, look)
    trained = trainer(str(tmp_path), asks_before(5, coordinator, links, how="park"))
    trained.train()
    assert digest(trained) == expected
    assert set(seen) == {0}
    assert releases
    go_on_when_durable(coordinator)
    assert train(str(tmp_path), asks_before(5, coordinator, links)) == expected


def test_in_an_evaluation_it_parks_without_a_checkpoint(
    coordinator: Coordinator, links: list[Link], releases: list[int], tmp_path: Path
) -> None:
    """It could not come back into the middle of it. A request to exit waits for the next step."""
    go_on_when_durable(coordinator)
    coordinator.on(m.Released, lambda heard: m.GoOn(job=JOB, request=heard.request))
    expected = train(str(tmp_path))
    asked = {3: "park", 6: "exit"}  # the steps of its evaluations

    class Asks(TrainerCallback):  # type: ignore[misc]
        def on_prediction_step(self, _args: Any, state: Any, *_: Any, **__: Any) -> None:
            if how := asked.pop(state.global_step, ""):
                wait_until(lambda: links[-1].welcomed)
                coordinator.pause(state.global_step, how=how)
                wait_until(lambda: links[-1].request is not None)

    assert train(str(tmp_path), callbacks=(Asks(),)) == expected
    assert coordinator.wait_for(m.Released).step == 3
    assert "in an evaluation" in coordinator.wait_for(m.Unsaved).text
    assert [durable.step for durable in coordinator.of(m.Durable)] == [6]


def test_what_it_saves_for_itself_is_as_without_a_pause(attempts: Attempts, tmp_path: Path) -> None:
    """save_steps, the limit, the best model and early stopping; nothing of ours is among it.

    No evaluation is made twice, that at the start included.
    """
    evaluated = {"alone": 0, "paused": 0}

    def changes(which: str) -> dict[str, Any]:
        def count(_prediction: Any) -> dict[str, float]:
            evaluated[which] += 1
            return {}

        return {
            "compute_metrics": count,
            "save_strategy": "steps",
            "save_steps": 3,
            "save_total_limit": 2,
            "load_best_model_at_end": True,
            "metric_for_best_model": "loss",
            "greater_is_better": True,  # so that the best is not the last
            "callbacks": (EarlyStoppingCallback(early_stopping_patience=2),),
            "eval_on_start": True,
            "ignore_data_skip": True,
        }

    with pytest.MonkeyPatch.context() as outside:
        outside.delenv("GPURUN_JOB")
        expected = train(str(tmp_path / "alone"), **changes("alone"))
    for step in (4, 7):
        attempts.until(step, tmp_path / "paused", **changes("paused"))
    assert train(str(tmp_path / "paused"), **changes("paused")) == expected
    assert evaluated["paused"] == evaluated["alone"] > 1
    kept = {name: sorted(os.listdir(tmp_path / name)) for name in ("alone", "paused")}
    assert kept["paused"] == kept["alone"] != []


def test_after_a_resume_of_its_own_a_pause_is_exact_too(attempts: Attempts, tmp_path: Path) -> None:
    """The user resumed from a checkpoint in output_dir, in the middle of an epoch."""
    saves: dict[str, Any] = {"save_strategy": "steps", "save_steps": 2, "eval_strategy": "no"}

    def resumed(before_step: Any) -> Any:
        trained = trainer(str(tmp_path), before_step, **{**saves, "save_strategy": "no"})
        trained.train(resume_from_checkpoint=str(tmp_path / "checkpoint-2"))
        return digest(trained)

    with pytest.MonkeyPatch.context() as outside:
        outside.delenv("GPURUN_JOB")
        train(str(tmp_path), **saves)
        expected = resumed(lambda _step: None)
    for step in (3, 4):
        attempts.until(step, tmp_path, run=resumed)
    assert resumed(lambda _step: None) == expected


class Stream(IterableDataset[dict[str, torch.Tensor]]):
    """Rows in one order, without a length."""

    def __iter__(self) -> Any:
        rows = Noisy()
        return (rows[index] for index in range(len(rows)))


def test_a_stream_is_read_again_where_the_user_says_so_and_else_does_not_exit(
    attempts: Attempts, coordinator: Coordinator, tmp_path: Path
) -> None:
    """It goes through its data more than twice, which nobody could tell from the step."""
    with pytest.MonkeyPatch.context() as outside:
        outside.delenv("GPURUN_JOB")
        expected = train(str(tmp_path), data=Stream())
    train(str(tmp_path), lambda _: coordinator.wait_for(m.Attach), data=Stream())
    assert coordinator.of(m.Attach)[-1].pausable == ("stand", "park")
    for step in (2, 3, 6):
        attempts.until(step, tmp_path, data=Stream(), resume="skip")
    assert train(str(tmp_path), data=Stream(), resume="skip") == expected


def test_outside_gpurun_and_without_the_callback_the_loader_is_the_trainers_own(
    coordinator: Coordinator,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    """With it, twice is as once."""
    seen: list[bool] = []

    class Look(Hook):
        def on_train_begin(self, *_args: Any, train_dataloader: Any, **_kwargs: Any) -> None:
            seen.append(type(train_dataloader) is Loader)
            assert isinstance(train_dataloader, torch.utils.data.DataLoader)

    def look(*callbacks: Any) -> None:
        made = trainer(str(tmp_path), max_steps=1, callbacks=(Look(lambda _: None), *callbacks))
        if not callbacks:
            made.remove_callback(sdk.transformers.PauseCallback)
        made.train()

    look()
    look(sdk.transformers.PauseCallback())
    monkeypatch.delenv("GPURUN_JOB")
    look(sdk.transformers.PauseCallback())
    assert seen == [False, True, False]
    assert "cannot be paused" not in capsys.readouterr().err
    coordinator.wait_for(m.Detach)
    assert len(coordinator.of(m.Attach)) == 1


def test_a_trainer_with_a_loop_of_its_own_says_that_it_cannot_be_paused(
    under_gpurun: dict[str, str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    class Own(Tuner):
        def train(self, *_args: Any, **_kwargs: Any) -> Any:
            self.callback_handler.on_train_begin(self.args, self.state, self.control)

    trainer(str(tmp_path), kind=Own).train()
    assert "cannot be paused: its trainer does not use" in capsys.readouterr().err
