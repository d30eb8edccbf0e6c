"""Inside a job: the command runs at once in that job's own reservation.

A `run_all.sh` under gpurun would otherwise wait for itself for ever.
"""

import os
import signal
from collections.abc import Sequence

from gpurun.launcher import lines
from gpurun.launcher.failure import NOT_EXECUTABLE, Failure
from gpurun.launcher.program import Program
from gpurun.launcher.signals import RESTORED


def run_inside(job: str, program: Program, unused: Sequence[str], quiet: bool) -> int:
    """Become the program; raise Failure when it cannot be executed.

    `unused` are the options that were given and say nothing inside a job.
    """
    if not quiet:
        dropped = f"; without {', '.join(unused)}" if unused else ""
        lines.say(f"inside job {job}: runs at once in its reservation{dropped}")
    for number in RESTORED:
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execv(program.path, program.arguments)  # noqa: S606 - it was found on PATH already
    except OSError as error:
        raise Failure(f"cannot start {program.path}: {error.strerror}", NOT_EXECUTABLE) from None
