"""Twenty jobs at the same instant: the cap holds, nobody is starved, and priority decides."""

import random
from collections import defaultdict

import pytest
from tests.e2e.machine import Line, Machine

from gpurun.protocol.quantity import GIB

JOBS = 20
CAP, HEADROOM = 0.90 * 24 * GIB, GIB // 2
LOAD = ("--mem=5GiB", "--util=20")


def test_twenty_at_once_never_reserve_more_than_the_cap_and_start_by_priority(
    machine: Machine,
) -> None:
    seed = random.randrange(10**6)  # noqa: S311 - to be repeated, not to be secret
    priorities = [p for p in (-50, -10, 0, 10, 50) for _ in range(JOBS // 5)]
    random.Random(seed).shuffle(priorities)  # noqa: S311
    jobs = [
        machine.start(*LOAD, f"--priority={priority}", "--", "gpurun", "sim", "load", *LOAD,
                      "--seconds=0.5")
        for priority in priorities
    ]  # fmt: skip
    assert [job.end() for job in jobs] == [0] * JOBS, [job.said for job in jobs]
    assert not any("out of memory" in job.said for job in jobs)
    log = machine.log()
    most, share = _most_reserved(log)
    print(f"seed {seed}; at most {most / GIB:.1f} GiB and {share:.0%} were reserved at once")
    assert most + HEADROOM <= CAP
    assert share == pytest.approx(0.8)  # four side by side: the room is used, too
    assert _passed_over(log, _priorities(machine)) == []
    assert {line.state for line in log if line.trigger == "finished"} == {"finished"}
    assert len([line for line in log if line.trigger == "finished"]) == JOBS


def _most_reserved(log: list[Line]) -> tuple[int, float]:
    """Replay the log: the most bytes, and the most of the device's time, at any instant."""
    held: dict[int, tuple[int, float]] = defaultdict(lambda: (0, 0.0))
    sums = []
    for line in log:
        held[line.job] = line.memory, line.utilization
        sums.append((sum(m for m, _ in held.values()), sum(u for _, u in held.values())))
    return max(memory for memory, _ in sums), max(share for _, share in sums)


def _priorities(machine: Machine) -> dict[int, int]:
    return {job["id"]: job["priority"] for job in machine.status("--all")["jobs"]}


def _passed_over(log: list[Line], priorities: dict[int, int]) -> list[tuple[int, int]]:
    """Each grant that was given while a job of higher priority waited: (who got it, who waited)."""
    waiting: set[int] = set()
    found = []
    for line in log:
        if line.trigger == "submitted":
            waiting.add(line.job)
        elif line.trigger == "granted":
            waiting.discard(line.job)
            better = (job for job in waiting if priorities[job] > priorities[line.job])
            found += [(line.job, job) for job in better]
    return found
