"""Measure how much memory PyTorch trainings take, for benchmarks/estimates.py.

    python benchmarks/traces.py > benchmarks/data/host_memory.csv

No GPU was at hand: each row is a real training on the CPU, and its bytes are the host memory that
it took beyond what PyTorch itself takes once imported. Each run is a process of its own, forked
after the import; its peak is VmHWM at the end less VmRSS before the model is made. `early` is the
same after a third of the steps. Version 2 of each program is an edit: one more layer.
"""

import os
import time
from collections.abc import Callable, Iterator
from itertools import product

import torch
from torch import nn

STEPS = 6
REPEATS = 3
GRIDS: dict[str, dict[str, tuple[int, ...]]] = {
    "mlp": {"--width": (256, 512, 1024), "--batch": (32, 128, 512, 1024)},
    "cnn": {"--size": (16, 32, 48), "--batch": (8, 16, 32, 64)},
    "transformer": {"--length": (32, 64, 128), "--batch": (4, 8, 16, 32)},
    "lstm": {"--length": (25, 50, 100), "--batch": (16, 32, 64, 128)},
}


def main() -> None:
    """Run every combination, each version, a few times."""
    torch.set_num_threads(1)
    print("program,arguments,version,run,peak,early,seconds")
    for name, numbers, version, run in _runs():
        began = time.perf_counter()
        peak, early = _apart(lambda: _train(name, numbers, version, run))  # noqa: B023 - run at once
        arguments = " ".join(f"{key} {value}" for key, value in numbers.items())
        seconds = time.perf_counter() - began
        print(f"{name},{arguments},{version},{run},{peak},{early},{seconds:.2f}", flush=True)


def _runs() -> Iterator[tuple[str, dict[str, int], int, int]]:
    for name, grid in GRIDS.items():
        for values in product(*grid.values()):
            for version, run in [*((1, run) for run in range(REPEATS)), (2, 0)]:
                yield name, dict(zip(grid, values, strict=True)), version, run


def _apart(measure: Callable[[], tuple[int, int]]) -> tuple[int, int]:
    """Run it in a child, so that no run leaves anything to the next."""
    read, write = os.pipe()
    if not (child := os.fork()):
        os.write(write, "{} {}".format(*measure()).encode())
        os._exit(0)
    os.close(write)
    with open(read, encoding="ascii") as answer:
        peak, early = answer.read().split()
    os.waitpid(child, 0)
    return int(peak), int(early)


def _train(name: str, numbers: dict[str, int], version: int, run: int) -> tuple[int, int]:
    torch.manual_seed(run)
    before, early = _memory("VmRSS"), 0
    model, batch = _MODELS[name](numbers, version)
    optimizer = torch.optim.Adam(model.parameters())
    for step in range(STEPS):
        optimizer.zero_grad()
        model(batch()).square().mean().backward()
        optimizer.step()
        if step + 1 == STEPS // 3:
            early = _memory("VmHWM") - before
    return _memory("VmHWM") - before, early


def _memory(field: str) -> int:
    with open("/proc/self/status", encoding="ascii") as status:
        return 1024 * next(int(line.split()[1]) for line in status if line.startswith(field))


Made = tuple[nn.Module, Callable[[], torch.Tensor]]


class _Last(nn.Module):
    """The outputs of a recurrent layer, without its state."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x)[0]  # type: ignore[no-any-return]


def _mlp(numbers: dict[str, int], version: int) -> Made:
    width = numbers["--width"]
    layers = [nn.Sequential(nn.Linear(width, width), nn.GELU()) for _ in range(2 + version)]
    return nn.Sequential(*layers), lambda: torch.rand(numbers["--batch"], width)


def _cnn(numbers: dict[str, int], version: int) -> Made:
    size = numbers["--size"]
    layers: list[nn.Module] = [nn.Conv2d(3, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU()]
    for _ in range(2 + version):
        layers += [nn.Conv2d(32, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU()]
    return nn.Sequential(*layers), lambda: torch.rand(numbers["--batch"], 3, size, size)


def _transformer(numbers: dict[str, int], version: int) -> Made:
    layer = nn.TransformerEncoderLayer(128, 4, 512, batch_first=True)
    model = nn.TransformerEncoder(layer, 1 + version, enable_nested_tensor=False)
    return model, lambda: torch.rand(numbers["--batch"], numbers["--length"], 128)


def _lstm(numbers: dict[str, int], version: int) -> Made:
    model = _Last(nn.LSTM(64, 128, num_layers=version, batch_first=True))
    return model, lambda: torch.rand(numbers["--batch"], numbers["--length"], 64)


_MODELS: dict[str, Callable[[dict[str, int], int], Made]] = {
    "mlp": _mlp,
    "cnn": _cnn,
    "transformer": _transformer,
    "lstm": _lstm,
}

if __name__ == "__main__":
    main()
