"""What a trainable holds comes back in place, and what could not is named when saving."""

import random
from typing import Any

import numpy as np
import pytest
import torch
from tests.sdk.saved import load, save
from torch import nn

from gpurun import sdk
from gpurun.sdk import state
from gpurun.sdk.decoding import decode
from gpurun.sdk.encoding import Encoder
from gpurun.sdk.errors import UnsavedError


class Net(nn.Module):
    """Tied weights, a buffer that state_dict omits, and a plain value that moves."""

    hidden: torch.Tensor
    later: torch.Tensor | None

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(3, 3, bias=False)
        self.second = nn.Linear(3, 3, bias=False)
        self.second.weight = self.first.weight
        self.dropout = nn.Dropout(0.5)
        self.register_buffer("hidden", torch.zeros(2), persistent=False)
        self.register_buffer("later", None, persistent=False)


class Everything(sdk.Trainable):
    """One attribute of each kind."""

    def setup(self, _config: dict[str, Any]) -> None:
        torch.manual_seed(0)
        self.model = Net()
        self.weight = self.model.first.weight
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=0.1)
        self.models = {"a": [nn.BatchNorm1d(3), nn.Linear(1, 1)]}
        self.ema = torch.optim.swa_utils.AveragedModel(self.model)
        self.scaler = torch.amp.GradScaler("cpu")
        self.tensor = torch.zeros(4)
        self.same_tensor = self.tensor
        self.array = np.zeros(3)
        self.history: list[Any] = []
        self.same_history = self.history
        self.torch_generator = torch.Generator().manual_seed(1)
        self.numpy_generator = np.random.default_rng(1)
        self.legacy_generator = np.random.RandomState(1)
        self.python_generator = random.Random(1)  # noqa: S311 - no secret
        self.loss = nn.functional.mse_loss
        self.temporary: int | None = 1

    def change(self) -> None:
        """Change all that can change."""
        self.model.second(self.model.first(torch.rand(2, 3))).sum().backward()
        self.optimizer.step()
        self.ema.update_parameters(self.model)
        self.model.hidden += 3
        self.model.later = torch.ones(2)
        self.model.dropout.p = 0.25
        self.model.eval()
        self.model.first.weight.requires_grad_(False)
        self.models["a"][0](torch.rand(4, 3))
        self.tensor += 1
        self.array += 2
        self.history.append(("x", np.float64(0.5), self.tensor.clone()))
        torch.rand(1, generator=self.torch_generator)
        self.numpy_generator.random()
        self.legacy_generator.normal()
        self.python_generator.gauss(0, 1)
        self.made = {"best": self.model.state_dict()}
        del self.temporary


def made(kind: type[sdk.Trainable]) -> Any:
    """A trainable as a run has it before its first step."""
    trainable = kind()
    trainable.setup({})
    state.remember(trainable)
    return trainable


class Counting(torch.nn.Module):
    """Counts in tensors that are neither parameters nor buffers, as torchmetrics does."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(2, 2)
        self.weights = [self.layer.weight]
        self.total = torch.zeros(())
        self.rows: list[torch.Tensor] = []

    def forward(self, x: torch.Tensor) -> None:
        self.total += x.sum()
        self.rows.append(x)
        self.last = self.layer(x)


def test_what_a_module_counts_in_tensors_comes_back() -> None:
    """And what it has a second name for keeps it; a result of the last pass is left out."""
    counted, fresh = Counting(), Counting()
    counted(torch.ones(3, 2))
    weight, total = fresh.layer.weight, fresh.total
    decode(Encoder(lambda _path, _value: True).encode(counted, "it"), fresh)
    assert fresh.total is total
    assert fresh.weights[0] is weight is fresh.layer.weight
    assert torch.equal(weight, counted.layer.weight)
    assert total.item() == 6
    (row,) = fresh.rows
    assert torch.equal(row, torch.ones(3, 2))
    assert not hasattr(fresh, "last")


def test_a_metric_of_torchmetrics_goes_on_counting() -> None:
    torchmetrics = pytest.importorskip("torchmetrics")
    before, behind = torchmetrics.MeanMetric(), torchmetrics.MeanMetric()
    before.update(3.0)
    decode(Encoder(lambda _path, _value: True).encode(before, "it"), behind)
    behind.update(5.0)
    assert behind.compute() == 4.0


def test_every_kind_of_attribute_comes_back(folder: str) -> None:
    """The digest is the same, aliases hold, and what was deleted or made since is too."""
    trained = made(Everything)
    trained.change()
    written = save(trained, folder, 1)
    expected = sdk.digest(trained)
    fresh = made(Everything)
    assert sdk.digest(fresh) != expected
    assert load(fresh, written.path) == 1
    assert sdk.digest(fresh) == expected
    assert fresh.model.second.weight is fresh.model.first.weight is fresh.weight
    assert fresh.optimizer.param_groups[0]["params"][0] is fresh.weight
    assert fresh.same_tensor is fresh.tensor
    assert fresh.same_history is fresh.history
    assert fresh.model.dropout.p == 0.25
    assert not fresh.model.training
    assert not fresh.weight.requires_grad
    assert fresh.model.hidden.tolist() == [3, 3]
    assert fresh.model.later.tolist() == [1, 1]
    assert fresh.optimizer.state[fresh.weight]["step"].device.type == "cpu"
    assert not hasattr(fresh, "temporary")


class Replaced(Everything):
    def change(self) -> None:
        self.optimizer = torch.optim.AdamW(self.model.parameters())


class Grown(Everything):
    def change(self) -> None:
        self.optimizer.add_param_group({"params": [torch.ones(1)]})


class Appended(Everything):
    def change(self) -> None:
        self.models["a"].append(nn.Linear(2, 2))


class Lost(Everything):
    def change(self) -> None:
        self.loss = nn.functional.l1_loss


class Looped(Everything):
    def change(self) -> None:
        self.lines = (line for line in ["a"])


class Keyed(Everything):
    def change(self) -> None:
        self.history.append({np.int64(3): 1})


class Sparse(Everything):
    def change(self) -> None:
        self.tensor = torch.eye(3).to_sparse()


@pytest.mark.parametrize(
    ("kind", "named"),
    [
        (Replaced, "optimizer is a AdamW"),
        (Grown, "optimizer is a AdamW"),
        (Appended, r"models\['a'\]\[2\] is a Linear"),
        (Lost, "loss is a function"),
        (Looped, "lines is a generator"),
        (Keyed, r"history\[0\] is a int64"),
        (Sparse, "tensor is a Tensor of layout torch.sparse"),
    ],
)
def test_pitfall_12_what_could_not_be_loaded_is_named_when_saving(
    kind: type[Everything], named: str, folder: str
) -> None:
    """Better a pause refused than a resume that fails."""
    trainable = made(kind)
    save(trainable, folder, 0)
    trainable.change()
    with pytest.raises(UnsavedError, match=named):
        save(trainable, folder, 1)


class Own(sdk.Trainable):
    """Saves in its own way: a file, a dict, and the default."""

    def setup(self, _config: dict[str, Any]) -> None:
        self.number = 0

    def save_checkpoint(self, checkpoint_dir: str) -> dict[str, Any]:
        with open(f"{checkpoint_dir}/own.txt", "w", encoding="utf-8") as file:
            file.write(str(self.number))
        return {"number": self.number, "tensor": torch.ones(2)}

    def load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        assert torch.equal(checkpoint["tensor"], torch.ones(2))
        torch.rand(5)  # what loading draws must not count
        self.number = checkpoint["number"]


def test_a_returned_dict_comes_back_and_random_states_come_last(folder: str) -> None:
    """Ray's meaning: load_checkpoint receives what save_checkpoint returned."""
    own = made(Own)
    own.number = 5
    written = save(own, folder, 1)
    expected = torch.rand(1)
    fresh = made(Own)
    load(fresh, written.path)
    assert fresh.number == 5
    assert torch.equal(torch.rand(1), expected)
    with open(f"{written.path}/rank-0/state/own.txt", encoding="utf-8") as file:
        assert file.read() == "5"


class Turns(sdk.Trainable):
    """Two heads that take turns; gradients are zeroed and not dropped, as weight decay shows."""

    def setup(self, _config: dict[str, Any]) -> None:
        torch.manual_seed(0)
        self.heads = nn.ModuleList([nn.Linear(3, 1), nn.Linear(3, 1), nn.Linear(3, 1)])
        self.optimizer = torch.optim.AdamW(self.heads.parameters(), lr=0.1)
        self.done = 0

    def step(self) -> None:
        self.optimizer.zero_grad(set_to_none=False)
        self.heads[self.done % 2](torch.ones(3)).sum().backward()
        self.optimizer.step()
        self.done += 1


@pytest.mark.parametrize("steps", [1, 2])
def test_a_parameter_that_had_a_gradient_has_one_again(steps: int, folder: str) -> None:
    """Of zeros: an optimizer passes over what has none, but not over zeros."""
    turns = made(Turns)
    for _ in range(steps):
        turns.step()
    written = save(turns, folder, steps)
    fresh = made(Turns)
    load(fresh, written.path)
    had = [parameter.grad is not None for parameter in turns.heads.parameters()]
    assert had == [True, True, steps == 2, steps == 2, False, False]
    assert [parameter.grad is not None for parameter in fresh.heads.parameters()] == had
    for _ in range(3):
        turns.step()
        fresh.step()
    assert sdk.digest(turns) == sdk.digest(fresh)
