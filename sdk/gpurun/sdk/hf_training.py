"""Trainer.train under gpurun, with a turn before each step and a way back to that of a pause.

A Trainer goes to a step when it is told to resume from a folder with a trainer_state.json. Then it
would load its own files, skip batches and restore random states, each a little too early or too
late. All of that is left out: the turn before its first step puts everything back at once.
"""

import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from transformers import trainer as library

from gpurun.sdk import limit
from gpurun.sdk.attempt import Attempt
from gpurun.sdk.bare import Bare
from gpurun.sdk.hf_loader import Loader
from gpurun.sdk.hf_subject import TrainerSubject
from gpurun.sdk.hf_turns import Back, Turns
from gpurun.sdk.opening import opened
from gpurun.sdk.subject import Subject

_LOADS = (
    "_load_from_checkpoint",
    "_load_optimizer_and_scheduler",
    "_load_scaler",
    "_load_rng_state",
)
"""With what a Trainer reads a checkpoint of its own."""

_skip_first_batches = library.skip_first_batches


class Training:
    """One call of train(); `data_resume` is that of sdk.batches."""

    def __init__(self, trainer: Any, data_resume: str) -> None:
        self._trainer = trainer
        self._data_resume = data_resume
        self._turns = Turns(trainer)
        self.watch = self._turns.watch

    def run(self, attempt: Attempt, trial: object, resume: Any, train: Callable[[Any], Any]) -> Any:
        """Call `train` with `resume`; after a pause, with what goes on from there instead."""
        limit.hold_to(attempt.limit)
        with opened(self._subject(trial), attempt) as session, ExitStack() as stack:
            self._turns.session = session
            stack.enter_context(self._with_turns())
            if self._turns.back is not None:
                resume = stack.enter_context(self._going_to(self._turns.back))
            try:
                return train(resume)
            except Exception as error:
                session.tell_of(error)
                raise

    def _subject(self, trial: object) -> Subject:
        if self._trainer.is_deepspeed_enabled or self._trainer.is_fsdp_enabled:
            return Bare("what DeepSpeed and FSDP have split cannot be saved")
        return TrainerSubject(self._trainer, self._turns, trial)

    @contextmanager
    def _with_turns(self) -> Iterator[None]:
        make = self._trainer.get_train_dataloader
        with (
            _replaced(self._trainer, get_train_dataloader=lambda: self._loader(make())),
            _replaced(library, skip_first_batches=self._skip),
        ):
            yield

    def _loader(self, loader: Any, skipped: int = 0) -> Loader:
        made = Loader(loader, self._turns.turn, self._data_resume, skipped)
        if not made.data.pausable and self._turns.session is not None:
            self._turns.session.cannot_exit(
                "its data cannot return to its place; where it comes in the same order each time, "
                'say PauseCallback(resume="skip")'
            )
        return made

    def _skip(self, loader: Any, batches: int = 0) -> Any:
        """What a Trainer that resumes calls; where it goes back to a pause, the place knows."""
        if type(loader) is not Loader:
            return _skip_first_batches(loader, batches)
        skipped = batches if self._turns.back is None else self._turns.back.place["skipped"]
        if not skipped:
            return loader
        made = self._loader(_skip_first_batches(loader.loader, skipped), skipped)
        made.epoch = loader.epoch
        return made

    @contextmanager
    def _going_to(self, back: Back) -> Iterator[str]:
        """Have the trainer begin where the pause was; gives the folder to resume from."""
        begin, evaluate = self._trainer._init_training_state, self._trainer._evaluate

        def begin_there(*args: Any, **kwargs: Any) -> tuple[int, int]:
            begin(*args, **kwargs)
            return back.begin

        def evaluate_after(*args: Any, **kwargs: Any) -> Any:
            if self._turns.back is not None:  # eval_on_start: that was before the pause
                return None
            return evaluate(*args, **kwargs)

        with (
            tempfile.TemporaryDirectory() as folder,
            _replaced(
                self._trainer,
                _init_training_state=begin_there,
                _evaluate=evaluate_after,
                **dict.fromkeys(_LOADS, _load_nothing),
            ),
            _replaced(self._trainer.args, ignore_data_skip=False),
        ):
            with open(f"{folder}/{library.TRAINER_STATE_NAME}", "w", encoding="utf-8") as file:
                json.dump(back.state, file)
            yield folder


def _load_nothing(*_args: Any, **_kwargs: Any) -> None:
    """The turn puts it all back."""


@contextmanager
def _replaced(owner: Any, **values: Any) -> Iterator[None]:
    """Give it these attributes meanwhile."""
    before = {name: vars(owner)[name] for name in values if name in vars(owner)}
    vars(owner).update(values)
    try:
        yield
    finally:
        for name in values:
            del vars(owner)[name]
        vars(owner).update(before)
