"""The beginning of a training under gpurun: count it, load what it goes on from, open the link."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from gpurun.sdk import cycle, trackers
from gpurun.sdk.attempt import Attempt, trainings
from gpurun.sdk.loading import load_or_end
from gpurun.sdk.moment import Moment
from gpurun.sdk.saves import Saves
from gpurun.sdk.say import say
from gpurun.sdk.session import Session
from gpurun.sdk.subject import Subject
from gpurun.sdk.ways import ways_to_pause

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gpurun.sdk.link import Link
    from gpurun.sdk.ranks import Ranks


class Begun(NamedTuple):
    """A training that has loaded what it goes on from, and done nothing yet."""

    run: int
    """Which of its script it is, from 0."""
    loaded: int | None
    """The step from which it goes on; None for a start."""


def begin(subject: Subject, attempt: Attempt, among: tuple[int, int] | None = None) -> Begun:
    """Count it, and load; one of several that have not met yet says its rank, and how many."""
    from gpurun.sdk.ranks import rank_and_world

    run = trainings[attempt]
    trainings[attempt] += 1
    loaded = None
    if attempt.resume:
        rank, world = among or rank_and_world()
        moment = Moment(0, run, rank, world)
        loaded = load_or_end(
            subject, attempt.resume, moment, random_states=not subject.applied_again
        )
    if loaded is not None:
        trackers.export(attempt.checkpoints, run)
    return Begun(run, loaded)


@contextmanager
def opened(
    subject: Subject, attempt: Attempt, saves: Saves | None = None, begun: Begun | None = None
) -> Iterator[Session]:
    """Load, unless that is done, and open the link for as long as the training lasts."""
    session = _session(subject, attempt, saves or Saves(), begun)
    link = session.link
    try:
        with cycle.heard_by(lambda: _tell_cycle(link)):
            yield session
    finally:
        session.close()


def _session(subject: Subject, attempt: Attempt, saves: Saves, begun: Begun | None) -> Session:
    ways = ways_to_pause(subject)
    run, loaded = begun or begin(subject, attempt)
    ranks = _among_ranks(attempt, run)
    resumed = None if subject.applied_again else loaded
    if loaded is None and attempt.resume and run == 0:
        resumed = 0  # also where the checkpoint is another's, the first ends the job's resuming
    speaks = (ranks is None or ranks.speaks) and bool(attempt.socket)
    link = _link(attempt, subject, ways.pausable, resumed) if speaks else None
    return Session(subject, attempt, run, loaded or 0, link, ranks, saves, ways)


def _among_ranks(attempt: Attempt, run: int) -> "Ranks | None":
    from gpurun.sdk.ranks import Ranks, life, rank_and_world

    rank, world = rank_and_world()
    if world == 1:
        return None
    return Ranks(f"{attempt.checkpoints}/.ranks-{run}", rank, world, life(attempt.number))


def _tell_cycle(link: "Link | None") -> None:
    if link is not None:
        from gpurun.protocol import messages as m

        link.send(m.Cycled(**link.fields()))


def _link(
    attempt: Attempt, subject: Subject, pausable: tuple[str, ...], resumed: int | None
) -> "Link | None":
    try:
        from gpurun.sdk.link import Link

        link = Link(attempt, pausable, resumed, no_respawn=subject.no_respawn)
        link.open()
    except Exception as error:  # noqa: BLE001 - no ZeroMQ, no descriptor or no thread left
        say(f"this training cannot be paused: no link to the coordinator ({error})")
        return None
    return link
