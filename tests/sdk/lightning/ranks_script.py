"""Two ranks of Lightning's DDP, which starts the second one by itself."""

import os
import random
import sys
import time
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from tests.sdk.lightning.trainings import Net, loaders

from gpurun import sdk
from gpurun.sdk import rng


class Slow(Net):
    """Slow until the file named in the argument is there."""

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        time.sleep(0 if os.path.exists(sys.argv[1]) else 0.05)
        return super().training_step(batch, batch_idx)


if __name__ == "__main__":
    random.seed(1)
    np.random.seed(2)
    torch.manual_seed(3)
    trainer: Any = pl.Trainer(
        max_epochs=30,
        accumulate_grad_batches=3,
        accelerator="cpu",
        devices=2,
        strategy="ddp",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    net = Slow()
    trainer.fit(net, *loaders(0))
    digest = sdk.digest([net.state_dict(), net.rates, rng.capture()])
    line = f"rank {trainer.global_rank} {digest}\n"
    os.write(1, line.encode())  # at once: both have the same pipe
