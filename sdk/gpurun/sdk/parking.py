"""Parking: what a training holds on its device moves to host memory, and back in place.

A storage is emptied and filled again, never replaced: each tensor, view, alias and parameter on it
stays the object that it was, so that optimizers, tied weights and hooks notice nothing. What knows
memory by its address is refused where it can be seen (captured CUDA graphs); what is lent to
another library (DLPack) cannot be told from here: a script that lends its state is for
`--pause stand` or `exit`.

Copies are told to the devices one after another and waited for once: nothing is emptied, and no
copy is read, before that.
"""

from typing import Any

import torch

from gpurun.sdk import device_memory
from gpurun.sdk.errors import UnmovableError
from gpurun.sdk.holdings import holdings
from gpurun.sdk.host_buffers import HostBuffers

_Place = tuple[torch.device, int]


class Parking:
    """One pause, with its copies in host memory; a training that goes on changes nothing there."""

    def __init__(self, buffers: HostBuffers) -> None:
        device_memory.settle()
        buffers.begin()
        self._buffers = buffers
        self._storages: dict[_Place, torch.UntypedStorage] = {}
        """All that is to leave; held, so that the place cannot be given to another."""
        self._shared: set[_Place] = set()
        """Where two storages have one memory, which must stay where it is."""
        self._copies: dict[_Place, torch.UntypedStorage] = {}
        self._gone: dict[_Place, int] = {}
        """What is emptied now, and its bytes; what has no copy comes back as zeros."""

    def copy(self, held: dict[str, Any], *, keeps_gradients: bool = True) -> None:
        """Begin to copy what is held; `empty` waits for that.

        Gradients that are not kept are not copied, unless something else has the same memory.
        Raise UnmovableError with the name of what must stay, NoRoomError where host memory is too
        short.
        """
        state, gradients = holdings(held)
        for storage in (*state, *gradients) if keeps_gradients else state:
            self._know(storage)
        self._buffers.reserve([storage.nbytes() for storage in self._storages.values()])
        for storage in self._storages.values():
            self._copy(storage)
        for storage in gradients:
            self._know(storage)

    def host(self, tensor: torch.Tensor) -> torch.Tensor:
        """The tensor in host memory, to be read once the devices have settled.

        Those that have one storage alone share the copy of it. Raise NoRoomError where host memory
        is too short for it.
        """
        if tensor.numel() == 0:
            return tensor.cpu()
        storage = tensor.untyped_storage()
        if not _is_its_storage(tensor):
            return self._buffers.apart(tensor)
        self._know(storage)
        view = torch.empty(0, dtype=tensor.dtype)
        copy = self._copy(storage)
        return view.set_(copy, tensor.storage_offset(), tensor.size(), tensor.stride())

    def empty(self) -> int:
        """Give the device's memory back; return bytes that its allocator still holds.

        Raise UnmovableError where a captured graph knows it by its address. Whatever is raised,
        `fill` puts all where it was.
        """
        if device_memory.has_graphs():
            raise UnmovableError("CUDA graphs have been captured: their memory must stay in place")
        device_memory.settle()
        for place, storage in self._storages.items():
            if place not in self._shared and storage.resizable():
                self._gone[place] = storage.nbytes()
                storage.resize_(0)
        return device_memory.release()

    def fill(self) -> None:
        """Take it back and put everything where it was.

        Raise what the allocator raises where it gets too little; then nothing is taken.
        """
        before = dict(self._gone)
        try:
            for place, size in before.items():
                storage = self._storages[place]
                storage.resize_(size)
                if place in self._copies:
                    storage.copy_(self._copies[place], non_blocking=True)
                else:
                    _bytes_of(storage).zero_()
                del self._gone[place]
        except RuntimeError:
            device_memory.settle()
            for place in before:
                self._storages[place].resize_(0)
            self._gone = before
            device_memory.release()
            raise
        device_memory.settle()

    def _know(self, storage: torch.UntypedStorage) -> None:
        if storage.nbytes():
            known = self._storages.setdefault(_place(storage), storage)
            if known._cdata != storage._cdata:
                self._shared.add(_place(storage))

    def _copy(self, storage: torch.UntypedStorage) -> torch.UntypedStorage:
        place = _place(storage)
        if place not in self._copies:
            self._copies[place] = self._buffers.take(storage.nbytes())
            self._copies[place].copy_(storage, non_blocking=True)
        return self._copies[place]


def _place(storage: torch.UntypedStorage) -> _Place:
    return storage.device, storage.data_ptr()


def _bytes_of(storage: torch.UntypedStorage) -> torch.Tensor:
    return torch.empty(0, dtype=torch.uint8, device=storage.device).set_(storage)


def _is_its_storage(tensor: torch.Tensor) -> bool:
    """Whether the bytes of its storage are the tensor, and on a device."""
    if tensor.device.type != device_memory.KIND or tensor.nbytes != len(tensor.untyped_storage()):
        return False
    return not (tensor.is_conj() or tensor.is_neg() or tensor.is_quantized)
