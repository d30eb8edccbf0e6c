"""Small trainings in which a forgotten piece of state changes the result."""

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from gpurun import sdk


class Tiny(sdk.Trainable):
    """Dropout, a shuffled loader, Adam, a schedule, and numbers from every generator."""

    not_saved: tuple[str, ...] = ("before_step",)

    def setup(self, config: dict[str, Any]) -> None:
        random.seed(2)
        np.random.seed(4)
        torch.manual_seed(3)
        self.model = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.3), nn.ReLU(), nn.Linear(8, 1))
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=0.01)
        self.scheduler = torch.optim.lr_scheduler.StepLR(self.optimizer, 2, gamma=0.9)
        self.data = sdk.batches(small_loader(config.get("workers", 0)))
        self.generator = np.random.default_rng(5)
        self.losses: list[float] = []
        self.best = float("inf")
        self.before_step: Callable[[int], None] = config.get("before_step", lambda _step: None)

    def step(self) -> dict[str, Any]:
        self.before_step(len(self.losses))
        x, y = next(self.data)
        x = x + 0.01 * (random.gauss() + np.random.rand() + self.generator.random())
        loss = nn.functional.mse_loss(self.model(x), y)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.scheduler.step()
        self.losses.append(loss.item())
        self.best = min(self.best, loss.item())
        return {"loss": loss.item()}


def small_loader(workers: int) -> "DataLoader[Any]":
    """Ten rows in shuffled batches of three."""
    x = torch.arange(40, dtype=torch.float32).reshape(10, 4) / 40
    rows = TensorDataset(x, x.sum(1, keepdim=True))
    return DataLoader(rows, batch_size=3, shuffle=True, num_workers=workers)
