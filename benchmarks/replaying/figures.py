"""What a replay comes to."""

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.replaying.policy import Policy


@dataclass(frozen=True, slots=True)
class Figures:
    """One policy in numbers; times in seconds."""

    policy: str
    light_wait_mean: float
    light_wait_p95: float
    wait_mean: float
    """Of trainings, until they first start."""
    completion_mean: float
    """From arrival to the end, of trainings that did not fail."""
    makespan: float
    """From the first arrival to the last end."""
    failed: int
    pauses: int
    lost: float
    """Hours of devices in which trainings saved, left and loaded, or did work that was lost."""
    goodput: float
    """Of all device-seconds of trainings, those that went into work that counts."""
    use: float
    """Of all device-seconds until the last end, those in which somebody was on the device."""
    took: float
    """Seconds of one processor core that the replay took."""


def figures_of(policy: Policy, took: float) -> Figures:
    """Sum up a replay that has ended."""
    outcomes = policy.book.values()
    light = [o.began - o.work.arrival for o in outcomes if o.work.light and o.began is not None]
    trainings = [o for o in outcomes if not o.work.light]
    waits = [o.began - o.work.arrival for o in trainings if o.began is not None]
    spans = [o.ended - o.work.arrival for o in trainings if o.ended is not None and not o.failed]
    good = sum(o.work.seconds * o.work.gpus for o in trainings if not o.failed)
    first = min(o.work.arrival for o in outcomes)
    makespan = max(o.ended or 0.0 for o in outcomes) - first
    machine = policy.machine
    lost = machine.idle_held + policy.lost_work
    return Figures(
        policy=policy.name,
        light_wait_mean=_mean(light),
        light_wait_p95=quantile(light, 0.95),
        wait_mean=_mean(waits),
        completion_mean=_mean(spans),
        makespan=makespan,
        failed=sum(o.failed for o in outcomes),
        pauses=policy.pauses,
        lost=lost / 3600,
        goodput=good / (good + lost) if good else 1.0,
        use=machine.busy / (makespan * len(machine.on)) if makespan else 0.0,
        took=took,
    )


COLUMNS: dict[str, Callable[[Figures], str]] = {
    "policy": lambda f: f.policy,
    "light: mean": lambda f: span(f.light_wait_mean),
    "p95 wait": lambda f: span(f.light_wait_p95),
    "trainings: wait": lambda f: span(f.wait_mean),
    "completion": lambda f: span(f.completion_mean),
    "makespan": lambda f: span(f.makespan),
    "failed": lambda f: str(f.failed),
    "pauses": lambda f: str(f.pauses),
    "lost": lambda f: f"{f.lost:.1f} h",
    "goodput": lambda f: f"{f.goodput:.2%}",
    "use": lambda f: f"{f.use:.1%}",
    "took": lambda f: f"{f.took:.1f} s",
}


def table(rows: Sequence[Figures]) -> str:
    """The figures of all policies, one a line."""
    lines = [list(COLUMNS), *([show(row) for show in COLUMNS.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True))
        for line in lines
    )


def span(seconds: float) -> str:
    """Seconds in the unit that suits them."""
    for unit, size in (("d", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"


def quantile(values: Sequence[float], share: float) -> float:
    """The least value that so large a share does not pass; 0 of none."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else 0.0


def _mean(values: Sequence[float]) -> float:
    return statistics.fmean(values) if values else 0.0
