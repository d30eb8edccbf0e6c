"""PyTorch Lightning: `Trainer(callbacks=[sdk.lightning.PauseCallback()])`.

Under gpurun it is there by itself, so that an unmodified script can be paused. A pause is between
two batches: what follows a batch, its validation, its saves and its schedulers, is behind, and the
next one has not been taken. An attempt that goes on has Lightning come to the same line, and gives
everything its value there. No exception is raised for it, and no hook is told of one.
"""

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from gpurun.sdk.attempt import Attempt, attempt
from gpurun.sdk.lightning_fit import Fit
from gpurun.sdk.say import say

if TYPE_CHECKING:
    from lightning.pytorch import Callback
else:
    _PACKAGES = ("lightning.pytorch", "pytorch_lightning")
    _package = next((name for name in _PACKAGES if name in sys.modules), _PACKAGES[0])
    Callback = importlib.import_module(_package).Callback


class PauseCallback(Callback):
    """Lets a training step aside under gpurun; elsewhere it does nothing.

    After a pause the same `fit` goes on where it was, whatever `ckpt_path` it is given. Beside what
    Lightning keeps, this keeps the random states, the place in the training data, tensors, plain
    values and whatever has a `state_dict` in the attributes of modules and callbacks, the metrics
    of the epoch, and the versions of loggers that count them.
    """

    def __init__(self) -> None:
        self._log: Any = None
        self._fit: Fit | None = None

    @property
    def log(self) -> Any:
        """The module's function of that name, as in every callback."""
        return self._log

    @log.setter
    def log(self, log: Any) -> None:
        """Begin: no hook comes before the loggers are opened, but this is given before that."""
        self._log = log
        trainer, now = log.__self__.trainer, attempt()
        ours = [one for one in trainer.callbacks if isinstance(one, PauseCallback)]
        if now is not None and trainer.state.fn == "fit" and ours[0] is self:
            self._end()
            with self._training_anyway(now):
                self._fit = Fit(trainer, now)

    def on_train_start(self, *_: Any) -> None:
        """The link opens."""
        if self._fit is not None:
            with self._training_anyway(self._fit.attempt):
                self._fit.start()

    def on_train_epoch_start(self, *_: Any) -> None:
        """An epoch begins, rather than goes on."""
        if self._fit is not None:
            self._fit.begin_epoch()

    def on_validation_batch_start(self, *_: Any, **__: Any) -> None:
        """A place at which it may stand or park."""
        if self._fit is not None:
            self._fit.turn_while_validating()

    def on_exception(self, _trainer: Any, _module: Any, exception: BaseException) -> None:
        """A real one: it ends the training."""
        if self._fit is not None and isinstance(exception, Exception):
            self._fit.tell_of(exception)
        self._end()

    def teardown(self, *_: Any, **__: Any) -> None:
        """The fit is over."""
        self._end()

    @contextmanager
    def _training_anyway(self, now: Attempt) -> Iterator[None]:
        """A Lightning that is not as it is known here trains, and merely cannot be paused.

        Unless there is something to go on from: that is not to be trained over.
        """
        try:
            yield
        except Exception as error:
            if now.resume:
                raise
            self._end()
            why = f"its Lightning is not one that is known here ({type(error).__name__}: {error})"
            say(f"this training cannot be paused: {why}")

    def _end(self) -> None:
        fit, self._fit = self._fit, None
        if fit is not None:
            fit.close()
