"""Storages that are emptied and filled again in place. The CPU stands for the device."""

import os
from typing import Any

import pytest
import torch

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
    parking.begin({"tensors": tensors})
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
        parking.begin(attributes(trainable), keeps_gradients=False)
        parking.empty()
        assert len(weight.untyped_storage()) == 0
        parking.fill()
    assert trainable.head.weight is trainable.embed.weight is weight
    assert trainable.row is row
    row += 1
    twin.row += 1
    assert torch.equal(trainable.table, twin.table)
    assert torch.equal(weight, twin.embed.weight)


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
