"""Pitfall 17: what can be neither parked nor saved is refused by name, never half-saved."""

import types
from collections.abc import Iterator
from typing import Any

import pytest
import torch
import torch.distributed as dist
from tests.sdk.asking import asks_before
from tests.sdk.coordinator_double import JOB, Coordinator
from tests.sdk.trainings import Tiny
from torch.distributed.fsdp import FullyShardedDataParallel, fully_shard

from gpurun import sdk
from gpurun.protocol import messages as m
from gpurun.sdk import device_memory
from gpurun.sdk.link import Link
from gpurun.sdk.unsupported import unsupported


@pytest.fixture
def group(tmp_path: Any) -> Iterator[None]:
    """A process group of one rank."""
    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/group", rank=0, world_size=1)
    yield
    dist.destroy_process_group()


def a_class(package: str, name: str, base: type = object) -> Any:
    """A class of a package that is not here."""
    return types.new_class(name, (base,), {}, lambda body: body.update(__module__=package))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.usefixtures("group")
def test_sharded_state_is_named() -> None:
    from torch.distributed.optim import ZeroRedundancyOptimizer  # warns when it is imported

    linear = torch.nn.Linear(4, 4)
    zero = ZeroRedundancyOptimizer(linear.parameters(), torch.optim.SGD, lr=0.1)
    whole = FullyShardedDataParallel(torch.nn.Linear(4, 4), device_id=torch.device("cpu"))
    layers = torch.nn.Sequential(torch.nn.Linear(4, 4))
    fully_shard(layers[0])
    not_supported = "sharded state, which is not supported"
    named = {"FullyShardedDataParallel": whole, "ZeroRedundancyOptimizer": zero}
    for name, value in named.items():
        assert unsupported({"it": [value]}) == f"it[0] is a {name}: {not_supported}"
    assert unsupported({"model": layers}) == f"model.0 is a FSDPModule: {not_supported}"
    weight = dict(layers.named_parameters())["0.weight"]
    assert unsupported({"w": weight}) == f"w is a DTensor: {not_supported}"


@pytest.mark.parametrize(
    ("package", "name", "base", "why"),
    [
        ("deepspeed.runtime.engine", "DeepSpeedEngine", torch.nn.Module, "sharded state"),
        ("bitsandbytes.optim.adamw", "AdamW8bit", object, "quantised state"),
        ("torchao.optim.adam", "AdamW4bit", object, "quantised state"),
        ("torch.cuda.graphs", "CUDAGraph", object, "memory that must stay where it is"),
    ],
)
def test_what_is_of_a_package_is_named(package: str, name: str, base: type, why: str) -> None:
    """Also where the script derives a class from it."""
    kind = a_class(package, name, base)
    mine = a_class("script", "Mine", kind)
    for value in (kind(), mine()):
        assert unsupported({"it": value}) == f"it is a {name}: {why}, which is not supported"


def test_a_layer_or_a_weight_inside_a_model_is_named() -> None:
    model = torch.nn.Sequential(a_class("bitsandbytes.nn", "Linear8bitLt", torch.nn.Module)())
    assert unsupported({"model": model}).startswith("model.0 is a Linear8bitLt: quantised")
    plain = torch.nn.Linear(2, 2)
    plain.weight = a_class("bitsandbytes.nn", "Params4bit", torch.nn.Parameter)(torch.zeros(2, 2))
    assert unsupported({"model": plain}).startswith("model.weight is a Params4bit: quantised")


class Prepared(torch.optim.Optimizer):
    """An optimizer around another, as accelerate has it for every Trainer."""

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self.optimizer = optimizer


def test_an_optimizer_inside_another_is_named() -> None:
    weights = [torch.nn.Parameter(torch.zeros(2))]
    inner = a_class("bitsandbytes.optim.adamw", "AdamW8bit", torch.optim.SGD)(weights)
    why = "quantised state, which is not supported"
    assert unsupported({"optimizer": Prepared(inner)}) == f"optimizer is a AdamW8bit: {why}"
    assert unsupported({"optimizer": Prepared(torch.optim.SGD(weights))}) == ""


def test_ordinary_trainings_hold_nothing_of_that() -> None:
    tiny = Tiny()
    tiny.setup({})
    scaler = torch.amp.GradScaler("cpu")
    ema = torch.optim.swa_utils.AveragedModel(tiny.model)
    assert unsupported({**vars(tiny), "scaler": scaler, "ema": ema, "name": "x", "n": [1]}) == ""


class Engine(Tiny):
    """A training of something that gpurun cannot park."""

    def setup(self, config: dict[str, Any]) -> None:
        super().setup(config)
        self.engine = a_class("deepspeed.runtime.engine", "DeepSpeedEngine")()


class EngineSaved(Engine):
    """And that its script saves."""

    def save_checkpoint(self, checkpoint_dir: str, /) -> dict[str, Any] | None:
        return {}

    def load_checkpoint(self, checkpoint: Any, /) -> None:
        """It is never loaded here."""


@pytest.mark.parametrize(
    ("training", "ways", "words"),
    [
        (Engine, ["stand"], "can stand still, but neither park nor exit"),
        (EngineSaved, ["stand", "exit"], "can stand or exit, but not park"),
    ],
)
def test_it_offers_what_is_safe(
    training: type[Tiny],
    ways: list[str],
    words: str,
    coordinator: Coordinator,
    links: list[Link],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Exit for a script that saves it itself; where a job of sdk.job would be, stand alone."""
    sdk.run(training, {"before_step": lambda _: coordinator.wait_for(m.Attach)}, steps=1)
    assert list(coordinator.wait_for(m.Attach).pausable) == ways
    why = "engine is a DeepSpeedEngine: sharded state, which is not supported"
    assert f"this training {words}: {why}" in capsys.readouterr().err


def test_data_without_a_place_takes_back_exit_and_offers_no_park(
    coordinator: Coordinator, links: list[Link]
) -> None:
    """What was never offered does not come in with what is taken back."""
    job = sdk.job(model=a_class("deepspeed.runtime.engine", "DeepSpeedEngine", torch.nn.Module)())
    with job:
        coordinator.wait_for(m.Attach)
        for _ in job.batches(iter([1, 2])):
            pass
    coordinator.wait_for(m.Detach)
    assert [list(said.pausable) for said in coordinator.of(m.Attach)] == [["stand"]]


class Elsewhere(Tiny):
    """Has a tensor on a device of another kind."""

    not_saved = ("before_step",)

    def setup(self, config: dict[str, Any]) -> None:
        super().setup(config)
        self.table = [torch.empty(2, device="meta")]


class Wrapped(Tiny):
    """Has a tensor of a kind of its own."""

    not_saved = ("before_step",)

    def setup(self, config: dict[str, Any]) -> None:
        super().setup(config)
        self.table = [torch.zeros(2).as_subclass(a_class("script", "Angles", torch.Tensor))]


@pytest.mark.usefixtures("releases")
@pytest.mark.parametrize(
    ("training", "graphs", "why"),
    [
        (Elsewhere, False, "table[0] is on meta: only cpu can be parked from"),
        (Wrapped, False, "table[0] is a Angles, which cannot be parked"),
        (Tiny, True, "CUDA graphs have been captured: their memory must stay in place"),
    ],
)
def test_pitfall_17_what_is_seen_only_at_the_pause_refuses_it_and_trains_on(
    training: type[Tiny],
    graphs: bool,
    why: str,
    coordinator: Coordinator,
    links: list[Link],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its state has not been touched."""
    monkeypatch.setattr(device_memory, "has_graphs", lambda: graphs)
    coordinator.on(m.Released, lambda heard: m.GoOn(job=JOB, request=heard.request))
    hook = asks_before(3, coordinator, links, how="park")
    parked = sdk.run(training, {"before_step": hook}, steps=5).trainable
    assert coordinator.wait_for(m.Refused).text == why
    assert coordinator.of(m.Released) == []
    assert parked.losses == sdk.run(training, steps=5).trainable.losses
