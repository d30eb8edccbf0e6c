"""Loops as users write them, given to a job; each ends in a digest of all that counts."""

import random
from collections.abc import Callable

import numpy as np
import torch
from tests.sdk.trainings import small_loader
from torch import nn

from gpurun import sdk

Hook = Callable[[int], None]
EPOCHS = 3
TURNS = 12
"""Batches of all epochs: four of ten rows by three."""


def accumulating(hook: Hook, workers: int = 0) -> str:
    """An ordinary loop: accumulation, an epoch's mean into ReduceLROnPlateau, best and history."""
    random.seed(2)
    np.random.seed(4)
    torch.manual_seed(3)
    model = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.3), nn.ReLU(), nn.Linear(8, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=0)
    loader = small_loader(workers)
    job = sdk.job(
        respawn=True,
        model=model,
        optimizer=optimizer,
        scheduler=scheduler,
        best=float("inf"),
        history=[],
        losses=[],
    )
    for epoch in job.epochs(EPOCHS):
        model.train()
        job.losses = []
        for x, y in job.batches(loader):
            hook(job.step)
            noise = 0.01 * (random.gauss() + np.random.rand())
            loss = nn.functional.mse_loss(model(x + noise), y)
            (loss / 2).backward()
            if job.batch % 2 == 0:
                optimizer.step()
                optimizer.zero_grad()
            job.losses.append(loss.item())
        model.eval()
        with torch.no_grad():
            seen = [nn.functional.mse_loss(model(x), y).item() for x, y in job.watch(loader)]
        scheduler.step(sum(job.losses) / len(job.losses))
        job.best = min(job.best, *seen)
        job.history.append((epoch, seen))
    return sdk.digest(
        {
            "model": model.state_dict(),
            "optimizer": optimizer.state_dict(),
            "scheduler": scheduler.state_dict(),
            "best": job.best,
            "history": job.history,
            "random": [random.gauss(), np.random.rand(), torch.rand(1)],
        }
    )
