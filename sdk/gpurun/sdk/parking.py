"""Parking: what a training holds on its device moves to host memory, and back in place.

A storage is emptied and filled again, never replaced: each tensor, view, alias and parameter on it
stays the object that it was, so that optimizers, tied weights and hooks notice nothing. What is
lent to another library (DLPack, a captured CUDA graph) cannot be told from here: a script that
lends its state is for `--pause stand` or `exit`.
"""

from collections.abc import Iterator
from typing import Any

import torch

from gpurun.sdk import device_memory
from gpurun.sdk.encoding import is_stateful, leaves, leaves_of
from gpurun.sdk.errors import NoRoomError
from gpurun.sdk.tensors import on_host

_Place = tuple[torch.device, int]


class Parking:
    """The copies in host memory of one pause; a training that goes on changes nothing in them."""

    def __init__(self) -> None:
        device_memory.settle()
        self._copies: dict[_Place, tuple[torch.UntypedStorage, torch.UntypedStorage]] = {}
        self._shared: set[_Place] = set()
        """Where two storages have one memory, which must stay where it is."""
        self._gone: set[_Place] = set()
        """What is emptied now."""

    def host(self, tensor: torch.Tensor) -> torch.Tensor:
        """The tensor in host memory; those that have one storage alone share the copy of it.

        Raise NoRoomError where host memory is too short for it.
        """
        if tensor.numel() == 0:
            return tensor.cpu()
        copy = self._keep(tensor.untyped_storage())
        if copy.nbytes() != tensor.nbytes or _is_more_than_its_bytes(tensor):
            return on_host(tensor).clone()
        view = torch.empty(0, dtype=tensor.dtype)
        return view.set_(copy, tensor.storage_offset(), tensor.size(), tensor.stride())

    def empty(self, attributes: dict[str, Any]) -> int:
        """Give the device's memory back; return bytes that its allocator still holds.

        Raise NoRoomError, or what PyTorch raises where a storage cannot be emptied; then all is as
        it was.
        """
        for tensor in _tensors(attributes):
            if tensor.device.type == device_memory.KIND and tensor.layout is torch.strided:
                self._keep(tensor.untyped_storage())
        try:
            for place, (storage, _) in self._copies.items():
                if place not in self._shared and _can_leave(storage):
                    self._gone.add(place)
                    storage.resize_(0)
            return device_memory.release()
        except BaseException:
            self.fill()
            raise

    def fill(self) -> None:
        """Take it back and put everything where it was.

        Raise what the allocator raises where it gets too little; then nothing is taken.
        """
        before = set(self._gone)
        try:
            for place in before:
                storage, copy = self._copies[place]
                storage.resize_(copy.nbytes())
                storage.copy_(copy)
                self._gone.discard(place)
        except RuntimeError:
            for place in before:
                self._copies[place][0].resize_(0)
            self._gone = before
            device_memory.release()
            raise
        device_memory.settle()

    def _keep(self, storage: torch.UntypedStorage) -> torch.UntypedStorage:
        place = (storage.device, storage.data_ptr())
        if place not in self._copies:
            self._copies[place] = (storage, _copied(storage))
        kept, copy = self._copies[place]
        if kept._cdata != storage._cdata:
            self._shared.add(place)
        return copy


def held_bytes(attributes: dict[str, Any]) -> int:
    """Bytes of all tensors that are known to belong to the training, gradients included."""
    storages = [tensor.untyped_storage() for tensor in _tensors(attributes)]
    return sum({storage.data_ptr(): storage.nbytes() for storage in storages}.values())


def _tensors(attributes: dict[str, Any]) -> Iterator[torch.Tensor]:
    """All tensors that are known to belong to the training, gradients included."""
    for _, value in leaves_of(attributes):
        if isinstance(value, torch.nn.Module):
            found = [*value.parameters(), *value.buffers()]
        elif is_stateful(value):
            state = getattr(value, "state_dict")()  # noqa: B009 - what it is says nothing of that
            found = [item for _, item in leaves(state, "") if torch.is_tensor(item)]
        else:
            found = [value] if torch.is_tensor(value) else []
        for tensor in found:
            yield tensor
            if tensor.is_leaf and tensor.grad is not None:
                yield tensor.grad


def _is_more_than_its_bytes(tensor: torch.Tensor) -> bool:
    return tensor.is_conj() or tensor.is_neg() or tensor.is_quantized


def _copied(storage: torch.UntypedStorage) -> torch.UntypedStorage:
    size = storage.nbytes()
    if size > (free := device_memory.host_free()):
        raise NoRoomError(f"parking needs {size} more bytes of host memory and {free} are free")
    copy = torch.UntypedStorage(size)
    copy.copy_(storage)
    return copy


def _can_leave(storage: torch.UntypedStorage) -> bool:
    return storage.device.type == device_memory.KIND and storage.resizable()
