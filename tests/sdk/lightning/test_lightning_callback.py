"""When the callback is there, and what a training that cannot be put back offers."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from tests.sdk.coordinator_double import JOB, Coordinator, wait_until
from tests.sdk.lightning.trainings import Net, Noisy, train
from torch.utils.data import DataLoader, IterableDataset

from gpurun import sdk
from gpurun.protocol import messages as m
from gpurun.sdk import lightning, lightning_fit
from gpurun.sdk.lightning_entry import callbacks
from gpurun.sdk.lightning_subject import LightningSubject
from gpurun.sdk.link import Link

pytestmark = pytest.mark.filterwarnings("ignore")  # Lightning warns of much that is meant here
QUIET: dict[str, Any] = {
    "accelerator": "cpu",
    "logger": False,
    "enable_checkpointing": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
    "max_epochs": 1,
}


def ours(trainer: Any) -> list[Any]:
    """Our callbacks in a trainer."""
    return [one for one in trainer.callbacks if isinstance(one, sdk.lightning.PauseCallback)]


def test_it_is_there_by_itself_under_gpurun_only(
    under_gpurun: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(ours(pl.Trainer(**QUIET))) == 1
    monkeypatch.delenv("GPURUN_JOB")
    assert callbacks() == []
    assert ours(pl.Trainer(**QUIET)) == []


def test_the_entry_point_imports_nothing_outside_gpurun() -> None:
    """It is part of every Lightning script of the environment."""
    script = (
        "import sys\n"
        "sys.modules.update(torch=None, lightning=None, pytorch_lightning=None)\n"
        "from gpurun.sdk.lightning_entry import callbacks\n"
        "print(callbacks(), 'gpurun.sdk.lightning' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout == "[] False\n", done.stderr


def test_where_the_script_names_one_too_only_one_is_at_work(
    folder: str, coordinator: Coordinator, links: list[Link]
) -> None:
    """Two links of one training would look like two trainings."""
    trainer = pl.Trainer(callbacks=[sdk.lightning.PauseCallback()], **QUIET)
    assert len(ours(trainer)) == 2
    trainer.fit(Net(), DataLoader(Noisy(6), 3), DataLoader(Noisy(6), 3))
    assert len(links) == 1
    assert coordinator.wait_for(m.Attach).pausable == ("stand", "park", "exit")
    coordinator.wait_for(m.Detach)


@pytest.mark.parametrize("name", ["_kind_of_loader", "opened"])
def test_in_a_lightning_that_is_not_known_it_trains_and_cannot_be_paused(
    name: str,
    under_gpurun: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Before the fit, or at its start; but an attempt that goes on does not begin anew instead."""

    def other(*_: Any, **__: Any) -> Any:
        raise AttributeError("'FitLoop' object has no attribute 'that'")

    monkeypatch.setattr(lightning_fit, name, other)
    trainer = pl.Trainer(**QUIET)
    trainer.fit(Net(), DataLoader(Noisy(6), 3), DataLoader(Noisy(6), 3))
    assert trainer.global_step == 2
    assert "cannot be paused: its Lightning is not one that is known" in capsys.readouterr().err
    fit = SimpleNamespace(callbacks=[callback := callbacks()[0]], state=SimpleNamespace(fn="fit"))
    monkeypatch.setattr(lightning, "Fit", other)
    monkeypatch.setenv("GPURUN_RESUME", "checkpoint")
    with pytest.raises(AttributeError, match="no attribute 'that'"):
        callback.log = SimpleNamespace(__self__=SimpleNamespace(trainer=fit))


def test_an_older_lightning_offers_no_exit() -> None:
    fit_loop = SimpleNamespace(epoch_loop=SimpleNamespace())
    old = LightningSubject(SimpleNamespace(lightning_module=Net(), fit_loop=fit_loop))
    assert old.obstacle() == "only Lightning 2.5 and later can be led back to a batch"


class Stream(IterableDataset[Any]):
    """Rows from somewhere that cannot be asked again."""

    def __iter__(self) -> Iterator[Any]:
        return (Noisy(6)[index] for index in range(6))


def test_a_stream_can_stand_and_park_but_not_exit(
    coordinator: Coordinator, capsys: pytest.CaptureFixture[str]
) -> None:
    pl.Trainer(**QUIET).fit(Net(), DataLoader(Stream(), 3), DataLoader(Noisy(6), 3))
    assert coordinator.wait_for(m.Attach).pausable == ("stand", "park")
    assert "but not exit: a loader without a length" in capsys.readouterr().err


class Validating(Net):
    """It has a request arrive in the middle of its validation."""

    ask: Any

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        if batch_idx == 0 and not self.trainer.sanity_checking:
            self.ask()
        super().validation_step(batch, batch_idx)


@pytest.mark.parametrize("how", ["stand", "park", "exit"])
def test_in_a_validation_it_stands_or_parks_but_does_not_exit(
    how: str, coordinator: Coordinator, links: list[Link], releases: list[int]
) -> None:
    """No checkpoint leads back into one, so none is made; the request to exit waits."""
    coordinator.on(m.Standing, lambda heard: m.GoOn(job=JOB, request=heard.request))
    coordinator.on(m.Released, lambda heard: m.GoOn(job=JOB, request=heard.request))

    def ask() -> None:
        wait_until(lambda: links[-1].welcomed, "the welcome")
        coordinator.pause(1, how=how)
        wait_until(lambda: links[-1].request is not None, "the request")

    net = Validating()
    net.ask = ask
    pl.Trainer(**QUIET).fit(net, DataLoader(Noisy(6), 3), DataLoader(Noisy(6), 3))
    coordinator.wait_for(m.Detach)
    assert len(coordinator.of(m.Standing)) == (how == "stand")
    assert len(coordinator.of(m.Released)) == (how == "park")
    assert coordinator.of(m.Durable) == []


def test_a_parked_training_goes_on_as_if_nothing_had_been(
    folder: str,
    coordinator: Coordinator,
    links: list[Link],
    releases: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In place: parameters and the state of the optimizer are the same objects."""
    with monkeypatch.context() as outside:
        outside.delenv("GPURUN_JOB")
        undisturbed = train(f"{folder}/out")
    coordinator.on(m.Released, lambda heard: m.GoOn(job=JOB, request=heard.request))

    def park(batch: int) -> None:
        if batch in (3, 7):
            wait_until(lambda: links[-1].welcomed, "the welcome")
            coordinator.pause(batch, how="park")
            wait_until(lambda: links[-1].request is not None, "the request")

    shutil.rmtree(f"{folder}/out")
    assert train(f"{folder}/out", park) == undisturbed
    assert len(coordinator.of(m.Released)) == len(coordinator.of(m.Durable)) == 2


def test_a_pause_leaves_what_runs_no_code_and_comes_before_the_scripts_own_checkpoint(
    folder: str, coordinator: Coordinator, links: list[Link], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A script that always names a checkpoint to start from goes on from ours all the same."""
    coordinator.on(m.Durable, lambda heard: m.GoOn(job=JOB, request=heard.request))

    def ask(batch: int) -> None:
        if batch == 2:
            wait_until(lambda: links[-1].welcomed, "the welcome")
            coordinator.pause(1)
            wait_until(lambda: links[-1].request is not None, "the request")

    model = train(f"{folder}/out", ask)["model"]
    path = coordinator.wait_for(m.Durable).checkpoint
    assert "checkpoint" in torch.load(f"{path}/rank-0/state/state.pt", weights_only=True)
    monkeypatch.setenv("GPURUN_RESUME", path)
    assert train(f"{folder}/out", ckpt_path=f"{folder}/moved.ckpt")["model"] == model
