"""Start the job's main process with the caller's terminal, environment, folder and limits."""

import errno
import os
from collections.abc import Mapping

from gpurun.launcher import process
from gpurun.launcher.program import Program
from gpurun.launcher.signals import RESTORED, Signals
from gpurun.protocol.messages import Grant

_SOMETIMES = ("GPURUN_RESUME", "GPURUN_MEMORY_LIMIT")
"""What is set for some attempts only, and would be wrong in the others."""


def spawn(program: Program, environment: Mapping[str, str], signals: Signals) -> int:
    """Start the program in this process group and return its pid; raise OSError if it cannot be.

    In a group of its own it would be stopped when it reads the terminal.
    """
    path, arguments = program.path, program.arguments
    try:
        return _posix_spawn(path, arguments, environment, signals)
    except OSError as error:
        if error.errno != errno.ENOEXEC:
            raise
    # A script without a first line that names its shell: execvp(3) and every shell do this.
    return _posix_spawn("/bin/sh", ("sh", path, *arguments[1:]), environment, signals)


def _posix_spawn(
    path: str, arguments: tuple[str, ...], environment: Mapping[str, str], signals: Signals
) -> int:
    return os.posix_spawn(
        path, arguments, environment, setsigmask=signals.original, setsigdef=RESTORED
    )


def job_environment(
    caller: Mapping[str, str], grant: Grant, socket: str, checkpoints: str
) -> dict[str, str]:
    """The caller's environment and what contract.md adds to it."""
    environment = {name: value for name, value in caller.items() if name not in _SOMETIMES}
    own = process.read(os.getpid())
    environment |= {
        "GPURUN_JOB": str(grant.job),
        "GPURUN_SOCKET": socket,
        "GPURUN_TOKEN": grant.token,
        "GPURUN_ATTEMPT": str(grant.attempt),
        "GPURUN_CHECKPOINT_DIR": checkpoints,
        "GPURUN_LAUNCHER": f"{own.pid}:{own.start_time}" if own else "",
        "CUDA_VISIBLE_DEVICES": ",".join(grant.devices),  # an empty one hides every device
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
    }
    if grant.resume:
        environment["GPURUN_RESUME"] = grant.resume
    if grant.limit:
        environment["GPURUN_MEMORY_LIMIT"] = str(grant.limit)
    return environment
