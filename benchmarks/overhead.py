"""What `gpurun true` costs more than `true`, once the coordinator runs.

    python benchmarks/overhead.py

The commands take turns (A B C A B C …), so that whatever else the machine does hits all alike.
`imports` is the floor: a Python that imports what the command is built on and ends.
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence

ROUNDS = 20
LIMIT = 0.070
"""Seconds that a foreground `gpurun true` may cost."""
IMPORTS = "import gc; gc.disable(); import click, zmq, msgspec, os; os._exit(0)"
COMMANDS = {
    "true": ["true"],
    "gpurun true": ["gpurun", "true"],
    "imports": [sys.executable, "-c", IMPORTS],
}


def measure(
    commands: Mapping[str, Sequence[str]], environment: Mapping[str, str], rounds: int = ROUNDS
) -> dict[str, list[float]]:
    """Seconds of each run of each command, sorted; the first, unmeasured round warms the caches."""
    taken: dict[str, list[float]] = {name: [] for name in commands}
    for turn in range(rounds + 1):
        for name, command in commands.items():
            seconds = _seconds(command, environment)
            if turn:
                taken[name].append(seconds)
    return {name: sorted(seconds) for name, seconds in taken.items()}


def table(taken: Mapping[str, Sequence[float]]) -> str:
    """Median, 10th and 90th percentile of each command, and its cost over `true`."""
    floor = statistics.median(taken["true"])
    rows = [f"{'':<12}{'median':>9}{'p10':>9}{'p90':>9}{'over true':>11}   (ms)"]
    for name, seconds in taken.items():
        tenths = statistics.quantiles(seconds, n=10, method="inclusive")
        figures = (statistics.median(seconds), tenths[0], tenths[-1])
        shown = "".join(f"{1000 * figure:9.1f}" for figure in figures)
        rows.append(f"{name:<12}{shown}{1000 * (figures[0] - floor):11.1f}")
    return "\n".join(rows)


def over_true(taken: Mapping[str, Sequence[float]], name: str) -> float:
    """Seconds that the median run of a command takes more than that of `true`."""
    return statistics.median(taken[name]) - statistics.median(taken["true"])


def _seconds(command: Sequence[str], environment: Mapping[str, str]) -> float:
    began = time.perf_counter()
    subprocess.run(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=True,
    )
    return time.perf_counter() - began


def _environment(folder: str) -> dict[str, str]:
    """A coordinator of its own; and byte code is written, as on a user's machine."""
    dropped = ("GPURUN_", "CUDA_", "PYTHONDONTWRITEBYTECODE")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    return kept | {
        "GPURUN_RUNTIME_DIR": f"{folder}/run",
        "GPURUN_STATE_DIR": f"{folder}/state",
        "XDG_CONFIG_HOME": folder,
        "GPURUN_DEVICES": "sim:24GiB",
        "PATH": os.pathsep.join((os.path.dirname(sys.executable), os.environ["PATH"])),
    }


def main() -> int:
    """Print the table; 1 when the limit is passed."""
    folder = tempfile.mkdtemp(prefix="go-")
    environment = _environment(folder)
    stop = ["gpurun", "coordinator", "stop"]
    try:
        taken = measure(COMMANDS, environment)
    finally:
        subprocess.run(stop, env=environment, stdout=subprocess.DEVNULL, check=True)
        shutil.rmtree(folder, ignore_errors=True)
    cost = over_true(taken, "gpurun true")
    verdict = "within" if cost <= LIMIT else "OVER"
    sys.stdout.write(f"{table(taken)}\n{ROUNDS} rounds; {1000 * cost:.1f} ms is {verdict} "
                     f"the limit of {1000 * LIMIT:.0f} ms\n")  # fmt: skip
    return int(cost > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
