"""Random states come back, and only those of libraries that the script has imported."""

import random
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch

from gpurun.sdk import rng


def draws() -> list[float]:
    """One number from each global generator, and half of a pair from those that draw pairs."""
    return [random.gauss(), np.random.normal(), torch.rand(()).item(), torch.randn(()).item()]


def test_the_next_draws_are_the_same() -> None:
    """Also with half of a pair of normal numbers kept for later."""
    draws()
    states = rng.capture()
    expected = draws()
    draws()
    rng.restore(states)
    assert draws() == expected


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_the_next_draws_on_each_device_are_the_same() -> None:
    """All CUDA devices count."""
    devices = range(torch.cuda.device_count())
    torch.cuda.init()
    states = rng.capture()
    expected = [torch.rand((), device=f"cuda:{device}").item() for device in devices]
    rng.restore(states)
    assert [torch.rand((), device=f"cuda:{device}").item() for device in devices] == expected


@pytest.mark.parametrize(
    ("generator", "draw"),
    [
        (random.Random(1), lambda g: g.gauss(0, 1)),  # noqa: S311 - no secret
        (np.random.default_rng(1), lambda g: g.normal()),
        (np.random.Generator(np.random.MT19937(1)), lambda g: g.normal()),
        (np.random.RandomState(1), lambda g: g.normal()),
        (torch.Generator().manual_seed(1), lambda g: torch.randn((), generator=g).item()),
    ],
    ids=["python", "numpy", "numpy-mt19937", "numpy-legacy", "torch"],
)
def test_a_generator_of_ones_own_too(generator: Any, draw: Any) -> None:
    """Every kind is known as one, and its next draw is the same."""
    assert rng.is_generator(generator)
    draw(generator)
    state = rng.get_state(generator)
    expected = draw(generator)
    draw(generator)
    rng.set_state(generator, state)
    assert draw(generator) == expected


def test_nothing_is_imported_to_capture() -> None:
    """A script without NumPy and PyTorch is not made to load them."""
    script = (
        "import sys; from gpurun.sdk import rng; states = rng.capture(); rng.restore(states); "
        "print(sorted(states), 'torch' in sys.modules, 'numpy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout == "['python'] False False\n", done.stderr
