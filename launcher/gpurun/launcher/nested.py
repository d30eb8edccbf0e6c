"""Inside a job: the command runs at once in that job's own reservation.

A `run_all.sh` under gpurun would otherwise wait for itself for ever.
"""

import os
import signal

from gpurun.launcher import lines
from gpurun.launcher.failure import NOT_EXECUTABLE, Failure
from gpurun.launcher.program import Program
from gpurun.launcher.signals import RESTORED


def run_inside(job: str, program: Program, quiet: bool) -> int:
    """Become the program; raise Failure when it cannot be executed."""
    if not quiet:
        lines.say(f"inside job {job}: runs at once in its reservation")
    for number in RESTORED:
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execv(program.path, program.arguments)  # noqa: S606 - it was found on PATH already
    except OSError as error:
        raise Failure(f"cannot start {program.path}: {error.strerror}", NOT_EXECUTABLE) from None
