"""A small training: a thousand slow steps, until the file named in its argument is there."""

import os
import random
import sys
import time
from typing import Any

import numpy
import torch

from gpurun import sdk

STEPS = 1000
SLOW = 0.02


class Counting(sdk.Trainable):
    """A walk of random steps, so that one step lost or done twice shows at its end."""

    def setup(self, config: dict[str, Any]) -> None:
        seed(0)
        self.place = torch.zeros(8)
        self.done = 0

    def step(self) -> None:
        self.place += torch.randn(8) * self.place.cos()
        self.done += 1
        if self.done == 1:
            print(f"trains as {os.getpid()}", flush=True)
        time.sleep(0 if os.path.exists(sys.argv[1]) else SLOW)


def seed(number: int) -> None:
    """Seed every generator: the digest covers them all, used or not."""
    random.seed(number)
    numpy.random.seed(number)
    torch.manual_seed(number)


print(f"digest {sdk.run(Counting, steps=STEPS).digest}", flush=True)
