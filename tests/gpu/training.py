"""A training on a device: dropout, Adam, deterministic kernels; slow until a file is there.

    python training.py GO KIND SIZE

Its state is of about SIZE bytes on a device of that KIND; it prints its pid, and its digest.
"""

import os
import sys
import time
from typing import Any

os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when cuBLAS is first used

import random

import numpy
import torch

from gpurun import sdk
from gpurun.sdk import device_memory

STEPS = 1000
SLOW = 0.06
"""Seconds that a step sleeps while there is no GO."""
GO, KIND, SIZE = sys.argv[1], sys.argv[2], int(sys.argv[3])


class Wide(sdk.Trainable):
    """One square matrix holds nearly all of it: weights and two moments, four bytes each."""

    def setup(self, config: dict[str, Any]) -> None:
        random.seed(1)
        numpy.random.seed(1)
        torch.manual_seed(1)
        torch.use_deterministic_algorithms(True)
        self.width = int((SIZE / 3 / 4) ** 0.5)
        layers = torch.nn.Linear(self.width, self.width), torch.nn.Linear(self.width, 1)
        self.model = torch.nn.Sequential(layers[0], torch.nn.Dropout(0.3), layers[1]).to(KIND)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=1e-4)
        self.done = 0

    def step(self) -> None:
        self.optimizer.zero_grad()
        self.model(torch.randn(4, self.width, device=KIND)).square().mean().backward()
        self.optimizer.step()
        self.done += 1
        if self.done == 2:
            print(f"trains as {os.getpid()}", flush=True)
        time.sleep(0 if os.path.exists(GO) else SLOW)


device_memory.KIND = KIND
print(f"digest {sdk.run(Wide, steps=STEPS).digest}", flush=True)
