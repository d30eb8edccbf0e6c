"""Train on handwritten digits with PyTorch Lightning; nothing in here is of gpurun.

    python train_digits_lightning.py             trains
    gpurun train_digits_lightning.py             trains when it is safe, and pauses when asked to

Both print the same, however often the second was paused.
"""

import argparse
import time
from typing import Any

import lightning
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

TRAINING_IMAGES = 1500


class Digits(lightning.LightningModule):
    """A small network with dropout, and a learning rate that falls."""

    def __init__(self, step_time: float) -> None:
        super().__init__()
        self.step_time = step_time
        self.layers = nn.Sequential(
            nn.Linear(64, 128), nn.ReLU(), nn.Dropout(0.2), nn.Linear(128, 10)
        )

    def training_step(self, batch: Any) -> torch.Tensor:
        """Learn from one batch."""
        images, digits = batch
        loss = nn.functional.cross_entropy(self.layers(images), digits)
        self.log("loss", loss, on_epoch=True)
        time.sleep(self.step_time)
        return loss

    def validation_step(self, batch: Any) -> None:
        """Count what is recognised."""
        images, digits = batch
        self.log("accuracy", (self.layers(images).argmax(1) == digits).float().mean())

    def configure_optimizers(self) -> Any:
        """Adam, with half the learning rate every fifth epoch."""
        adam = torch.optim.Adam(self.parameters(), lr=0.01)
        return [adam], [torch.optim.lr_scheduler.StepLR(adam, 5, gamma=0.5)]


def data() -> "tuple[DataLoader[Any], DataLoader[Any]]":
    """Images of 8 by 8 pixels, flattened, and the digits that they show: to learn, and to test."""
    pixels, digits = load_digits(return_X_y=True)
    images, labels = torch.tensor(pixels / 16, dtype=torch.float32), torch.tensor(digits)
    parts = (slice(0, TRAINING_IMAGES), slice(TRAINING_IMAGES, None))
    training, held_out = (TensorDataset(images[part], labels[part]) for part in parts)
    return DataLoader(training, batch_size=64, shuffle=True), DataLoader(held_out, batch_size=300)


def main() -> None:
    """Train, then print what came of it."""
    parser = argparse.ArgumentParser(description="Train on handwritten digits with Lightning.")
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--step-time", type=float, default=0.0, help="more seconds for a step")
    options = parser.parse_args()
    lightning.seed_everything(0)
    model = Digits(options.step_time)
    trainer = lightning.Trainer(
        max_epochs=options.epochs,
        deterministic=True,
        devices=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    training, held_out = data()
    trainer.fit(model, training, held_out)
    print(f"weights {sum(p.double().abs().sum().item() for p in model.parameters())!r}")
    print(f"accuracy {trainer.callback_metrics['accuracy'].item():.3f}")


if __name__ == "__main__":
    main()
