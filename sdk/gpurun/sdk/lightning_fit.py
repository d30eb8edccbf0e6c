"""One `Trainer.fit` under gpurun, from the first word of it to its end."""

import sys
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from gpurun.sdk import cycle, lightning_loggers, limit
from gpurun.sdk.attempt import Attempt
from gpurun.sdk.bare import Bare
from gpurun.sdk.lightning_data import place_of
from gpurun.sdk.lightning_subject import LightningSubject, settle
from gpurun.sdk.oom import tell_alone
from gpurun.sdk.opening import begin, opened
from gpurun.sdk.session import Session
from gpurun.sdk.subject import Subject


class Fit:
    """What is changed in a trainer for as long as it fits: each change is to that object alone."""

    def __init__(self, trainer: Any, attempt: Attempt) -> None:
        if attempt.limit:
            limit.hold_to(attempt.limit)
        self.session: Session | None = None
        """From the start of the training on."""
        self._trainer = trainer
        self.attempt = attempt
        self._subject = LightningSubject(trainer)
        self._changes = ExitStack()
        self._begun = begin(self._subject, attempt, (trainer.global_rank, trainer.world_size))
        self._know_the_data(trainer.fit_loop._data_source)
        if self._begun.loaded is not None:
            lightning_loggers.reopen(trainer.loggers, self._subject.part("loggers"))
            self._load_ours(trainer._checkpoint_connector)

    def start(self) -> None:
        """Open the link: all that the training is made of is there."""
        loop = self._trainer.fit_loop.epoch_loop
        if self._begun.loaded is not None:
            settle(loop)  # it would warn that the data cannot return to their place
        self._know_the_turns(loop)
        opening = opened(self._pausable_subject(), self.attempt, begun=self._begun)
        self.session = self._changes.enter_context(opening)

    def _pausable_subject(self) -> Subject:
        spread = self._subject.spread()
        return Bare(spread) if spread else self._subject

    def close(self) -> None:
        """Leave the trainer as it was found, and the coordinator."""
        self.session = None
        self._changes.close()

    def tell_of(self, error: Exception) -> None:
        """Tell the coordinator where the training ends for lack of device memory."""
        if self.session is not None:
            self.session.tell_of(error)
        else:
            tell_alone(self.attempt, error)

    @property
    def turn(self) -> int:
        """Batches done, over all epochs; the same on all ranks."""
        return int(self._trainer.fit_loop.epoch_loop.batch_progress.total.ready)

    def begin_epoch(self) -> None:
        """With the second one, a whole cycle of training, validation and saves is behind."""
        cycle.begin_epoch(self)

    def turn_while_validating(self) -> None:
        """Stand or park if that is asked for; no checkpoint leads back into a validation."""
        if self.session is not None and self.session.asked():
            self.session.step_aside(self.turn, evaluates=True)

    def _know_the_data(self, source: Any) -> None:
        """Have Lightning ask for the loaders here, and give it one that knows its place."""
        original = source.dataloader
        combined = _kind_of_loader(self._trainer)

        def dataloader() -> Any:
            loader = original()
            if not isinstance(loader, combined):
                loader = combined(loader, "max_size_cycle")  # as Lightning would
            place_of(loader)
            return loader

        self._put(source, "dataloader", dataloader)

    def _load_ours(self, connector: Any) -> None:
        """Have Lightning load our checkpoint in place of the one that the script names, if any."""

        def resume_start(checkpoint_path: Any = None, **_: Any) -> None:
            connector._ckpt_path = checkpoint_path
            connector._loaded_checkpoint = self._subject.part("checkpoint")
            vars(connector).pop("resume_start")  # only this time: a tuner loads its own

        self._put(connector, "resume_start", resume_start)

    def _know_the_turns(self, loop: Any) -> None:
        """Be called before each batch is taken."""
        advance = loop.advance

        def turn_and_advance(*arguments: Any) -> None:
            self._turn(loop)
            advance(*arguments)
            self._tell_progress()

        self._put(loop, "advance", turn_and_advance)

    def _turn(self, loop: Any) -> None:
        session = self.session
        if session is None:
            return
        if self._subject.apply():
            session.go_on_from(session.step)
        if session.asked() and not loop._should_accumulate():
            session.step_aside(self.turn)

    def _tell_progress(self) -> None:
        if self.session is not None and self.session.link is not None:
            metrics = self._trainer._logger_connector._callback_metrics
            self.session.link.progress.tell(self.turn, self._total(), metrics)

    def _total(self) -> int:
        """Batches in all; 0 where the end is told in steps or not at all."""
        epochs, batches = self._trainer.fit_loop.max_epochs, self._trainer.fit_loop.max_batches
        return int(epochs * batches) if epochs > 0 and batches != float("inf") else 0

    def _put(self, owner: Any, name: str, function: Callable[..., Any]) -> None:
        vars(owner)[name] = function
        self._changes.callback(vars(owner).pop, name, None)


def _kind_of_loader(trainer: Any) -> Any:
    """The combined loader of the package that the trainer is of."""
    return sys.modules[type(trainer.fit_loop).__module__].CombinedLoader
