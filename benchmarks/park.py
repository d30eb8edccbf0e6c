"""What a pause in host memory costs: its release and its return, beside plain copies.

    python benchmarks/park.py [--largest SIZE] [--rounds N]

A model of a hundred layers with Adam's two moments, for sizes of the whole state from 64 MiB on,
each four times the one before. What is timed is what a training does between the request and
`Released`, and between `GoOn` and its next step. Beside that as many bytes in one tensor, by hand
and through pinned memory: only copied, and moved (copied and freed; taken and copied back). All
take turns in each round, so that whatever else the machine does hits them alike.

Without a GPU the CPU stands for the device: the same code runs, with an allocator that counts what
it is told. There the kernel takes back each page that is freed and clears each that is taken, which
costs more than the copy: compare with `moved`.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import torch

from gpurun.protocol.quantity import format_size, parse_size
from gpurun.sdk import device_memory
from gpurun.sdk.attempt import Attempt
from gpurun.sdk.host_buffers import HostBuffers
from gpurun.sdk.park import give_back, take_back
from gpurun.sdk.parking import Parking
from gpurun.sdk.saves import Saves
from gpurun.sdk.session import Session
from gpurun.sdk.state import Attributes
from gpurun.sdk.trainable import Trainable
from gpurun.sdk.ways import Ways

SMALLEST = 64 << 20
LAYERS = 100
GOAL, FROM = 1.3, 1 << 30
"""On a GPU a release or a return takes at most so many times the copy, from this size on."""


class Trained(Trainable):
    """A model after a step, with gradients."""

    def setup(self, config: dict[str, Any]) -> None:
        """As many layers as there are, and all of the state of the size that is told."""
        each = config["size"] // 3 // LAYERS // 4
        weights = [torch.rand(each, device=device_memory.KIND) for _ in range(LAYERS)]
        self.layers = torch.nn.ParameterList([torch.nn.Parameter(weight) for weight in weights])
        self.optimizer = torch.optim.Adam(self.layers.parameters())
        for layer in self.layers:
            layer.grad = torch.ones_like(layer)
        self.optimizer.step()


class Taken(NamedTuple):
    """Seconds of one round."""

    release: float
    copy_out: float
    move_out: float
    resume: float
    copy_in: float
    move_in: float


class ByHand:
    """The same number of bytes in one storage, and one in pinned memory for it."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.buffers = HostBuffers()
        self.host = self.buffers.take(size)
        self.device = torch.ones(size, dtype=torch.uint8, device=device_memory.KIND)
        self.there = self.device.untyped_storage()

    def copy_out(self) -> None:
        """To host memory."""
        self.host.copy_(self.there, non_blocking=True)
        device_memory.settle()

    def copy_in(self) -> None:
        """And back, into memory that is there."""
        self.there.copy_(self.host, non_blocking=True)
        device_memory.settle()

    def move_out(self) -> None:
        """To host memory, and what it took is given back."""
        self.copy_out()
        self.there.resize_(0)
        device_memory.release()

    def move_in(self) -> None:
        """And back, into memory that is taken for it."""
        self.there.resize_(self.size)
        self.copy_in()


def measure(size: int, rounds: int) -> tuple[float, list[Taken]]:
    """Seconds of the first release, which takes the host memory, and those of each round."""
    trained = Trained()
    trained.setup({"size": size})
    subject = Attributes(trained)
    attempt = Attempt(0, 1, "", "", "", "")
    session = Session(subject, attempt, 0, 0, None, None, Saves(), Ways((), subject.obstacle()))
    by_hand = ByHand(size)
    by_hand.copy_out()
    first, _ = _pause(session)
    taken = [_round(session, by_hand) for _ in range(rounds)]
    session.close()
    by_hand.buffers.close()
    return first, taken


def _pause(session: Session) -> tuple[float, float]:
    parking = Parking(session.buffers)
    release = _seconds(lambda: give_back(session, 0, parking, captures=True))
    return release, _seconds(lambda: take_back(parking))


def _round(session: Session, by_hand: ByHand) -> Taken:
    copy_out, copy_in = _seconds(by_hand.copy_out), _seconds(by_hand.copy_in)
    release, resume = _pause(session)
    move_out, move_in = _seconds(by_hand.move_out), _seconds(by_hand.move_in)
    return Taken(release, copy_out, move_out, resume, copy_in, move_in)


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def row(size: int, first: float, taken: list[Taken]) -> tuple[str, float]:
    """A line of the table, and the larger of the two ratios to the plain copies."""
    medians = Taken(*(statistics.median(column) for column in zip(*taken, strict=True)))
    out, back = medians.release / medians.copy_out, medians.resume / medians.copy_in
    cells = [
        format_size(size),
        _shown(first),
        _spread([one.release for one in taken]),
        _shown(medians.copy_out),
        f"{out:.2f}",
        f"{medians.release / medians.move_out:.2f}",
        _spread([one.resume for one in taken]),
        _shown(medians.copy_in),
        f"{back:.2f}",
        f"{medians.resume / medians.move_in:.2f}",
    ]
    return f"| {' | '.join(cells)} |", max(out, back)


def _shown(seconds: float) -> str:
    return f"{1000 * seconds:.1f}"


def _spread(seconds: list[float]) -> str:
    tenths = statistics.quantiles(seconds, n=10, method="inclusive")
    median, least, most = (_shown(one) for one in (statistics.median(seconds), *tenths[::8]))
    return f"{median} ({least}-{most})"


def _stand_in() -> list[str]:
    """Let the CPU stand for the device, with an allocator that counts what it is told."""
    told: list[str] = []

    def release() -> int:
        told.append("release")
        return 0

    device_memory.KIND = "cpu"
    device_memory.release = release
    torch.set_num_threads(1)  # copies by several wait for each other on a busy machine
    return told


def main(words: list[str]) -> int:
    """Print the table; 1 when a GPU misses the goal."""
    parser = argparse.ArgumentParser(description="What a pause in host memory costs.")
    parser.add_argument("--largest", type=parse_size, default=1 << 30)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args(words)
    real = torch.cuda.is_available()
    told = [] if real else _stand_in()
    name = torch.cuda.get_device_name() if real else "the CPU, standing for a device"
    print(f"{name}; PyTorch {torch.__version__}; median (p10-p90) of {options.rounds} rounds, ms\n")
    print("| state | first release | release | copy | x copy | x moved | resume | copy | x copy "
          "| x moved |")  # fmt: skip
    print("| --- " * 10 + "|")
    missed, size = 0, SMALLEST
    while size <= options.largest:
        line, worst = row(size, *measure(size, options.rounds))
        print(line, flush=True)
        missed += real and size >= FROM and worst > GOAL
        size *= 4
    if real:
        print(f"\nfrom {format_size(FROM)} on at most {GOAL} times the copy: "
              f"{'missed' if missed else 'kept'}")  # fmt: skip
    else:
        print(f"\nthe allocator was told to give back {len(told)} times")
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
