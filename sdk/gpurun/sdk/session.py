"""A training under gpurun: what it can be asked for, where it goes on, and its link."""

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from gpurun.sdk import cycle
from gpurun.sdk.attempt import Attempt
from gpurun.sdk.errors import CheckpointError
from gpurun.sdk.saver import Saver
from gpurun.sdk.say import say
from gpurun.sdk.snapshot import Moment, load
from gpurun.sdk.subject import Subject

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gpurun.sdk.link import Link

FAILED = 125
"""Exit code of a job whose state cannot be loaded: the training itself has not failed."""


_runs: Counter[Attempt] = Counter()


class Session:
    """One training in one attempt."""

    def __init__(
        self, subject: Subject, checkpoints: str, run: int, step: int, link: "Link | None"
    ) -> None:
        self.subject = subject
        self.checkpoints = checkpoints
        """The folder of the job's checkpoints."""
        self.run = run
        """Which training of its script it is, from 0: a checkpoint belongs to one of them."""
        self.step = step
        """Where it goes on; 0 for a start."""
        self.link = link
        """None where there can be none: then it merely cannot be paused."""
        self.saver = Saver()

    def asked(self) -> bool:
        """Whether there is something to do at this safe point; read at each, without a lock."""
        return self.link is not None and self.link.request is not None

    def step_aside(self, step: int) -> None:
        """Answer what is asked, so many steps being done; return when the training is to go on."""
        from gpurun.sdk.pause import step_aside

        if self.link is not None:
            step_aside(self.link, self, step)

    def moment(self, step: int) -> Moment:
        """Where it is when so many steps are done."""
        return Moment(step, self.run)

    def tell_of(self, error: Exception) -> None:
        """Tell the coordinator where the training ends for lack of device memory."""
        if self.link is not None:
            from gpurun.sdk.oom import tell_of_oom

            tell_of_oom(self.link, error)


@contextmanager
def opened(subject: Subject, attempt: Attempt) -> Iterator[Session]:
    """Load what is to be gone on from, and open the link for as long as the training lasts."""
    run = _runs[attempt]
    _runs[attempt] += 1
    pausable = _ways_to_pause(subject)
    loaded = _load(subject, attempt.resume, run) if attempt.resume else None
    # Also where the checkpoint is another's, the first training ends the job's resuming.
    resumed = 0 if loaded is None and attempt.resume and run == 0 else loaded
    link = _link(attempt, pausable, resumed)
    session = Session(subject, attempt.checkpoints, run, loaded or 0, link)
    try:
        with cycle.heard_by(lambda: _tell_cycle(link)):
            yield session
    finally:
        session.saver.wait()
        if link is not None:
            link.close()


def _ways_to_pause(subject: Subject) -> tuple[str, ...]:
    try:
        obstacle = subject.obstacle()
    except Exception as error:  # noqa: BLE001 - a training that cannot be paused is to train
        obstacle = f"its attributes cannot be read ({type(error).__name__}: {error})"
    if obstacle:
        say(f"this training can stand still, but neither park nor exit: {obstacle}")
        return ("stand",)
    return ("stand", "park", "exit")


def _load(subject: Subject, path: str, run: int) -> int | None:
    try:
        step = load(subject, path, run)
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
