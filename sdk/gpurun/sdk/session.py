"""A training under gpurun: what it can be asked for, where it goes on, and its link."""

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from gpurun.sdk import cycle
from gpurun.sdk.data import Batches
from gpurun.sdk.errors import CheckpointError
from gpurun.sdk.job import Attempt
from gpurun.sdk.saver import Saver
from gpurun.sdk.say import say
from gpurun.sdk.trainable import Trainable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gpurun.sdk.link import Link

FAILED = 125
"""Exit code of a job whose state cannot be loaded: the training itself has not failed."""


_runs: Counter[Attempt] = Counter()


class Session(NamedTuple):
    """One call of sdk.run in one attempt."""

    checkpoints: str
    """The folder of the job's checkpoints."""
    run: int
    """Which call it is in the script, from 0: a checkpoint belongs to one of them."""
    step: int
    """Where it goes on; 0 for a start."""
    link: "Link | None"
    """None where there can be none: then it merely cannot be paused."""
    saver: Saver


@contextmanager
def opened(trainable: Trainable, attempt: Attempt) -> Iterator[Session]:
    """Load what is to be gone on from, and open the link for as long as the training lasts."""
    run = _runs[attempt]
    _runs[attempt] += 1
    pausable = _ways_to_pause(trainable)
    loaded = _load(trainable, attempt.resume, run) if attempt.resume else None
    # Also where the checkpoint is another's, the first training ends the job's resuming.
    resumed = 0 if loaded is None and attempt.resume and run == 0 else loaded
    link, saver = _link(attempt, pausable, resumed), Saver()
    try:
        with cycle.heard_by(lambda: _tell_cycle(link)):
            yield Session(attempt.checkpoints, run, loaded or 0, link, saver)
    finally:
        saver.wait()
        if link is not None:
            link.close()


def _ways_to_pause(trainable: Trainable) -> tuple[str, ...]:
    try:
        obstacle = _obstacle(trainable)
    except ImportError as error:
        obstacle = f"a checkpoint needs PyTorch and NumPy ({error})"
    except Exception as error:  # noqa: BLE001 - a training that cannot be paused is to train
        obstacle = f"its attributes cannot be read ({type(error).__name__}: {error})"
    if obstacle:
        say(f"this training can stand still, but neither park nor exit: {obstacle}")
        return ("stand",)
    return ("stand", "park", "exit")


def _obstacle(trainable: Trainable) -> str:
    """What stands in the way of a checkpoint; empty when nothing is known to."""
    from gpurun.sdk import state
    from gpurun.sdk.encoding import leaves_of

    state.remember(trainable)
    for path, value in leaves_of(state.attributes(trainable)):
        if isinstance(value, Batches) and not value.pausable:
            return f"the data of {path} cannot return to its place"
    return ""


def _load(trainable: Trainable, path: str, run: int) -> int | None:
    from gpurun.sdk import snapshot

    try:
        step = snapshot.load(trainable, path, run)
    except CheckpointError as error:
        print(f"gpurun: error: {error}", file=sys.stderr, flush=True)
        raise SystemExit(FAILED) from error
    if step is None:
        say(f"{path} is of another training of this job; this one starts from its beginning")
    return step


def _tell_cycle(link: "Link | None") -> None:
    if link is not None:
        from gpurun.protocol import messages as m

        link.send(m.Cycled(**link.fields()))


def _link(attempt: Attempt, pausable: tuple[str, ...], resumed: int | None) -> "Link | None":
    try:
        from gpurun.sdk.link import Link

        link = Link(attempt, pausable, resumed)
        link.open()
    except Exception as error:  # noqa: BLE001 - no ZeroMQ, no descriptor or no thread left
        say(f"this training cannot be paused: no link to the coordinator ({error})")
        return None
    return link
