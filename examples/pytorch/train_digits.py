"""Train a small network on handwritten digits, so that it can step aside and come back.

    python train_digits.py             trains
    gpurun train_digits.py             trains when it is safe, and pauses when asked to

Both print the same digest, however often the second was paused.
"""

import argparse
import os
import random
import time
from typing import Any

import numpy
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from gpurun import sdk

TRAINING_IMAGES = 1500


class Digits(sdk.Trainable):
    """All that `setup` makes is saved and restored, except for what `not_saved` names."""

    not_saved = ("step_time",)

    def setup(self, config: dict[str, Any]) -> None:
        """Make the data, the network and what trains it."""
        seed(0)
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS wants it for the next
        torch.use_deterministic_algorithms(True)
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        images, digits = dataset(self.device)
        training = TensorDataset(images[:TRAINING_IMAGES], digits[:TRAINING_IMAGES])
        self.data = sdk.batches(DataLoader(training, batch_size=64, shuffle=True))
        self.model = nn.Sequential(
            nn.Linear(64, 128), nn.ReLU(), nn.Dropout(0.2), nn.Linear(128, 10)
        ).to(self.device)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=0.01)
        self.scheduler = torch.optim.lr_scheduler.StepLR(self.optimizer, 100, gamma=0.5)
        self.step_time = float(config["step_time"])
        self.done = 0

    def step(self) -> dict[str, Any]:
        """Learn from one batch."""
        began = time.monotonic()
        images, digits = next(self.data)
        loss = nn.functional.cross_entropy(self.model(images), digits)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.scheduler.step()
        self.done += 1
        if self.done % 50 == 0:
            print(f"step {self.done}  epoch {self.data.epoch}  loss {loss.item():.4f}", flush=True)
        time.sleep(max(0.0, began + self.step_time - time.monotonic()))
        return {"loss": loss.item()}

    def accuracy(self) -> float:
        """Share of the held-out images that are recognised."""
        images, digits = dataset(self.device)
        self.model.eval()
        with torch.no_grad():
            found = self.model(images[TRAINING_IMAGES:]).argmax(1)
        return float((found == digits[TRAINING_IMAGES:]).float().mean())


def seed(number: int) -> None:
    """Seed every generator: the digest covers them all, used or not."""
    random.seed(number)
    numpy.random.seed(number)
    torch.manual_seed(number)


def dataset(device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """1,797 images of 8 by 8 pixels, flattened, and the digits that they show."""
    pixels, digits = load_digits(return_X_y=True)
    return (
        torch.tensor(pixels / 16, dtype=torch.float32, device=device),
        torch.tensor(digits, dtype=torch.int64, device=device),
    )


def main() -> None:
    """Train, then print what came of it."""
    parser = argparse.ArgumentParser(description="Train a small network on handwritten digits.")
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--step-time", type=float, default=0.0, help="least seconds for a step")
    options = parser.parse_args()
    result = sdk.run(Digits, config={"step_time": options.step_time}, steps=options.steps)
    print(f"digest {result.digest}")
    print(f"accuracy {result.trainable.accuracy():.3f}")


if __name__ == "__main__":
    main()
