"""A small Lightning training in which a forgotten piece of state changes the result."""

import os
import random
from collections.abc import Callable
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger
from torch import nn
from torch.utils.data import DataLoader, Dataset
from torchmetrics import MeanMetric

from gpurun import sdk
from gpurun.sdk import rng

EPOCHS, BATCHES = 3, 5
Hook = Callable[[int], None]


class Noisy(Dataset[tuple[torch.Tensor, torch.Tensor]]):
    """Rows with noise from every kind of generator, one of them its own."""

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.own = np.random.default_rng(8)

    def __len__(self) -> int:
        return self.rows

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        noise = torch.rand(()) + random.gauss() + np.random.rand() + self.own.random()
        x = torch.full((4,), index / self.rows) + 0.1 * noise
        return x.float(), x.sum(0, keepdim=True).float()


class Counting(pl.Callback):
    """A callback of the script's own, with what no state_dict tells of."""

    def __init__(self, hook: Hook) -> None:
        self.hook = hook
        self.seen: list[float] = []

    def on_train_batch_start(self, trainer: Any, pl_module: Any, *_: Any) -> None:
        self.hook(trainer.fit_loop.epoch_loop.total_batch_idx)

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, *_: Any) -> None:
        self.seen.append(outputs["loss"].item())

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        raise AssertionError("no pause is an exception") from exception


class Net(pl.LightningModule):
    """Dropout, Adam, three schedules, metrics that last an epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.3), nn.ReLU(), nn.Linear(8, 1))
        self.mean = MeanMetric()
        self.rates: list[float] = []

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        if isinstance(batch[0], list):
            batch = [torch.cat(parts) for parts in zip(*batch, strict=True)]
        x, y = batch
        loss = nn.functional.mse_loss(self.layers(x + 0.01 * random.gauss()), y)
        self.rates.append(self.optimizers().param_groups[0]["lr"])  # type: ignore[union-attr]
        self.mean(loss)
        self.log("loss", loss, on_step=True, on_epoch=True)
        self.log("mean", self.mean, on_step=False, on_epoch=True)
        self.log("largest", loss, on_step=False, on_epoch=True, reduce_fx="max")
        return loss

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        x, y = batch
        self.log("val_loss", nn.functional.mse_loss(self.layers(x), y))

    def configure_optimizers(self) -> Any:
        adam = torch.optim.Adam(self.parameters(), lr=0.01)
        schedulers = torch.optim.lr_scheduler
        return [adam], [
            {"scheduler": schedulers.StepLR(adam, 2, gamma=0.9), "interval": "step"},
            {"scheduler": schedulers.ExponentialLR(adam, 0.8), "interval": "epoch"},
            {
                "scheduler": schedulers.ReduceLROnPlateau(adam, patience=0, threshold=0.5),
                "monitor": "val_loss",
            },
        ]


def loaders(workers: int, **options: Any) -> "tuple[DataLoader[Any], DataLoader[Any]]":
    """Shuffled rows to train on, and others, shuffled too, to validate on."""
    validation = DataLoader(
        Noisy(6), 3, shuffle=True, generator=torch.Generator().manual_seed(9), num_workers=0
    )
    return DataLoader(Noisy(14), 3, shuffle=True, num_workers=workers, **options), validation


def two_lengths() -> "list[DataLoader[Any]]":
    """The second one begins anew in the middle of each epoch."""
    return [DataLoader(Noisy(14), 3, shuffle=True), DataLoader(Noisy(5), 2, shuffle=True)]


def train(
    folder: str,
    hook: Hook = lambda _: None,
    workers: int = 0,
    data: Callable[[], Any] | None = None,
    ckpt_path: str | None = None,
    **options: Any,
) -> dict[str, str]:
    """Train from seeds, as a script does, and give the digests of all that comes of it."""
    random.seed(1)
    np.random.seed(2)
    torch.manual_seed(3)
    net, counting = Net(), Counting(hook)
    trainer: Any = pl.Trainer(
        accelerator="cpu",
        default_root_dir=folder,
        logger=CSVLogger(folder, flush_logs_every_n_steps=4),
        log_every_n_steps=2,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[
            counting,
            EarlyStopping("val_loss", patience=5),
            ModelCheckpoint(
                monitor="loss_epoch", save_top_k=2, save_last=True, save_on_train_epoch_end=True
            ),
        ],
        **{"max_epochs": EPOCHS, **options},
    )
    training, validation = loaders(workers)
    trainer.fit(net, data() if data is not None else training, validation, ckpt_path=ckpt_path)
    outcome = {
        "model": net.state_dict(),
        "optimizer": trainer.optimizers[0].state_dict(),
        "schedulers": [one.scheduler.state_dict() for one in trainer.lr_scheduler_configs],
        "callbacks": [state for one in trainer.callbacks if (state := one.state_dict())],
        "metrics": dict(trainer.callback_metrics),
        "seen": [counting.seen, net.rates],
        "rng": rng.capture(),
        "log": read(f"{folder}/lightning_logs/version_0/metrics.csv"),
        "versions": sorted(os.listdir(f"{folder}/lightning_logs")),
        "saved": sorted(os.listdir(f"{folder}/lightning_logs/version_0/checkpoints")),
    }
    return {name: sdk.digest(value) for name, value in outcome.items()}


def read(path: str) -> str:
    """A file's text."""
    with open(path, encoding="utf-8") as file:
        return file.read()
