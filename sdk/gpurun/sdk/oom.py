"""A training that ends for lack of device memory says so: its exit code alone does not."""

import re
import sys

from gpurun.protocol import messages as m
from gpurun.protocol.quantity import parse_size
from gpurun.sdk.attempt import Attempt
from gpurun.sdk.link import Link

# torch.OutOfMemoryError: "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has …"
_TRIED = re.compile(r"Tried to allocate ([\d.]+ [KMGT]iB)")


def tell_of_oom(link: Link, error: BaseException) -> None:
    """Tell the coordinator of an error of that kind; pass over any other."""
    if is_oom(error):
        link.send(m.OutOfMemory(**link.fields(), needed=_needed(str(error))))


def tell_alone(attempt: Attempt, error: BaseException) -> None:
    """The same before there is a training that could be paused, and so a link."""
    if is_oom(error):
        link = Link(attempt, (), None)
        link.open()
        tell_of_oom(link, error)
        link.close()


def is_oom(error: BaseException) -> bool:
    """Whether it is PyTorch's error for a device that has no memory left."""
    return any(kind.__name__ == "OutOfMemoryError" for kind in type(error).__mro__)


def _needed(text: str) -> int:
    """Bytes that its allocator would have held; 0 where the words are others."""
    tried = _TRIED.search(text)
    if tried is None:
        return 0
    return _held() + parse_size(tried[1])


def _held() -> int:
    """Bytes that PyTorch's allocator holds on the present device."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return 0
    return int(torch.cuda.memory_reserved())
