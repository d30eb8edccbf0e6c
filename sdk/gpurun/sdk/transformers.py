"""Pausing a training of Hugging Face's Trainer: `Trainer(callbacks=[PauseCallback()])`.

No callback is ever given its trainer, so the first PauseCallback of a process wraps `Trainer.train`
for all trainers; subclasses that have a train() of their own reach it through `super()`. Outside
gpurun nothing is wrapped.
"""

import functools
from typing import Any

from transformers import Trainer, TrainerCallback

from gpurun.sdk import attempt as attempts
from gpurun.sdk.say import say


class PauseCallback(TrainerCallback):  # type: ignore[misc]
    """Makes the training one that can be paused, and that goes on from there when run again.

    It pauses between two steps of the optimizer, behind what belongs to the first: its log, its
    evaluation, its save. In an evaluation it may stand or park, but not exit. Pauses do not touch
    `output_dir`, and `train()` needs no argument to go on. After a pause the training ends in the
    same state, bit for bit, as without one (deterministic kernels provided). Outside gpurun it
    does nothing.

    Saved are model, optimizer, scheduler, scaler, random states, the place in the data,
    TrainerState, and those attributes of trainer and callbacks that are plain values, tensors, or
    have a state_dict; other objects are as the script makes them again. Workers of the loader end
    with each epoch, also persistent ones.

    `resume` says what to do with the data after a pause by exit, as for `sdk.batches`: an
    IterableDataset, which cannot return to its place, needs "skip" (read up to there again),
    "epoch" or "fresh", or its training never exits.
    """

    def __init__(self, resume: str = "exact") -> None:
        self.resume = resume
        self.training: Any = None
        """The call of train() that runs, where it has been made pausable."""
        if attempts.attempt() is not None:
            _wrap_train()

    def on_train_begin(self, *_args: Any, **_kwargs: Any) -> None:
        """Say so where the training cannot be paused."""
        if attempts.attempt() is not None and self.training is None:
            say("this training cannot be paused: its trainer does not use the train() of Trainer")

    def on_prediction_step(self, *_args: Any, **_kwargs: Any) -> None:
        """In an evaluation of a training, stand or park where that is asked for."""
        if self.training is not None:
            self.training.watch()


def _wrap_train() -> None:
    really_train = Trainer.train
    if hasattr(really_train, "__gpurun__"):
        return

    @functools.wraps(really_train)
    def train(
        trainer: Any,
        resume_from_checkpoint: Any = None,
        trial: Any = None,
        *args: Any,
        **kwargs: Any,
    ) -> Any:
        callbacks = trainer.callback_handler.callbacks
        found = [callback for callback in callbacks if isinstance(callback, PauseCallback)]
        attempt = attempts.attempt()
        if attempt is None or not found:
            return really_train(trainer, resume_from_checkpoint, trial, *args, **kwargs)
        from gpurun.sdk.hf_training import Training

        def train_from(resume: Any) -> Any:
            return really_train(trainer, resume, trial, *args, **kwargs)

        training = Training(trainer, found[0].resume)
        for callback in found:
            callback.training = training
        try:
            return training.run(attempt, trial, resume_from_checkpoint, train_from)
        finally:
            for callback in found:
                callback.training = None

    train.__gpurun__ = True  # type: ignore[attr-defined]
    Trainer.train = train
