"""A small training whose data two worker processes load, each drawing random numbers of its own.

Its steps are slow until the file named in its argument is there.
"""

import os
import random
import sys
import time
from typing import Any

import numpy
import torch
from torch.utils.data import DataLoader, Dataset

from gpurun import sdk

STEPS = 300
SLOW = 0.03


class Noise(Dataset[torch.Tensor]):
    """What an augmentation draws depends on the worker, on the epoch and on the order."""

    def __len__(self) -> int:
        return 64

    def __getitem__(self, index: int) -> torch.Tensor:
        return torch.rand(8) + index


class Loading(sdk.Trainable):
    """A linear layer fitted to noise."""

    def setup(self, config: dict[str, Any]) -> None:
        seed(0)
        loader = DataLoader(Noise(), batch_size=2, shuffle=True, num_workers=2)
        self.data = sdk.batches(loader)
        self.model = torch.nn.Linear(8, 1)
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=1e-6, momentum=0.9)

    def step(self) -> None:
        loss = self.model(next(self.data)).square().mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        time.sleep(0 if os.path.exists(sys.argv[1]) else SLOW)


def seed(number: int) -> None:
    """Seed every generator: the digest covers them all, used or not."""
    random.seed(number)
    numpy.random.seed(number)
    torch.manual_seed(number)


print(f"digest {sdk.run(Loading, steps=STEPS).digest}", flush=True)
