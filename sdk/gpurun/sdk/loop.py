"""sdk.job: an existing loop that can step aside, with its own lines around it.

A loop is not an object that could be asked what it holds: so what is to be saved is given to the
job, and a script that is run again comes to its loop by itself, from its first line. The state is
loaded when the job is made, and applied again with the random states at the turn at which it was
paused: what the lines before have done meanwhile does not count.
"""

import sys
from collections.abc import Iterable, Iterator
from functools import partial
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from gpurun.sdk import cycle, limit
from gpurun.sdk.attempt import attempt
from gpurun.sdk.data import Batches
from gpurun.sdk.place import Path, Place
from gpurun.sdk.route import Route

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gpurun.sdk.link import Link
    from gpurun.sdk.present import Opened
    from gpurun.sdk.progress import Progress
    from gpurun.sdk.session import Session
    from gpurun.sdk.subject import Subject

T = TypeVar("T")


def job(*, respawn: bool = False, save_every: int | str | None = None, **values: Any) -> "Job":
    """Make an existing loop pausable; see Job.

    `respawn` says that the script survives being run again from its first line, with its
    iterations going on where they were, so that it may also be asked to exit. `save_every` so many
    turns, or a duration like "10min", there is a checkpoint without a pause.
    """
    return Job(values, respawn=respawn, save_every=save_every)


class Job:
    """What is saved of a loop, and its iterations; each turn of one is a safe point.

    Each keyword is an attribute: what has state_dict and load_state_dict is saved through it, a
    plain value or container as it is, and so are the gradients and all random states. What is set
    on the job later is saved too. What was given stays the object that it is, in every attempt;
    what is set is to be used as job.NAME. A local that is carried from one turn to the next is
    lost: set it on the job.

    `with` is optional; it tells when the training is over. Without it, it is over when the
    outermost iteration of epochs or steps is, the next job of the script is made, or the script
    ends.
    """

    def __init__(
        self, values: dict[str, Any], *, respawn: bool, save_every: int | str | None = None
    ) -> None:
        taken = sorted(name for name in values if name[0] == "_" or hasattr(Job, name))
        if taken:
            raise TypeError(f"job.{taken[0]} is the job's own; give the value another name")
        vars(self).update(values)
        self._route = Route()
        self._session: Session | None = None
        self._looks = False
        """Whether a safe point has to look at more than the link's request."""
        self._link: Link | Nobody = NOBODY
        self._progress: Progress | Nobody = NOBODY
        self._within = False
        self._opened: Opened | None = None
        _begin(self, values.keys(), respawn=respawn, save_every=save_every)

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...

        def __setattr__(self, name: str, value: Any) -> None: ...

    @property
    def epoch(self) -> int | None:
        """What `epochs` has given last; None before."""
        return self._route.epoch

    @property
    def batch(self) -> int:
        """The number of the present batch in its epoch, from 1."""
        return self._route.batch

    @property
    def step(self) -> int:
        """The number of the present turn, from 1, over all iterations and attempts."""
        return self._route.step

    def epochs(self, count: int | range) -> Iterator[int]:
        """Iterate as over range(count), going on with the epoch in which it was paused."""
        return self._epochs(_values(count), self._route.open(_line()))

    def steps(self, count: int | range) -> Iterator[int]:
        """Iterate as over range(count), for loops without a loader; each is a turn."""
        return self._steps(_values(count), self._route.open(_line()))

    def batches(self, loader: Iterable[T], resume: str = "exact") -> "OneEpoch[T]":
        """Iterate over the loader once; each batch is a turn. For `resume` see sdk.batches.

        Where several are open at once, the first to be asked for its next batch makes the turns.
        The count of an enumerate around it begins anew after a pause: job.batch - 1 is the number.
        """
        return OneEpoch(self, loader, resume, _line())

    def watch(self, data: Iterable[T]) -> Iterator[T]:
        """Iterate over it for an evaluation, in which the job may stand or park, but not exit."""
        for value in data:
            if self._session is not None and self._session.asked():
                self._session.step_aside(self.step, evaluates=True)
            yield value

    def turn(self) -> None:
        """A safe point of a loop of any other kind; inside an iteration's turn it is none."""
        route = self._route
        if route.leader is None:
            if self._looks or self._link.request is not None:
                self._stop(route.scope.turn_at(_line()))
            progress = self._progress
            progress.step = route.step
            route.step += 1
            if progress.asleep:
                progress.rouse()

    def __enter__(self) -> Self:
        self._within = True
        return self

    def __exit__(
        self, kind: object, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._close(error)

    # --- iterations

    def _epochs(self, values: range, place: Place) -> Iterator[int]:
        route, around = self._route, self._route.scope
        place.count = len(values)
        try:
            while place.at < len(values) and not place.over:
                leads = route.leader is None
                if leads:
                    route.scope = place
                    self._between(place.path)
                    cycle.begin_epoch(place)
                route.epoch = values[place.at]
                yield values[place.at]
                place.next_item()
                if leads:
                    route.batch = 0
        finally:
            if route.scope is place:
                route.scope = around
            self._end(place)

    def _steps(self, values: range, place: Place) -> Iterator[int]:
        route = self._route
        total = place.before + len(values) if place.outermost else 0
        self._progress.concerns(total, vars(self))
        try:
            for value in () if place.over else values[place.at :]:
                if route.leader is place or route.turns_at(place):
                    if self._looks or self._link.request is not None:
                        self._stop(place.path)
                    progress = self._progress
                    progress.step = route.step
                    route.step += 1
                    if progress.asleep:
                        progress.rouse()
                place.at += 1
                yield value
        finally:
            self._end(place)

    def _batches(self, data: "Batches[T]", place: Place, length: int) -> Iterator[T]:
        if place.over:
            return
        if place.saved is not None:
            data.load_state_dict(place.saved)
        route, place.data, asks = self._route, data, -1
        self._progress.concerns(_total(route.scope, place, length), vars(self))
        try:
            while True:
                leads = route.turns_at(place)
                if leads:
                    asks = self._asked_again(sys._getframe(1).f_lasti, asks)
                    self._between(place.path)
                if data.ended:
                    return
                try:
                    value = data.take()
                except StopIteration:
                    return
                if leads:
                    route.between -= 1  # it was a turn after all
                    route.step += 1
                    route.batch = data.batch
                yield value
        finally:
            self._progress.step = route.step
            route.end(place)

    def _asked_again(self, here: int, before: int) -> int:
        """Who asks for the next batch in two places carries one in a local, which would be lost."""
        if here != before != -1 and self._session is not None:
            self._session.cannot_exit(
                "its batches are asked for in two places, so that a local may carry one over a "
                "turn; give sdk.batches(loader) to the job, and set what is carried on the job"
            )
        return here

    def _end(self, place: Place) -> None:
        """An iteration of epochs or steps is over; the outermost ends what can be paused."""
        self._progress.step = self._route.step
        self._route.end(place)
        ends = place.outermost and not self._within and self._route.returning is None
        if ends and self._session is not None:
            self._looks = True
            self._session.detach()

    # --- safe points

    def _between(self, path: Path) -> None:
        """A safe point of which it is not known that it begins a turn."""
        route = self._route
        if self._looks or self._link.request is not None:
            self._stop(path)
        route.between += 1
        progress = self._progress
        progress.step = route.step
        if progress.asleep:
            progress.rouse()

    def _stop(self, path: Path) -> None:
        """There is something to do, the way back is not over, or it is a new loop's first turn."""
        session, route = self._session, self._route
        if session is None:
            return
        session.attach()
        if route.arrive(path):
            session.apply_again()
        self._looks = session.looks or route.returning is not None
        if route.returning is None and session.asked(route.step):
            session.step_aside(route.step, route.safe_points)

    def _close(self, error: BaseException | None) -> None:
        if self._opened is not None:
            self._opened.close(error)


class Nobody:
    """Asks for nothing and is told nothing: outside gpurun, and when the training is over."""

    request = None
    step = 0
    asleep = False

    def rouse(self) -> None:
        """There is nobody to wake."""

    def concerns(self, total: int, metrics: object) -> None:
        """There is nobody to show it to."""


NOBODY = Nobody()
_OPEN = ("_session", "_opened", "_looks", "_link", "_progress")
"""What is as at the beginning again once the training is over."""


class OneEpoch(Generic[T]):
    """The batches of one epoch; its length is the loader's."""

    def __init__(self, job: Job, loader: Iterable[T], resume: str, line: str) -> None:
        self._job = job
        self._loader = loader
        self._resume = resume
        self._line = line

    def __len__(self) -> int:
        return len(self._loader)  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[T]:
        job, data = self._job, Batches(self._loader, self._resume, endless=False)
        if not data.pausable and job._session is not None:
            cure = "cannot be put back to its place; see resume in sdk.batches"
            job._session.cannot_exit(f"the data of {self._line} {cure}")
        try:
            length = len(self)
        except TypeError:  # a stream
            length = 0
        return job._batches(data, job._route.open(self._line), length)


def _begin(made: Job, given: Iterable[str], *, respawn: bool, save_every: int | str | None) -> None:
    """Under gpurun: load what is to be gone on from, and open the link."""
    this = attempt()
    if this is None:
        return
    limit.hold_to(this.limit)
    from gpurun.sdk.present import Opened
    from gpurun.sdk.saves import Saves

    ended = {name: vars(made)[name] for name in _OPEN}
    subject = _subject(made, given, respawn=respawn)
    closed = partial(vars(made).update, ended)
    opened = Opened(made, subject, this, made._route, closed, Saves(save_every))
    made._opened, made._session = opened, opened.session
    made._looks = opened.session.looks or made._route.returning is not None
    if opened.session.link is not None:
        made._link, made._progress = opened.session.link, opened.session.link.progress
        made._progress.concerns(0, vars(made))


def _subject(made: Job, given: Iterable[str], *, respawn: bool) -> "Subject":
    try:
        from gpurun.sdk.loop_subject import LoopSubject
    except ImportError as error:
        from gpurun.sdk.bare import Bare

        return Bare(f"a checkpoint needs PyTorch and NumPy ({error})")
    return LoopSubject(vars(made), given, made._route, respawn=respawn)


def _values(count: int | range) -> range:
    return count if isinstance(count, range) else range(count)


def _total(around: Place, place: Place, length: int) -> int:
    """Turns that all epochs will have taken, as the first of their iterations knows; else 0."""
    first = around.outermost and place.path[-1] == "0"
    return around.before + around.count * length if first and length else 0


def _line() -> str:
    """Where the script calls the job."""
    frame = sys._getframe(2)
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"
