"""What is replayed: a trace's trainings at the load wanted, with light tasks between them."""

import math
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from benchmarks.replaying.trace import Work

LIGHT_KINDS = (
    "A3C",
    "LM (batch size 5)",
    "Recommendation (batch size 512)",
    "ResNet-18 (batch size 16)",
)
"""What light tasks are like on a device: small types, so that their pairs are measured too."""
LIGHT_MEAN, LIGHT_LEAST, LIGHT_MOST = 120.0, 5.0, 900.0
"""Seconds that a light task takes: exponential, clipped."""


@dataclass(frozen=True, slots=True)
class Mix:
    """How many jobs of which kind come, and how close together."""

    jobs: int = 4000
    light: float = 1.0
    """Light tasks for each training. They come as a Poisson process."""
    load: float = 0.7
    """Share of the devices' time, until the last arrival, that all work would fill if each job had
    its devices to itself: arrivals are compressed to reach it."""
    clip: float = 0.01
    """This share of the trainings, the longest, are shortened to the longest of the others."""
    seed: int = 0


def mixed(trainings: Sequence[Work], mix: Mix, devices: int) -> list[Work]:
    """The jobs of a replay in the order of their arrivals, numbered anew."""
    count = max(1, round(mix.jobs / (1 + mix.light)))
    trainings = _repeated(_clipped(trainings, mix.clip), count)
    pick = random.Random(mix.seed)  # noqa: S311 - a benchmark
    tasks = [_light(pick, number) for number in range(mix.jobs - count)]
    total = sum(work.seconds * work.gpus for work in (*trainings, *tasks))
    span = total / (mix.load * devices)
    return _numbered([*_stretched(trainings, span), *_poisson(tasks, span, pick)])


def _clipped(trainings: Sequence[Work], share: float) -> list[Work]:
    seconds = sorted(work.seconds for work in trainings)
    longest = seconds[math.ceil(len(seconds) * (1 - share)) - 1]
    return [replace(work, seconds=min(work.seconds, longest)) for work in trainings]


def _repeated(trainings: Sequence[Work], count: int) -> list[Work]:
    """The trace again and again, each time after the last arrival of the time before."""
    first, last = trainings[0].arrival, trainings[-1].arrival
    period = (last - first) * (1 + 1 / len(trainings))
    rounds = (divmod(number, len(trainings)) for number in range(count))
    return [
        replace(trainings[place], arrival=trainings[place].arrival - first + turn * period)
        for turn, place in rounds
    ]


def _stretched(trainings: Sequence[Work], span: float) -> list[Work]:
    last = trainings[-1].arrival or 1.0
    return [replace(work, arrival=work.arrival / last * span) for work in trainings]


def _light(pick: random.Random, number: int) -> Work:
    seconds = min(LIGHT_MOST, max(LIGHT_LEAST, pick.expovariate(1 / LIGHT_MEAN)))
    return Work(number, pick.choice(LIGHT_KINDS), 0.0, seconds, light=True)


def _poisson(tasks: Sequence[Work], span: float, pick: random.Random) -> list[Work]:
    """A Poisson process of which the number in the span is known: independent uniform instants."""
    return [replace(task, arrival=pick.uniform(0.0, span)) for task in tasks]


def _numbered(works: Iterable[Work]) -> list[Work]:
    in_order = sorted(works, key=lambda work: (work.arrival, work.light, work.number))
    return [replace(work, number=number) for number, work in enumerate(in_order)]
