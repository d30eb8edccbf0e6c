"""The jobs by number, with the queue kept in its order: a pass looks only at who may go.

All but the jobs themselves is derived. It is kept because 10,000 may wait while eight devices
serve, and no event may cost a look at each of them.
"""

from bisect import bisect_left, insort
from collections.abc import Iterator, MutableMapping

from gpurun.coordinator.core.job import Job
from gpurun.coordinator.core.order import Place, arrival_place, return_place
from gpurun.protocol.job import JobState


class Jobs(MutableMapping[int, Job]):
    """Jobs that live, and ended ones with which a device is still charged."""

    def __init__(self, ageing: float) -> None:
        self._ageing = ageing
        self._jobs: dict[int, Job] = {}
        self._active: dict[int, Job] = {}
        self._queue: list[Place] = []
        self._places: dict[int, Place] = {}
        self._priorities: dict[int, list[Place]] = {}
        """The queue once more, by base priority."""
        self._sharers = 0
        self._deviceless: dict[int, Job] = {}
        self._dependents: dict[int, set[int]] = {}

    def __getitem__(self, number: int) -> Job:
        return self._jobs[number]

    def __setitem__(self, number: int, job: Job) -> None:
        self._leave_queue(number)
        self._depend(number, job)
        self._jobs[number] = job
        if job.state is JobState.QUEUED and not job.charged:
            self._active.pop(number, None)
        else:
            self._active[number] = job
        if job.ready:
            self._enter_queue(job)

    def __delitem__(self, number: int) -> None:
        self._leave_queue(number)
        self._depend(number, None)
        del self._jobs[number]
        self._active.pop(number, None)

    def __iter__(self) -> Iterator[int]:
        return iter(self._jobs)

    def __len__(self) -> int:
        return len(self._jobs)

    def active(self) -> list[Job]:
        """All but those that only wait for their first start."""
        return list(self._active.values())

    def queue(self) -> Iterator[Job]:
        """Those that could start if there were room, first in line first."""
        return (self._jobs[place[-1]] for place in self._queue)

    def some(self, begin: int, number: int) -> list[Job]:
        """So many of the queue, from this place on."""
        return [self._jobs[place[-1]] for place in self._queue[begin : begin + number]]

    def deviceless(self) -> list[Job]:
        """Those in the queue that need no device."""
        return list(self._deviceless.values())

    def dependents(self, number: int) -> list[Job]:
        """Those that may start only when this one has finished, oldest first."""
        return [self._jobs[job] for job in sorted(self._dependents.get(number, ()))]

    @property
    def sharers(self) -> int:
        """How many in the queue do not mind who else computes."""
        return self._sharers

    @property
    def queued(self) -> int:
        """How many are in the queue."""
        return len(self._queue)

    @property
    def top_priority(self) -> int:
        """The highest base priority of any in the queue; -100 where it is empty."""
        return max(self._priorities, default=-100)

    def above(self, priority: int) -> Iterator[Job]:
        """Those in the queue whose base priority is higher, the highest first."""
        for found in sorted((p for p in self._priorities if p > priority), reverse=True):
            yield from (self._jobs[place[-1]] for place in self._priorities[found])

    def ahead_of(self, number: int) -> int:
        """How many come before the job in the queue; 0 for one that is not in it."""
        place = self._places.get(number)
        return 0 if place is None else bisect_left(self._queue, place)

    def _enter_queue(self, job: Job) -> None:
        place = self._places[job.id] = self._place_of(job)
        insort(self._queue, place)
        insort(self._priorities.setdefault(job.spec.priority, []), place)
        self._sharers += job.spec.share
        if job.spec.gpus == 0:
            self._deviceless[job.id] = job

    def _leave_queue(self, number: int) -> None:
        place = self._places.pop(number, None)
        if place is None:
            return
        job = self._jobs[number]
        del self._queue[bisect_left(self._queue, place)]
        self._sharers -= job.spec.share
        self._deviceless.pop(number, None)
        equals = self._priorities[job.spec.priority]
        del equals[bisect_left(equals, place)]
        if not equals:
            del self._priorities[job.spec.priority]

    def _depend(self, number: int, job: Job | None) -> None:
        before = self._jobs[number].after if number in self._jobs else ()
        after = job.after if job is not None else ()
        if before == after:
            return
        for other in before:
            self._dependents[other].discard(number)
            if not self._dependents[other]:
                del self._dependents[other]
        for other in after:
            self._dependents.setdefault(other, set()).add(number)

    def _place_of(self, job: Job) -> Place:
        if job.state is JobState.QUEUED:
            return arrival_place(job, self._ageing)
        if job.pause is None:  # it gave way to nobody: it is run again from its checkpoint
            return return_place(job, self._ageing, None)
        equals = (found for found in self.queue() if found.spec.priority <= job.spec.priority)
        first = next(equals, None)
        return return_place(job, self._ageing, self._places[first.id] if first else None)
