"""Random states: the global ones of Python, NumPy and PyTorch, and generators of one's own.

Nothing is imported for them: a library that the script has not imported has drawn no number.
"""

import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


def capture() -> dict[str, Any]:
    """Copy every global random state; draws nothing."""
    states: dict[str, Any] = {"python": random.getstate()}
    if numpy := sys.modules.get("numpy.random"):
        states["numpy"] = numpy.get_state(legacy=False)
    if torch := _torch():
        states["torch"] = torch.get_rng_state()
        if torch.cuda.is_available() and torch.cuda.is_initialized():
            states["cuda"] = torch.cuda.get_rng_state_all()
    return states


def restore(states: dict[str, Any]) -> None:
    """Put back what `capture` copied, on the devices that are there."""
    random.setstate(states["python"])
    if "numpy" in states:
        import numpy

        numpy.random.set_state(states["numpy"])
    if "torch" in states:
        import torch

        torch.set_rng_state(states["torch"])
        for device in range(min(len(states.get("cuda", ())), torch.cuda.device_count())):
            torch.cuda.set_rng_state(states["cuda"][device], device)


@contextmanager
def kept() -> Iterator[dict[str, Any]]:
    """The states as they are; what is drawn meanwhile does not count."""
    states = capture()
    try:
        yield states
    finally:
        restore(states)


def is_generator(value: object) -> bool:
    """Whether it is a random generator of PyTorch, NumPy or Python."""
    kinds: list[type] = [random.Random]
    if torch := _torch():
        kinds.append(torch.Generator)
    if numpy := sys.modules.get("numpy.random"):
        kinds += [numpy.Generator, numpy.RandomState]
    return isinstance(value, tuple(kinds))


def get_state(generator: Any) -> Any:
    """Copy the state of one generator."""
    if isinstance(generator, random.Random):
        return generator.getstate()
    if hasattr(generator, "bit_generator"):
        return generator.bit_generator.state
    if (torch := _torch()) and isinstance(generator, torch.Generator):
        return generator.get_state()
    return generator.get_state(legacy=False)


def set_state(generator: Any, state: Any) -> None:
    """Put the state back into a generator of the same kind."""
    if isinstance(generator, random.Random):
        generator.setstate(state)
    elif hasattr(generator, "bit_generator"):
        generator.bit_generator.state = state
    else:
        generator.set_state(state)


def _torch() -> Any:
    """PyTorch where it has been imported; a namespace left by an import under way has no RNG."""
    torch = sys.modules.get("torch")
    return torch if hasattr(torch, "get_rng_state") else None
