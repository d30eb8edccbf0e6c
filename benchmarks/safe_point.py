"""What a safe point costs a training of which nothing is asked, and the SDK's thread meanwhile.

Each figure is the processor time of a loop under gpurun, with a link to a coordinator, less that of
the loop alone, turn about in one run: the median of all rounds, and the quartiles.

    python benchmarks/safe_point.py [--rounds 41] [--seconds 5]
"""

import argparse
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PARTS = [f"{ROOT}/{part}" for part in ("protocol", "launcher", "coordinator", "sdk")]
sys.path[:0] = [ROOT, *PARTS]

from tests.sdk.coordinator_double import ATTEMPT, JOB, TOKEN, Coordinator, wait_until  # noqa: E402

from gpurun import sdk  # noqa: E402
from gpurun.sdk.link import Link  # noqa: E402

TURNS = 20_000
GOAL = 200.0
"""Nanoseconds."""
STEP = 1_000_000
"""Nanoseconds of a short step; a safe point is to cost less than 0.1 % of it."""


class Nothing(sdk.Trainable):
    """Steps in which nothing is done."""

    def step(self) -> None:
        """Do nothing."""


def plain() -> int:
    """Python's own loop."""
    began = time.thread_time_ns()
    for _ in range(TURNS):
        pass
    return time.thread_time_ns() - began


def steps() -> int:
    """job.steps."""
    job = sdk.job(loss=1.0)
    welcomed()
    began = time.thread_time_ns()
    for _ in job.steps(TURNS):
        pass
    return time.thread_time_ns() - began


def turns() -> int:
    """job.turn in Python's own loop."""
    job = sdk.job(loss=1.0)
    welcomed()
    began = time.thread_time_ns()
    for _ in range(TURNS):
        job.turn()
    return time.thread_time_ns() - began


class Timed(Nothing):
    """Knows when its first and its last step were."""

    def setup(self, _config: dict[str, object]) -> None:
        """Nothing has been done."""
        self.done = self.began = self.ended = 0

    def step(self) -> None:
        """Look at the clock at both ends."""
        if not self.done:
            welcomed()
            self.began = time.thread_time_ns()
        self.done += 1
        if self.done == TURNS:
            self.ended = time.thread_time_ns()


def trainable() -> int:
    """sdk.run."""
    timed = sdk.run(Timed, steps=TURNS).trainable
    return timed.ended - timed.began


links: list[Link] = []


def welcomed() -> None:
    """Under gpurun, wait until the coordinator has answered."""
    if "GPURUN_JOB" in os.environ:
        wait_until(lambda: links[-1].welcomed, "the welcome")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=41)
    parser.add_argument("--seconds", type=float, default=5.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gs-") as folder, Coordinator(f"{folder}/s"):
        under = {
            "GPURUN_JOB": str(JOB),
            "GPURUN_ATTEMPT": str(ATTEMPT),
            "GPURUN_TOKEN": TOKEN,
            "GPURUN_SOCKET": f"{folder}/s",
            "GPURUN_CHECKPOINT_DIR": f"{folder}/checkpoints",
        }
        remember_links()
        print(f"{os.cpu_count()} cores, Python {sys.version.split()[0]}, {TURNS} turns a round")
        report("job.steps", steps, plain, under, options.rounds)
        report("job.turn", turns, plain, under, options.rounds)
        report("sdk.run", trainable, trainable, under, options.rounds)
        os.environ.update(under)
        idle(options.seconds)


def remember_links() -> None:
    """Have at hand what is opened."""
    really_open = Link.open

    def remember_and_open(link: Link) -> None:
        links[:] = [link]
        really_open(link)

    Link.open = remember_and_open  # type: ignore


def report(
    name: str,
    loop: Callable[[], int],
    alone: Callable[[], int],
    under: dict[str, str],
    rounds: int,
) -> None:
    """What a turn costs more than without gpurun."""
    more = []
    for _ in range(rounds):
        without = alone()
        os.environ.update(under)
        more.append((loop() - without) / TURNS)
        for variable in under:
            del os.environ[variable]
    low, middle, high = statistics.quantiles(more, n=4)
    verdict = "under" if middle < GOAL else "OVER"
    print(
        f"{name:10} {middle:6.0f} ns ({low:.0f} to {high:.0f}), {verdict} {GOAL:.0f}; "
        f"{middle / STEP:.3%} of a step of 1 ms"
    )


def idle(seconds: float) -> None:
    """What the thread of the SDK takes while a training is in one long step."""
    job = sdk.job(loss=1.0)
    welcomed()
    (thread,) = [each for each in threading.enumerate() if each.name == "gpurun"]
    before = switches(thread)
    time.sleep(seconds)
    ran, times = (now - then for now, then in zip(switches(thread), before, strict=True))
    print(f"thread     {ran / 1e6:.2f} ms of the processor in {seconds:.0f} s, woken {times} times")
    del job


def switches(thread: threading.Thread) -> tuple[int, int]:
    """Nanoseconds on a processor, and how often it was put there."""
    path = f"/proc/self/task/{thread.native_id}/schedstat"
    with open(path, encoding="utf-8") as file:
        ran, _, times = file.read().split()
    return int(ran), int(times)


if __name__ == "__main__":
    main()
