"""Small trainings with Hugging Face's Trainer in which a forgotten piece of state would show."""

import os
import random
from collections.abc import Callable
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"

import numpy as np
import torch
from torch.utils.data import Dataset
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

from gpurun import sdk
from gpurun.sdk import rng

Cases = dict[str, dict[str, Any]]
STEPS = 9
ROWS = 20
"""Seven batches, the last of them short: the last of an epoch's four steps has one alone."""
_TIMES = ("_runtime", "_per_second")


class Noisy(Dataset[dict[str, torch.Tensor]]):
    """Rows that are different each time, by numbers from every generator."""

    def __len__(self) -> int:
        return ROWS

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        tokens = torch.arange(6) + index % 10
        drawn = torch.rand(()) + np.random.rand() + random.gauss()
        tokens[int(2 * drawn) % 6] = 1
        return {"input_ids": tokens, "labels": torch.tensor(index % 2)}


class Hook(TrainerCallback):  # type: ignore[misc]
    """Calls a function before each step, and counts."""

    def __init__(self, before_step: Callable[[int], object]) -> None:
        self._before_step = before_step
        self.steps = 0
        self.seen: list[float] = []

    def on_step_begin(self, _args: Any, state: Any, _control: Any, **_: Any) -> None:
        self.steps += 1
        self._before_step(state.global_step)

    def on_log(self, _args: Any, _state: Any, _control: Any, logs: Any, **_: Any) -> None:
        self.seen.append(logs.get("loss", 0.0))


class Tuner(Trainer):  # type: ignore[misc]
    """A subclass as TRL's are: its own train, step and metrics; and losses are scaled."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.own_metrics: dict[str, list[float]] = {"train": []}
        self.buffered: list[dict[str, torch.Tensor]] = []
        self.accelerator.scaler = torch.amp.GradScaler("cpu", init_scale=4.0, growth_interval=2)

    def train(self, *args: Any, **kwargs: Any) -> Any:
        return super().train(*args, **kwargs)

    def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any = None) -> Any:
        self.buffered = [*self.buffered, inputs][-2:]
        return super().training_step(model, self.buffered[0], num_items_in_batch)

    def compute_loss(self, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        loss = super().compute_loss(model, inputs, *args, **kwargs)
        if model.training:
            self.own_metrics["train"].append(loss.item())
        return loss


def nobody(step: int) -> None:
    """Do nothing before a step."""


def trainer(
    folder: str,
    before_step: Callable[[int], object] = nobody,
    *,
    kind: type[Trainer] = Trainer,
    data: Any = None,
    callbacks: tuple[Any, ...] = (),
    resume: str = "exact",
    compute_metrics: Any = None,
    **changes: Any,
) -> Any:
    """A trainer of a tiny model, with all that keeps state: dropout, accumulation, a warmup."""
    torch.manual_seed(1)
    config = BertConfig(
        vocab_size=20,
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=16,
        hidden_dropout_prob=0.2,
        num_labels=2,
    )
    arguments = {
        "per_device_train_batch_size": 3,
        "gradient_accumulation_steps": 2,
        "max_steps": STEPS,
        "learning_rate": 0.01,
        "warmup_steps": 4,
        "logging_steps": 2,
        "eval_strategy": "steps",
        "eval_steps": 3,
        "save_strategy": "no",
        "use_cpu": True,
        "disable_tqdm": True,
        "report_to": [],
        **changes,
    }
    return kind(
        BertForSequenceClassification(config),
        TrainingArguments(folder, **arguments),
        train_dataset=Noisy() if data is None else data,
        eval_dataset=Noisy(),
        compute_metrics=compute_metrics,
        callbacks=[sdk.transformers.PauseCallback(resume), Hook(before_step), *callbacks],
    )


def digest(trained: Any) -> str:
    """That of all that training has changed, but for the times that it took."""
    history = [
        {name: value for name, value in line.items() if not name.endswith(_TIMES)}
        for line in trained.state.log_history
    ]
    hook = next(c for c in trained.callback_handler.callbacks if isinstance(c, Hook))
    return sdk.digest(
        {
            "model": trained.model,
            "optimizer": trained.optimizer,
            "scheduler": trained.lr_scheduler,
            "scaler": trained.accelerator.scaler,
            "history": history,
            "step": (trained.state.global_step, trained.state.epoch, trained.state.total_flos),
            "own": getattr(trained, "own_metrics", None),
            "hook": (hook.steps, hook.seen),
            "rng": rng.capture(),
        }
    )


def train(folder: str, before_step: Callable[[int], object] = nobody, **changes: Any) -> str:
    """Train, and give the digest."""
    trained = trainer(folder, before_step, **changes)
    trained.train()
    return digest(trained)
