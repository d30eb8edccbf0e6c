"""Checks of the storages themselves, in this process: emptied, filled, pinned, refused."""

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from tests.gpu.device import Device

from gpurun.sdk import device_memory
from gpurun.sdk.errors import UnmovableError
from gpurun.sdk.host_buffers import HostBuffers
from gpurun.sdk.parking import Parking

CYCLES = 20


@contextmanager
def _on(device: Device) -> Iterator[None]:
    """Parking takes from devices of this kind; what a check leaves behind goes with it."""
    before, device_memory.KIND = device_memory.KIND, device.kind
    try:
        yield
    finally:
        device_memory.KIND = before
        gc.collect()
        device_memory.release()


def _held(device: Device) -> dict[str, Any]:
    """Tied weights, Adam with one step behind it, an average, a view, gradients, half precision."""
    torch.manual_seed(1)
    model = torch.nn.Sequential(*(torch.nn.Linear(256, 256) for _ in range(4))).to(device.kind)
    model[3].weight = model[0].weight
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    average = torch.optim.swa_utils.AveragedModel(model)
    table = torch.arange(1 << 20, device=device.kind, dtype=torch.bfloat16)
    held = {"model": model, "optimizer": optimizer, "average": average, "row": table[512:1024]}
    _step(held, device)
    return held


def _step(held: dict[str, Any], device: Device) -> None:
    held["optimizer"].zero_grad()
    held["model"](torch.ones(8, 256, device=device.kind)).square().mean().backward()
    held["optimizer"].step()
    held["average"].update_parameters(held["model"])
    held["row"] += 1


def _tensors(held: dict[str, Any]) -> dict[str, torch.Tensor]:
    found = {"row": held["row"]}
    for name in ("model", "average"):
        found |= {f"{name}.{inner}": one for inner, one in held[name].named_parameters()}
    for number, state in enumerate(held["optimizer"].state.values()):
        found |= {f"{number}.{inner}": one for inner, one in state.items()}
    return found


def all_is_in_place_over_twenty_cycles_and_ends_as_without_them(device: Device) -> None:
    """Ids, devices, the step counters among them, aliases; the same bits as a twin's."""
    with _on(device):
        held, twin = _held(device), _held(device)
        before = {name: (id(one), one.device) for name, one in _tensors(held).items()}
        buffers = HostBuffers()
        for _ in range(CYCLES):
            parking = Parking(buffers)
            parking.copy(held, keeps_gradients=False)
            parking.empty()
            parking.fill()
            _step(held, device)
            _step(twin, device)
        buffers.close()
        after = _tensors(held)
        assert {name: (id(one), one.device) for name, one in after.items()} == before
        assert held["model"][3].weight is held["model"][0].weight
        for name, one in _tensors(twin).items():
            assert torch.equal(after[name], one), name


def memory_is_given_back_and_taken_again(device: Device) -> None:
    """As the allocator has it; what is captured is read from host memory that is pinned."""
    with _on(device):
        tensor = torch.arange(64 << 20, dtype=torch.float32, device=device.kind)
        parking = Parking(HostBuffers())
        parking.copy({"tensor": tensor})
        copy = parking.host(tensor)
        kept = parking.empty()
        assert len(tensor.untyped_storage()) == 0
        assert copy[-1] == tensor.numel() - 1
        if device.kind == "cuda":
            assert copy.is_pinned()
            assert kept < tensor.nbytes, kept
        parking.fill()
        assert torch.equal(tensor.cpu(), copy)


def memory_that_cannot_be_had_on_return_is_waited_for(device: Device) -> None:
    """What was parked stays whole in host memory, and the device has room for others."""
    if device.kind != "cuda":
        return  # the CPU's memory is everybody's
    with _on(device):
        tensor = torch.arange(1 << 20, device=device.kind)
        parking = Parking(HostBuffers())
        parking.copy({"tensor": tensor})
        parking.empty()
        torch.cuda.set_per_process_memory_fraction(0.0)
        try:
            parking.fill()
        except torch.OutOfMemoryError:
            assert len(tensor.untyped_storage()) == 0
        else:
            raise AssertionError("it had memory that it was not to have")
        finally:
            torch.cuda.set_per_process_memory_fraction(1.0)
        parking.fill()
        assert torch.equal(tensor.cpu(), torch.arange(1 << 20))


def what_a_captured_graph_knows_by_its_address_is_refused(device: Device) -> None:
    """The graph still computes from it afterwards."""
    if device.kind != "cuda":
        return  # there are none
    with _on(device):
        source = torch.ones(1024, device=device.kind)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            result = source * 2 + 1
        parking = Parking(HostBuffers())
        parking.copy({"source": source})
        try:
            parking.empty()
        except UnmovableError as error:
            assert "CUDA graphs" in str(error)
        else:
            raise AssertionError("it was parked")
        parking.fill()
        source.fill_(3)
        graph.replay()
        assert result.tolist() == [7] * 1024


def memory_that_cannot_be_pinned_leaves_no_error_behind(device: Device) -> None:
    """The same pages twice: the driver refuses the second time."""
    if device.kind != "cuda":
        return  # nothing is pinned
    page = os.sysconf("SC_PAGE_SIZE")
    torch.zeros(1, device=device.kind)
    memory = torch.zeros(4 * page, dtype=torch.uint8)
    address = -(-memory.data_ptr() // page) * page
    assert device_memory.pin(address, page) == ""
    assert device_memory.pin(address, page).startswith("CUDA error ")
    assert torch.ones(8, device=device.kind).sum() == 8
    device_memory.unpin(address)


CHECKS = (
    all_is_in_place_over_twenty_cycles_and_ends_as_without_them,
    memory_is_given_back_and_taken_again,
    memory_that_cannot_be_had_on_return_is_waited_for,
    what_a_captured_graph_knows_by_its_address_is_refused,
    memory_that_cannot_be_pinned_leaves_no_error_behind,
)
