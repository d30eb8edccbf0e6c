"""Storages that are emptied and filled again in place. The CPU stands for the device."""

import os
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

from gpurun import sdk
from gpurun.sdk import device_memory
from gpurun.sdk.errors import NoRoomError
from gpurun.sdk.host_buffers import HostBuffers
from gpurun.sdk.parking import Parking
from gpurun.sdk.state import attributes

STEPS = 9


pytestmark = pytest.mark.usefixtures("releases")


def begun(*tensors: torch.Tensor) -> Parking:
    """The parking of a training that holds these."""
    parking = Parking(HostBuffers())
    parking.copy({"tensors": tensors})
    return parking


class Tied(sdk.Trainable):
    """Two names for one weight, a view of a buffer, and a step counter on the device."""

    def setup(self, config: dict[str, Any]) -> None:
        torch.manual_seed(1)
        self.embed = torch.nn.Linear(3, 3, bias=False)
        self.head = torch.nn.Linear(3, 3, bias=False)
        self.head.weight = self.embed.weight
        self.table = torch.arange(12.0)
        self.row = self.table[4:8].view(2, 2)
        self.optimizer = torch.optim.Adam(self.embed.parameters(), lr=0.1)

    def step(self) -> None:
        self.optimizer.zero_grad()
        (self.head(self.embed(self.table[:3])).sum() + self.row.sum()).backward()
        self.optimizer.step()
        self.row += 1


def test_objects_aliases_and_views_are_the_same_after_twenty_cycles() -> None:
    """Nothing is replaced, so that nothing that points to it is left behind."""
    trainable, twin = Tied(), Tied()
    for one in (trainable, twin):
        one.setup({})
    weight, row = trainable.embed.weight, trainable.row
    buffers = HostBuffers()
    for _ in range(20):
        trainable.step()
        twin.step()
        parking = Parking(buffers)
        parking.copy(attributes(trainable), keeps_gradients=False)
        parking.empty()
        assert len(weight.untyped_storage()) == 0
        parking.fill()
    assert trainable.head.weight is trainable.embed.weight is weight
    assert trainable.row is row
    row += 1
    twin.row += 1
    assert torch.equal(trainable.table, twin.table)
    assert torch.equal(weight, twin.embed.weight)


class Momentum(Tied):
    """With a moving average, a step counter of the optimizer as a tensor, and plain tensors."""

    def setup(self, config: dict[str, Any]) -> None:
        super().setup(config)
        self.average = torch.optim.swa_utils.AveragedModel(self.embed)
        self.embed.angles = torch.arange(3.0)
        outside = torch.nn.Parameter(torch.ones(3))
        self.optimizer.add_param_group({"params": [outside], "lr": torch.tensor(0.1)})

    def step(self) -> None:
        super().step()
        self.average.update_parameters(self.embed)


def tensors_by_name(trainable: Momentum) -> dict[str, torch.Tensor]:
    """All that must be the same object after a pause."""
    state = trainable.optimizer.state[trainable.embed.weight]
    group = trainable.optimizer.param_groups[1]
    angles = vars(trainable.embed)["angles"]
    mean = trainable.average
    found = {"angles": angles, "outside": group["params"][0], "rate": group["lr"]}
    return {**found, **state, "weight": trainable.embed.weight, "mean": mean.module.weight}


def test_all_that_is_held_leaves_and_is_the_same_on_return() -> None:
    """Pitfalls 7 and 8: ids, devices, versions and content, over twenty pauses."""
    trainable = Momentum()
    trainable.setup({})
    trainable.step()
    before = tensors_by_name(trainable)
    buffers = HostBuffers()
    for _ in range(20):
        content = {name: tensor.detach().clone() for name, tensor in before.items()}
        marks = {name: (tensor._version, tensor.device) for name, tensor in before.items()}
        parking = Parking(buffers)
        parking.copy(attributes(trainable), keeps_gradients=False)
        parking.empty()
        assert {name for name, one in before.items() if len(one.untyped_storage())} == set()
        parking.fill()
        after = tensors_by_name(trainable)
        assert {name: id(tensor) for name, tensor in after.items()} == {
            name: id(tensor) for name, tensor in before.items()
        }
        assert {name: (one._version, one.device) for name, one in after.items()} == marks
        for name, tensor in after.items():
            assert torch.equal(tensor, content[name])
        trainable.step()


class Late:
    """Copies that the device does later, as a real one does; each copy that is read must wait."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.copy = torch.UntypedStorage.copy_
        self.told: list[tuple[torch.UntypedStorage, torch.UntypedStorage]] = []
        late = self

        def copy_(storage: Any, source: Any, non_blocking: bool = False) -> Any:
            assert non_blocking
            late.told.append((storage, source))
            return storage

        monkeypatch.setattr(torch.UntypedStorage, "copy_", copy_)
        monkeypatch.setattr(device_memory, "settle", self.settle)

    def settle(self) -> None:
        """Do what was told; sizes that have changed meanwhile are an error, as is freed memory."""
        while self.told:
            storage, source = self.told.pop(0)
            assert len(storage) == len(source)
            self.copy(storage, source)


def test_pitfall_08_nothing_is_emptied_or_read_before_the_copies_have_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Pitfall 8: the device copies while the process goes on."""
    late = Late(monkeypatch)
    first, second = torch.arange(4.0), torch.arange(5.0)
    parking = begun(first, second)
    copy = parking.host(first)
    assert len(late.told) == 2
    parking.empty()
    assert late.told == []
    assert copy.tolist() == [0, 1, 2, 3]
    parking.fill()
    assert late.told == []
    assert torch.equal(first, torch.arange(4.0))
    assert torch.equal(second, torch.arange(5.0))


def test_a_pause_that_is_given_up_leaves_no_copy_under_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The buffers may be given back by then."""
    late = Late(monkeypatch)
    parking = begun(torch.arange(4.0))
    parking.fill()
    assert late.told == []


@pytest.mark.parametrize("keeps", [True, False])
def test_gradients_are_copied_only_where_they_count(keeps: bool) -> None:
    """Else zeros come back, in the same tensor; a step of a Trainable ends with its own."""
    weight = torch.nn.Parameter(torch.arange(4.0))
    weight.grad = gradient = torch.arange(4.0)
    parking = Parking(HostBuffers())
    parking.copy({"weight": weight}, keeps_gradients=keeps)
    assert len(parking._copies) == (2 if keeps else 1)
    parking.empty()
    assert len(gradient.untyped_storage()) == 0
    parking.fill()
    assert weight.grad is gradient
    assert gradient.tolist() == ([0, 1, 2, 3] if keeps else [0, 0, 0, 0])


def test_a_gradient_that_something_else_holds_is_kept() -> None:
    """Such as a buffer of all gradients that is an attribute, too."""
    bucket = torch.arange(6.0)
    weight = torch.nn.Parameter(torch.zeros(4))
    weight.grad = bucket[:4]
    parking = Parking(HostBuffers())
    parking.copy({"bucket": bucket, "weight": weight}, keeps_gradients=False)
    parking.empty()
    assert len(bucket.untyped_storage()) == 0
    parking.fill()
    assert weight.grad.tolist() == [0, 1, 2, 3]


def test_the_gradients_of_ddp_leave_with_their_bucket(tmp_path: Any) -> None:
    """Pitfall 7: with gradient_as_bucket_view they are one memory."""
    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/group", rank=0, world_size=1)
    try:
        torch.manual_seed(1)
        model = DistributedDataParallel(torch.nn.Linear(2, 2), gradient_as_bucket_view=True)
        model(torch.ones(1, 2)).sum().backward()
        gradients = [parameter.grad for parameter in model.parameters()]
        content = [gradient.clone() for gradient in gradients if gradient is not None]
        parking = Parking(HostBuffers())
        parking.copy({"model": model})
        parking.empty()
        assert {len(one.untyped_storage()) for one in gradients if one is not None} == {0}
        parking.fill()
        model.zero_grad(set_to_none=False)
        model(torch.ones(1, 2)).sum().backward()
        for parameter, known in zip(model.parameters(), content, strict=True):
            assert parameter.grad is not None
            assert torch.equal(parameter.grad, known)
    finally:
        dist.destroy_process_group()


def test_a_storage_is_copied_once_for_all_that_share_it() -> None:
    base = torch.arange(6.0)
    parking = begun()
    copies = [parking.host(tensor) for tensor in (base, base.view(2, 3).t())]
    assert len({copy.untyped_storage().data_ptr() for copy in copies}) == 1
    assert torch.equal(copies[1], base.view(2, 3).t())


def test_of_a_view_only_its_own_bytes_are_written() -> None:
    """The whole of its storage comes back all the same."""
    whole = torch.arange(1000.0)
    row = whole[2:6]
    parking = begun(row)
    copy = parking.host(row)
    assert (copy.tolist(), copy.untyped_storage().nbytes()) == ([2, 3, 4, 5], 16)
    parking.empty()
    assert len(whole.untyped_storage()) == 0
    parking.fill()
    assert torch.equal(whole, torch.arange(1000.0))


@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor")
def test_what_is_more_than_its_bytes_keeps_its_meaning() -> None:
    """A conjugate, a negative view, a quantised tensor."""
    complex_ = torch.complex(torch.arange(3.0), torch.arange(3.0))
    parking = begun()
    quantised = torch.quantize_per_tensor(torch.arange(4.0), 0.1, 0, torch.quint8)
    for tensor in (complex_.conj(), complex_.conj().imag):
        assert torch.equal(parking.host(tensor), tensor.clone())
    assert torch.equal(parking.host(quantised).dequantize(), quantised.dequantize())


def test_memory_that_two_storages_have_stays_where_it_is() -> None:
    """Such as of a tensor that was handed over through DLPack."""
    first = torch.arange(4.0)
    second = torch.utils.dlpack.from_dlpack(first)
    parking = begun(first, second)
    parking.empty()
    assert len(first.untyped_storage()) == 16
    first += 1
    assert torch.equal(first, second)
    parking.fill()
    assert torch.equal(first, torch.arange(4.0) + 1)


def test_a_return_that_fails_half_way_takes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole of it is in host memory still."""
    first, second = torch.arange(4.0), torch.arange(5.0)
    parking = begun(first, second)
    parking.empty()
    copy_, calls = torch.UntypedStorage.copy_, []

    def fails_the_second_time(storage: Any, *arguments: Any, **options: Any) -> Any:
        calls.append(1)
        if len(calls) == 2:
            raise torch.OutOfMemoryError("no")
        return copy_(storage, *arguments, **options)

    monkeypatch.setattr(torch.UntypedStorage, "copy_", fails_the_second_time)
    with pytest.raises(torch.OutOfMemoryError):
        parking.fill()
    assert [len(tensor.untyped_storage()) for tensor in (first, second)] == [0, 0]
    parking.fill()
    assert torch.equal(first, torch.arange(4.0))
    assert torch.equal(second, torch.arange(5.0))


def test_the_error_names_both_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_memory, "host_free", lambda: 3)
    with pytest.raises(NoRoomError, match="needs 64 more bytes of host memory and 3 are free"):
        begun(torch.arange(4.0))


def test_host_memory_is_read_from_the_kernel() -> None:
    """MemAvailable is less than all there is."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert 0 < device_memory.host_free() <= pages - device_memory.SPARE
