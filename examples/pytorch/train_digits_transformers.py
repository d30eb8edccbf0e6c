"""Train a small vision transformer on handwritten digits with Hugging Face's Trainer.

    python train_digits_transformers.py        trains
    gpurun train_digits_transformers.py        trains when it is safe, and pauses when asked to

Both print the same digest, however often the second was paused. All that makes it pausable is the
callback; the model comes from its configuration, so that nothing is downloaded.
"""

import argparse
import os
import tempfile
import time
from typing import Any

import torch
from sklearn.datasets import load_digits
from transformers import (
    Trainer,
    TrainerCallback,
    TrainingArguments,
    ViTConfig,
    ViTForImageClassification,
)

from gpurun import sdk

TRAINING_IMAGES = 1500


class Pace(TrainerCallback):  # type: ignore[misc]
    """Keeps each step from ending too soon, so that there is time for a pause."""

    def __init__(self, step_time: float) -> None:
        self.step_time = step_time

    def on_step_end(self, *_args: Any, **_kwargs: Any) -> None:
        """Wait."""
        time.sleep(self.step_time)


def dataset() -> list[dict[str, Any]]:
    """1,797 images of 8 by 8 pixels, and the digits that they show."""
    pixels, digits = load_digits(return_X_y=True)
    images = torch.tensor(pixels / 16, dtype=torch.float32).reshape(-1, 1, 8, 8)
    return [
        {"pixel_values": image, "labels": digit}
        for image, digit in zip(images, digits.tolist(), strict=True)
    ]


def model() -> ViTForImageClassification:
    """A transformer of one layer over sixteen patches, with dropout."""
    config = ViTConfig(
        image_size=8,
        patch_size=2,
        num_channels=1,
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=4,
        intermediate_size=64,
        hidden_dropout_prob=0.1,
        num_labels=10,
    )
    return ViTForImageClassification(config)


def accuracy(prediction: Any) -> dict[str, float]:
    """Share of the images that are recognised."""
    return {"accuracy": float((prediction.predictions.argmax(1) == prediction.label_ids).mean())}


def main() -> None:
    """Train, then print what came of it."""
    parser = argparse.ArgumentParser(description="Train a vision transformer on digits.")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--step-time", type=float, default=0.0, help="seconds added to a step")
    options = parser.parse_args()
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS wants it for the next
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(0)
    rows = dataset()
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            folder,
            max_steps=options.steps,
            per_device_train_batch_size=64,
            learning_rate=0.005,
            warmup_steps=20,
            logging_steps=20,
            dataloader_pin_memory=False,
            save_strategy="no",
            disable_tqdm=True,
            report_to=[],
        )
        trainer = Trainer(
            model(),
            arguments,
            train_dataset=rows[:TRAINING_IMAGES],
            eval_dataset=rows[TRAINING_IMAGES:],
            compute_metrics=accuracy,
            callbacks=[sdk.transformers.PauseCallback(), Pace(options.step_time)],
        )
        trainer.train()
        print(f"digest {sdk.digest([trainer.model, trainer.optimizer, trainer.lr_scheduler])}")
        print(f"accuracy {trainer.evaluate()['eval_accuracy']:.3f}")


if __name__ == "__main__":
    main()
