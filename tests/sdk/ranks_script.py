"""The ranks of a distributed training that dawdle, for tests that start and kill them.

    python -m tests.sdk.ranks_script WORLD STEPS SPEAKER

Each trains twice, first as if there were no gpurun, and prints its number and its digest.
"""

import os
import random
import sys
import time
from multiprocessing import get_context
from typing import Any

import torch
import torch.distributed as dist
from tests.sdk.coordinator_double import wait_until
from tests.sdk.trainings import small_loader
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from gpurun import sdk
from gpurun.sdk import device_memory, state
from gpurun.sdk.link import Link

links: list[Link] = []
DAWDLE = 0.003
"""Seconds for which a rank sleeps in a step at most."""


class Distributed(sdk.Trainable):
    """Dropout and batch norm under DDP, with batches and noise of each rank's own."""

    not_saved = ("awaits_request",)

    def setup(self, config: dict[str, Any]) -> None:
        torch.manual_seed(3 + dist.get_rank())
        random.seed(2 + dist.get_rank())
        net = nn.Sequential(
            nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.3), nn.ReLU(), nn.Linear(8, 1)
        )
        self.model = DistributedDataParallel(net)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=0.01)
        self.data = sdk.batches(small_loader(0))
        self.done = 0
        self.awaits_request = config.get("awaits_request", False)
        if "board" in config:
            wait_until(lambda: os.path.exists(config["board"]), "the first rank")

    def step(self) -> dict[str, Any]:
        time.sleep(DAWDLE * int.from_bytes(os.urandom(1), "big") / 256)
        x, y = next(self.data)
        while len(x) < 2:  # batch norm wants two
            x, y = next(self.data)
        loss = nn.functional.mse_loss(self.model(x + 0.01 * random.gauss()), y)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.done += 1
        if self.done == 3 and self.awaits_request:
            wait_until(lambda: links[0].request is not None, "the request")
        return {"loss": loss.item()}


def remember_link() -> None:
    """Have the link that is opened at hand."""
    really_open = Link.open

    def remember_and_open(link: Link) -> None:
        links.append(link)
        really_open(link)

    Link.open = remember_and_open  # type: ignore


def full_disk(subject: state.Attributes, folder: str) -> object:
    """Save as where there is no room."""
    raise OSError(28, "No space left on device", folder)


def tell(rank: int, digest: str) -> None:
    """Print a line that no other rank can break into."""
    os.write(1, f"{rank} {digest}\n".encode())


def train(rank: int, world: int, steps: int, speaker: int) -> None:
    """Be one rank."""
    os.environ.update(RANK=str(rank), WORLD_SIZE=str(world))
    dist.init_process_group("gloo")
    job = os.environ.pop("GPURUN_JOB")
    if "GPURUN_RESUME" not in os.environ:
        tell(rank, sdk.run(Distributed, steps=steps).digest)
    os.environ["GPURUN_JOB"] = job
    board = os.path.join(os.environ["GPURUN_CHECKPOINT_DIR"], ".ranks-0", "board")
    if os.environ.get("FULL_DISK_OF") == str(rank):
        state.Attributes.save = full_disk  # type: ignore
    config: dict[str, Any] = {"board": board}
    if rank == speaker:
        config = {"awaits_request": "GPURUN_RESUME" not in os.environ}
        remember_link()
    tell(rank, sdk.run(Distributed, config, steps=steps).digest)
    dist.destroy_process_group()


if __name__ == "__main__":
    torch.set_num_threads(1)
    device_memory.KIND = "cpu"
    world, *rest = [int(word) for word in sys.argv[1:]]
    fork = get_context("fork")
    ranks = [fork.Process(target=train, args=(rank, world, *rest)) for rank in range(world)]
    for process in ranks:
        process.start()
    for process in ranks:
        process.join()
    sys.exit(any(process.exitcode for process in ranks))
