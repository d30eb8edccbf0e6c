"""sdk.job: an existing loop that can step aside, with its own lines around it.

A loop is not an object that could be asked what it holds: so what is to be saved is given to the
job, and a script that is run again comes to its loop by itself, from its first line. The state is
loaded when the job is made, and applied again with the random states at the turn at which it was
paused: what the lines before have done meanwhile does not count.
"""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from gpurun.sdk import cycle, limit
from gpurun.sdk.attempt import attempt
from gpurun.sdk.data import Batches
from gpurun.sdk.place import Place
from gpurun.sdk.route import Route
from gpurun.sdk.say import say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gpurun.sdk.session import Session

T = TypeVar("T")


def job(*, respawn: bool = False, **values: Any) -> "Job":
    """Make an existing loop pausable; see Job.

    `respawn` says that the script survives being run again from its first line, with its
    iterations going on where they were, so that it may also be asked to exit.
    """
    return Job(values, respawn=respawn)


class Job:
    """What is saved of a loop, and its iterations; each turn of one is a safe point.

    Each keyword is an attribute: what has state_dict and load_state_dict is saved through it, a
    plain value or container as it is, and so are the gradients and all random states. What is set
    on the job later is saved too. `with` is optional; it tells when the training is over.
    """

    def __init__(self, values: dict[str, Any], *, respawn: bool) -> None:
        taken = sorted(name for name in values if name[0] == "_" or hasattr(Job, name))
        if taken:
            raise TypeError(f"job.{taken[0]} is the job's own; give the value another name")
        vars(self).update(values)
        self._route = Route()
        self._session: Session | None = None
        self._apply: Callable[[], None] = _nothing
        self._asked: Callable[[], bool] = _never
        self._open = ExitStack()
        _begin(self, respawn=respawn)

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
        values = count if isinstance(count, range) else range(count)
        return self._epochs(values, self._route.open(_line()))

    def steps(self, count: int | range) -> Iterator[int]:
        """Iterate as over range(count), for loops without a loader; each is a turn."""
        values = count if isinstance(count, range) else range(count)
        return self._steps(values, self._route.open(_line()))

    def batches(self, loader: Iterable[T], resume: str = "exact") -> "OneEpoch[T]":
        """Iterate over the loader once; each batch is a turn. For `resume` see sdk.batches.

        Where several are open at once, the first to be asked for its next batch makes the turns.
        """
        return OneEpoch(self, loader, resume, _line())

    def watch(self, data: Iterable[T]) -> Iterator[T]:
        """Iterate over it for an evaluation, in which the job may stand or park, but not exit."""
        for value in data:
            if self._asked() and self._session is not None:
                self._session.step_aside(self.step, evaluates=True)
            yield value

    def turn(self) -> None:
        """A safe point of a loop of any other kind."""
        place = self._route.scope.turns()
        self._turn(place)
        place.at += 1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: object, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._close(error)

    # --- iterations

    def _epochs(self, values: range, place: Place) -> Iterator[int]:
        route, around = self._route, self._route.scope
        try:
            while place.at < len(values) and not place.over:
                route.scope = place
                self._safe_point(place)
                cycle.begin_epoch(place)
                route.epoch = values[place.at]
                yield values[place.at]
                place.next_item()
                route.batch = 0
        finally:
            route.scope = around
            route.end(place)
        if place.path[:-1] == ():
            self._close(None)

    def _steps(self, values: range, place: Place) -> Iterator[int]:
        try:
            while place.at < len(values) and not place.over:
                if self._route.turns_at(place):
                    self._turn(place)
                place.at += 1
                yield values[place.at - 1]
        finally:
            self._route.end(place)
        if place.path[:-1] == ():
            self._close(None)

    def _batches(self, data: "Batches[T]", place: Place) -> Iterator[T]:
        if place.over:
            return
        if place.saved is not None:
            data.load_state_dict(place.saved)
        place.data = data
        try:
            while True:
                leads = self._route.turns_at(place)
                if leads:
                    self._safe_point(place)
                if data.ended:
                    return
                try:
                    value = data.take()
                except StopIteration:
                    return
                if leads:
                    self._route.step += 1
                    self._route.batch = data.batch
                yield value
        finally:
            self._route.end(place)

    # --- safe points

    def _turn(self, place: Place) -> None:
        self._safe_point(place)
        self._route.step += 1

    def _safe_point(self, place: Place) -> None:
        if self._route.returning is not None and self._route.returning == place.path:
            self._route.returning = None
            self._apply()
        self._route.turn(place)
        if self._asked() and self._route.returning is None and self._session is not None:
            self._session.step_aside(self._route.step, self._route.turns)

    def _close(self, error: BaseException | None) -> None:
        if isinstance(error, Exception) and self._session is not None:
            self._session.tell_of(error)
        self._asked = _never
        self._open.close()
        if error is None and self._route.returning is not None:
            say("the loop never came to the place at which it was paused: has the script changed?")


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
        data = Batches(self._loader, self._resume, endless=False)
        if not data.pausable and self._job._session is not None:
            cure = "cannot be put back to its place; see resume in sdk.batches"
            self._job._session.cannot_exit(f"the data of {self._line} {cure}")
        return self._job._batches(data, self._job._route.open(self._line))


def _begin(made: Job, *, respawn: bool) -> None:
    """Under gpurun: load what is to be gone on from, and open the link."""
    this = attempt()
    if this is None:
        return
    limit.hold_to(this.limit)
    from gpurun.sdk.loop_subject import LoopSubject
    from gpurun.sdk.session import opened

    subject = LoopSubject(vars(made), made._route, respawn=respawn)
    made._session = session = made._open.enter_context(opened(subject, this))
    made._asked, made._apply = session.asked, session.apply_again


def _line() -> str:
    """Where the script calls the job."""
    frame = sys._getframe(2)
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


def _nothing() -> None:
    """There is nothing to apply."""


def _never() -> bool:
    """Outside gpurun, and when the training is over, nobody asks."""
    return False
