"""A training under gpurun: what it can be asked for, where it goes on, and its link."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property, partial
from typing import NamedTuple

from gpurun.sdk import checkpoint, cycle, trackers
from gpurun.sdk.attempt import Attempt, trainings
from gpurun.sdk.bare import Bare
from gpurun.sdk.checkpoint import Label, Written
from gpurun.sdk.errors import CheckpointError, RanksError
from gpurun.sdk.moment import Moment, Part
from gpurun.sdk.saver import Saver
from gpurun.sdk.saves import Saves
from gpurun.sdk.say import say
from gpurun.sdk.subject import Subject

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gpurun.sdk.host_buffers import HostBuffers
    from gpurun.sdk.link import Link
    from gpurun.sdk.ranks import Ranks

FAILED = 125
"""Exit code of a job whose state cannot be loaded: the training itself has not failed."""


class Ways(NamedTuple):
    """How a training can be paused."""

    pausable: tuple[str, ...]
    unsaved: str
    """Why no checkpoint of it could be gone on from; empty where one could."""


class Session:
    """One training in one attempt."""

    def __init__(
        self,
        subject: Subject,
        attempt: Attempt,
        run: int,
        step: int,
        link: "Link | None",
        ranks: "Ranks | None",
        saves: Saves,
        ways: Ways,
    ) -> None:
        self.subject = subject
        self.checkpoints = attempt.checkpoints
        """The folder of the job's checkpoints."""
        self.unsaved = ways.unsaved
        """Why no checkpoint of it could be gone on from; empty where one could."""
        self._pausable = ways.pausable
        self._resume = attempt.resume
        self._checks = attempt.checks
        self._ranks = ranks
        self.run = run
        """Which training of its script it is, from 0: a checkpoint belongs to one of them."""
        self.step = step
        """Where it goes on; 0 for a start."""
        self.link = link
        """None where there can be none: then it merely cannot be paused."""
        self.saver = Saver()
        self.saves = saves
        self._speaks = ranks is None or ranks.speaks
        """Whether it decides when to save."""
        self._began = time.monotonic()
        saves.begin(step)
        self.looks = self._checks or ranks is not None or saves.wanted
        """Whether each safe point has to look at more than the link's request."""

    @cached_property
    def buffers(self) -> "HostBuffers":
        """Where it parks, and is copied to for a save; the saver reads there, too."""
        from gpurun.sdk.host_buffers import HostBuffers

        return HostBuffers()

    def asked(self, step: int = 0) -> bool:
        """Whether there is something to do at this safe point; read at each, without a lock."""
        if self.link is not None and self.link.request is not None:
            return True
        return self.looks and self._has_more(step)

    def _has_more(self, step: int) -> bool:
        if self._ranks is not None and self._ranks.posted():
            return True
        return self._checks or (self._speaks and self.saves.due(step))

    def step_aside(self, step: int, turn: int | None = None, *, evaluates: bool = False) -> None:
        """Answer what is asked, so many steps being done; return when the training is to go on.

        `turn` counts the safe points, as in every other rank; the steps do where it is not told.
        One that evaluates may stand or park, and comes to a request to exit at its next turn;
        where there are other ranks, it does nothing before that.
        """
        if self._checks:
            from gpurun.sdk.checking import at_safe_point

            at_safe_point(self, step)
            return
        from gpurun.sdk.pause import step_aside

        if self._ranks is not None:
            if not evaluates:
                self._step_aside_together(self._ranks, step, step if turn is None else turn)
            return
        trackers.remember(self.checkpoints, self.run)
        if not evaluates and self.saves.due(step):
            self._save(step)
        if self.link is not None:
            step_aside(self.link, self, step, evaluates=evaluates)

    def _step_aside_together(self, ranks: "Ranks", step: int, turn: int) -> None:
        requested = self.link is not None and self.link.request is not None
        if not ranks.stops_at(turn, asked=requested or self.saves.due(step)):
            return
        if ranks.rank == 0:
            trackers.remember(self.checkpoints, self.run)
        if not ranks.speaks:
            from gpurun.sdk.following import follow

            follow(self, ranks, step)
            return
        from gpurun.sdk.pause import step_aside

        try:
            if self.link is not None and self.link.request is not None:
                step_aside(self.link, self, step)
            elif self.saves.due(step):
                self.saves.begin(step)
                self.gather("save")
                self._save(step)
                self.saver.wait()
        except RanksError as error:
            say(f"a checkpoint could not be written, and the training goes on: {error}")
        finally:
            ranks.end(writes=self.saver.busy)

    def _save(self, step: int) -> None:
        from gpurun.sdk.saving import save

        save(self, step)

    def gather(self, how: str) -> bool:
        """Have all ranks step aside in this way; raise RanksError where one does not come."""
        self.saver.wait()
        if self._ranks is not None:
            self._ranks.begin(how)
        return True

    def write(
        self, step: int, part: Part, *, metric: float | None = None, final: bool = False
    ) -> Written:
        """Make a checkpoint of this rank's part and those of the others."""
        ranks = self._ranks
        fill = part if ranks is None else partial(ranks.fill, part=part)
        label = Label(step, self.run, final, metric)
        try:
            return checkpoint.write(self.checkpoints, label, fill, self.saves.keep)
        except BaseException:
            if ranks is not None:
                ranks.give_up()
            raise

    def most_kept(self, kept: int) -> int:
        """Bytes kept by the rank that keeps most of its device, once all have given back."""
        if self._ranks is None:
            return kept
        self._ranks.released(kept)
        return self._ranks.most_kept()

    def apply_again(self) -> None:
        """Put its state and the random states back, at the turn at which it was paused."""
        step = _load(self.subject, self._resume, self.moment(0))
        if step is not None:
            self.go_on_from(step)

    def go_on_from(self, step: int) -> None:
        """Its state has been put back at the turn at which it was paused."""
        if self.link is not None:
            self.link.go_on_from(step)

    def cannot_exit(self, why: str) -> None:
        """Take back that it may exit: no checkpoint could be gone on from."""
        if not self.unsaved:
            self.unsaved = why
            self._pausable = tuple(way for way in self._pausable if way != "exit")
            _say_ways(self._pausable, why)
        if self.link is not None:
            self.link.offer(self._pausable)

    def restore_best(self) -> int | None:
        """Put the state back to that of the best checkpoint; its step, or None without one."""
        self.saver.wait()
        mode = self.saves.keep.best
        path = checkpoint.best(self.checkpoints, self.run, mode) if mode else None
        if path is None:
            return None
        return _load(self.subject, path, self.moment(0), random_states=False)

    def finish(self, step: int) -> None:
        """The training has come to its end."""
        if self._ranks is None and not self._checks:
            from gpurun.sdk.saving import save_last

            save_last(self, step, time.monotonic() - self._began)

    def detach(self) -> None:
        """Its loop is over, and no other may follow: nobody asks it until it attaches."""
        if self.link is not None:
            self.link.detach()

    def attach(self) -> None:
        """A loop of it begins."""
        if self.link is not None:
            self.link.attach()

    def close(self) -> None:
        """The training is over: nobody asks it any more, and no rank waits for it."""
        self.saver.wait()
        if "buffers" in vars(self):
            self.buffers.close()
        if self._ranks is not None:
            self._ranks.leave()
        if self.link is not None:
            self.link.close()

    def moment(self, step: int) -> Moment:
        """Where it is when so many steps are done."""
        if self._ranks is None:
            return Moment(step, self.run)
        return Moment(step, self.run, self._ranks.rank, self._ranks.world)

    def has_come_to(self, step: int, total: int, metrics: object) -> None:
        """So many steps are done, of so many (0 where that is not known), with these metrics."""
        self.subject.last = metrics
        if self.link is not None:
            self.link.progress.tell(step, total, metrics)

    def tell_of(self, error: Exception) -> None:
        """Tell the coordinator where the training ends for lack of device memory."""
        if self.link is not None:
            from gpurun.sdk.oom import tell_of_oom

            tell_of_oom(self.link, error)


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
        loaded = _load(subject, attempt.resume, moment, random_states=not subject.applied_again)
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
    ways = _ways_to_pause(subject)
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


def _ways_to_pause(subject: Subject) -> Ways:
    """What it offers; says so where that is not all."""
    if isinstance(subject, Bare):
        why = subject.obstacle()
        return _said(("stand",), why, why)
    try:
        obstacle, unsupported = subject.obstacle(), subject.unsupported()
    except Exception as error:  # noqa: BLE001 - a training that cannot be paused is to train
        why = f"its attributes cannot be read ({type(error).__name__}: {error})"
        return _said(("stand",), why, why)
    unsaved = obstacle or ("" if subject.saves_itself else unsupported)
    offers = {"stand": True, "park": not unsupported, "exit": not unsaved}
    ways = tuple(way for way, offered in offers.items() if offered)
    return _said(ways, unsaved, unsupported or unsaved)


def _said(pausable: tuple[str, ...], unsaved: str, why: str) -> Ways:
    if why:
        _say_ways(pausable, why)
    return Ways(pausable, unsaved)


def _say_ways(pausable: tuple[str, ...], why: str) -> None:
    lacking = [way for way in ("park", "exit") if way not in pausable]
    if len(lacking) == 1:
        say(f"this training can {' or '.join(pausable)}, but not {lacking[0]}: {why}")
    else:
        say(f"this training can stand still, but neither park nor exit: {why}")


def _load(subject: Subject, path: str, moment: Moment, *, random_states: bool = True) -> int | None:
    from gpurun.sdk.snapshot import load

    try:
        step = load(subject, path, moment, random_states=random_states)
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
