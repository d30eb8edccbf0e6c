"""The loop: set up, load, and one step after another, with a safe point before each."""

from typing import Any, Generic, TypeVar

from gpurun.sdk import attempt as attempts
from gpurun.sdk import limit
from gpurun.sdk.bar import shown
from gpurun.sdk.trainable import Trainable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from gpurun.sdk.attempt import Attempt
    from gpurun.sdk.session import Session
    from gpurun.sdk.subject import Subject


T = TypeVar("T", bound=Trainable)


class Result(Generic[T]):
    """What a training came to."""

    def __init__(
        self,
        trainable: T,
        steps: int,
        metrics: dict[str, Any],
        best: "Callable[[], int | None] | None" = None,
    ) -> None:
        self.trainable = trainable
        """The object itself, trained."""
        self.steps = steps
        """Steps done, over all attempts."""
        self.metrics = metrics
        """What the last step returned."""
        self._best = best

    def restore_best(self) -> int | None:
        """Put the trainable back to its best checkpoint and return that one's step.

        None, and nothing is changed, where `best` was not told or nothing was saved.
        """
        return None if self._best is None else self._best()

    @property
    def digest(self) -> str:
        """SHA-256 of the trainable's attributes and the random states as they are now."""
        from gpurun.sdk.digests import digest

        return digest(self.trainable)


def run(
    trainable_class: type[T],
    config: dict[str, Any] | None = None,
    *,
    steps: int,
    save_every: int | str | None = None,
    keep: int = 2,
    best: str = "",
    mode: str = "min",
) -> Result[T]:
    """Train for so many steps in all; under gpurun, stepping aside when asked.

    After a pause the same call goes on from the checkpoint, and its result is the same, bit for
    bit, as that of a training which was never interrupted (deterministic kernels provided).

    `save_every` so many steps, or a duration like "10min", there is a checkpoint without a pause:
    after a crash, `gpurun retry` goes on from the last. The newest `keep` stay, and of those with
    the metric `best` the best ("min" or "max" by `mode`), for Result.restore_best.
    """
    attempt = attempts.attempt()
    if attempt is not None:
        limit.hold_to(attempt.limit)
    trainable = trainable_class()
    try:
        _set_up(trainable, config, attempt)
        if attempt is None and not best:
            return _train(trainable, steps, None)
        from gpurun.sdk.opening import opened
        from gpurun.sdk.saves import Saves

        subject, saves = _subject(trainable), Saves(save_every, keep, best, mode)
        with opened(subject, attempt or attempts.alone(), saves) as session:
            return _train(trainable, steps, session)
    finally:
        trainable.cleanup()


def _set_up(trainable: Trainable, config: dict[str, Any] | None, attempt: "Attempt | None") -> None:
    """Call setup, in which a model goes to its device: what it lacks there is told as in a step."""
    try:
        trainable.setup(dict(config or {}))
    except Exception as error:
        if attempt is not None:
            from gpurun.sdk.oom import tell_alone

            tell_alone(attempt, error)
        raise


def _train(trainable: T, steps: int, session: "Session | None") -> Result[T]:
    metrics: dict[str, Any] = (session.subject.last if session else None) or {}
    begun = session.step if session else 0
    asked = session.asked if session else _never
    try:
        with shown(steps, begun) as show:
            for done in range(begun, steps):
                if asked(done) and session:
                    session.step_aside(done)
                metrics = trainable.step() or {}
                show(done + 1, metrics)
                if session:
                    session.has_come_to(done + 1, steps, metrics)
        if session:
            session.finish(max(begun, steps))
    except Exception as error:
        if session:
            session.tell_of(error)
        raise
    best = session.restore_best if session else None
    return Result(trainable, max(begun, steps), metrics, best)


def _never(done: int) -> bool:
    """Nobody asks."""
    del done
    return False


def _subject(trainable: Trainable) -> "Subject":
    try:
        from gpurun.sdk.state import Attributes
    except ImportError as error:
        from gpurun.sdk.bare import Bare

        return Bare(f"a checkpoint needs PyTorch and NumPy ({error})")
    return Attributes(trainable)
