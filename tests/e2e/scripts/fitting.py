"""An ordinary script of PyTorch Lightning, which knows nothing of gpurun.

Its steps are slow until the file named in its argument is there.
"""

import os
import sys
import time
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.loggers import CSVLogger
from torch.utils.data import DataLoader, TensorDataset

SLOW = 0.05


class Fitting(pl.LightningModule):
    """A linear layer, fitted to noise."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(8, 1)

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        (x,) = batch
        loss = self.layer(x + 0.1 * torch.randn(8)).square().mean()
        self.log("loss", loss, on_step=True, on_epoch=True)
        time.sleep(0 if os.path.exists(sys.argv[1]) else SLOW)
        return loss  # type: ignore[no-any-return]

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.01, momentum=0.9)

    def on_exception(self, exception: BaseException) -> None:
        print("an exception:", exception)


class Watching(pl.Callback):
    """Says what it is told of."""

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        print("trains", file=sys.stderr, flush=True)

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        print("an exception:", exception, flush=True)


pl.seed_everything(1, verbose=False)
folder = sys.argv[2]
best = ModelCheckpoint(monitor="loss_epoch", save_top_k=3)
trainer = pl.Trainer(
    max_epochs=20,
    accelerator="cpu",
    default_root_dir=folder,
    logger=CSVLogger(folder, flush_logs_every_n_steps=5),
    log_every_n_steps=1,
    enable_progress_bar=False,
    enable_model_summary=False,
    callbacks=[best, Watching()],
)
model = Fitting()
trainer.fit(model, DataLoader(TensorDataset(torch.rand(64, 8)), batch_size=8, shuffle=True))
scores = {os.path.basename(path): score.item() for path, score in best.best_k_models.items()}
print("after fit", model.layer.weight.tolist(), sorted(scores.items()))
with open(f"{folder}/lightning_logs/version_0/metrics.csv", encoding="utf-8") as log:
    print(log.read())
print(os.listdir(f"{folder}/lightning_logs"))
