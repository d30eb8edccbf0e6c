"""Parking: what a training holds on its device moves to host memory, and back in place.

A storage is emptied and filled again, never replaced: each tensor, view, alias and parameter on it
stays the object that it was, so that optimizers, tied weights and hooks notice nothing.
"""

from typing import Any

import torch

from gpurun.sdk import device_memory
from gpurun.sdk.encoding import leaves_of
from gpurun.sdk.errors import NoRoomError

_Place = tuple[torch.device, int]


class Parking:
    """The copies in host memory of one pause; a training goes on changing nothing in them."""

    def __init__(self) -> None:
        device_memory.settle()
        self._copies: dict[_Place, tuple[torch.UntypedStorage, torch.UntypedStorage]] = {}

    def host(self, tensor: torch.Tensor) -> torch.Tensor:
        """The tensor in host memory, on one copy for all that share its storage.

        Raise NoRoomError where host memory is too short for it.
        """
        if tensor.numel() == 0:
            return tensor.cpu()
        storage = tensor.untyped_storage()
        place = (storage.device, storage.data_ptr())
        if place not in self._copies:
            self._copies[place] = (storage, _copied(storage))
        _, copy = self._copies[place]
        view = torch.empty(0, dtype=tensor.dtype)
        return view.set_(copy, tensor.storage_offset(), tensor.size(), tensor.stride())

    def empty(self, attributes: dict[str, Any]) -> int:
        """Give the device's memory back; return bytes that its allocator still holds.

        Raise what PyTorch raises where a storage cannot be emptied; then all is as it was.
        Gradients are dropped, as no checkpoint has them: a step ends with its own.
        """
        for _, value in leaves_of(attributes):
            if isinstance(value, torch.nn.Module):
                _drop_gradients(value)
        try:
            for storage, _ in self._copies.values():
                if _can_leave(storage):
                    storage.resize_(0)
        except RuntimeError:
            self.fill()
            raise
        return device_memory.release()

    def fill(self) -> None:
        """Take it back and put everything where it was.

        Raise what the allocator raises where it gets too little; then nothing is taken.
        """
        emptied = [(storage, copy) for storage, copy in self._copies.values() if not len(storage)]
        try:
            for storage, copy in emptied:
                storage.resize_(copy.nbytes())
                storage.copy_(copy)
        except RuntimeError:
            for storage, _ in emptied:
                storage.resize_(0)
            device_memory.release()
            raise


def _copied(storage: torch.UntypedStorage) -> torch.UntypedStorage:
    size = storage.nbytes()
    if size > (free := device_memory.host_free()):
        raise NoRoomError(f"parking needs {size} more bytes of host memory and {free} are free")
    copy = torch.UntypedStorage(size)
    copy.copy_(storage)
    return copy


def _can_leave(storage: torch.UntypedStorage) -> bool:
    return storage.device.type == device_memory.KIND and storage.resizable()


def _drop_gradients(module: torch.nn.Module) -> None:
    for parameter in module.parameters():
        if parameter.device.type == device_memory.KIND:
            parameter.grad = None
