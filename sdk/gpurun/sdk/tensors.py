"""Tensors and NumPy arrays as nodes of a checkpoint: bytes in host memory, and where they live."""

from collections.abc import Callable
from typing import Any

import numpy
import torch

from gpurun.sdk.errors import UnsavedError

Copied = Callable[[torch.Tensor], torch.Tensor]
"""Brings a tensor to host memory."""
Memo = dict[tuple[object, ...], tuple[torch.Tensor, torch.Tensor]]
"""Copies by place; the original is held too, so that its place cannot be given to another."""


def encode_tensor(tensor: torch.Tensor, path: str, memo: Memo, copied: Copied) -> dict[str, Any]:
    """The fields of a tensor; two names for the same memory get one copy, as `copied` makes it."""
    if type(tensor) not in (torch.Tensor, torch.nn.Parameter):
        raise UnsavedError(path, tensor, "whose kind of tensor is not supported")
    if tensor.layout is not torch.strided:
        raise UnsavedError(path, tensor, f"of layout {tensor.layout}, which is not supported")
    place = (tensor.device, tensor.data_ptr(), tensor.shape, tensor.stride(), tensor.dtype)
    if tensor.numel() == 0 or place not in memo:
        memo[place] = (tensor, copied(tensor.detach()))
    return {
        "data": memo[place][1],
        "device": str(tensor.device),
        "requires_grad": tensor.requires_grad,
        "parameter": isinstance(tensor, torch.nn.Parameter),
    }


def decode_tensor(node: dict[str, Any], current: object) -> torch.Tensor:
    """Copy into the tensor that is there where it fits, else make it anew on its device."""
    data: torch.Tensor = node["data"]
    if isinstance(current, torch.Tensor) and _fits(current, data, node["device"]):
        with torch.no_grad():
            current.copy_(data)
        return current.requires_grad_(node["requires_grad"])
    made = data.to(_available(node["device"]))
    if node["parameter"]:
        return torch.nn.Parameter(made, requires_grad=node["requires_grad"])
    return made.requires_grad_(node["requires_grad"])


def encode_array(array: Any, path: str) -> dict[str, Any]:
    """The fields of a NumPy array or scalar, whatever its dtype, as bytes."""
    if array.dtype.hasobject or array.dtype.names:
        raise UnsavedError(path, array, f"of dtype {array.dtype}, which is not supported")
    flat = numpy.ascontiguousarray(array).reshape(-1).view(numpy.uint8)
    return {
        "data": torch.from_numpy(flat.copy()),
        "dtype": array.dtype.str,
        "shape": tuple(array.shape),
        "scalar": isinstance(array, numpy.generic),
    }


def decode_array(node: dict[str, Any], current: object) -> Any:
    """Copy into the array that is there where it fits, else make it anew."""
    array = node["data"].numpy().view(node["dtype"]).reshape(node["shape"]).copy()
    if node["scalar"]:
        return array[()]
    if (
        type(current) is numpy.ndarray
        and (current.shape, current.dtype) == (array.shape, array.dtype)
        and current.flags.writeable
    ):
        current[...] = array
        return current
    return array


def is_array(value: object) -> bool:
    """Whether it is an array or a scalar of NumPy itself, not of a class derived from it."""
    return type(value) is numpy.ndarray or isinstance(value, numpy.generic)


def on_host(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor in host memory, to be written at once: it may be the tensor itself."""
    if tensor.device.type != "cpu":
        return tensor.cpu()
    # torch.save writes the whole storage of a view
    return tensor if tensor.untyped_storage().nbytes() == tensor.nbytes else tensor.clone()


def _fits(current: torch.Tensor, data: torch.Tensor, device: str) -> bool:
    alike = (current.shape, current.dtype, str(current.device)) == (data.shape, data.dtype, device)
    return alike and current.is_leaf and 0 not in current.stride()


def _available(device: str) -> str:
    kind, _, index = device.partition(":")
    if kind == "cuda" and int(index or 0) >= torch.cuda.device_count():
        return "cpu"
    return device
