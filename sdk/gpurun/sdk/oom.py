"""A training that ends for lack of device memory says so: its exit code alone does not."""

import re
import sys

from gpurun.protocol import messages as m
from gpurun.sdk.link import Link

# torch.OutOfMemoryError: "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has …"
_TRIED = re.compile(r"Tried to allocate ([\d.]+) ([KMGT]?)iB")
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


def tell_of_oom(link: Link, error: BaseException) -> None:
    """Tell the coordinator of an error of that kind; pass over any other."""
    if any(kind.__name__ == "OutOfMemoryError" for kind in type(error).__mro__):
        link.send(m.OutOfMemory(**link.fields(), needed=_needed(str(error))))


def _needed(text: str) -> int:
    """Bytes that its allocator would have held; 0 where the words are others."""
    tried = _TRIED.search(text)
    if tried is None:
        return 0
    return _held() + int(float(tried[1]) * _UNITS[tried[2]])


def _held() -> int:
    """Bytes that PyTorch's allocator holds on the present device."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return 0
    return int(torch.cuda.memory_reserved())
