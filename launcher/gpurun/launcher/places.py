"""Where this user's coordinator is, and whether this process runs inside a job."""

import os
from collections.abc import Mapping

from gpurun.launcher.failure import USAGE, Failure
from gpurun.protocol.paths import Paths


def paths(environment: Mapping[str, str]) -> Paths:
    """The folders of this user; raise Failure when the socket's path is too long."""
    try:
        return Paths.of(environment, os.getuid(), os.uname().nodename, os.path.expanduser("~"))
    except ValueError as error:
        raise Failure(str(error), USAGE) from None


def enclosing_job(environment: Mapping[str, str]) -> str:
    """The number of the job in which this process runs; empty outside of any.

    What the job has left running (a tmux server) keeps its environment for ever, so that is
    believed only while the launcher lives.
    """
    job = environment.get("GPURUN_JOB", "") if environment.get("GPURUN_TOKEN") else ""
    return job if job and _lives(environment.get("GPURUN_LAUNCHER", "")) else ""


def _lives(launcher: str) -> bool:
    """Whether that very process, PID:START_TIME, is still there."""
    from gpurun.launcher import process

    pid, _, start_time = launcher.partition(":")
    found = process.read(int(pid)) if pid.isdecimal() else None
    return found is not None and str(found.start_time) == start_time


def socket_path(environment: Mapping[str, str]) -> str:
    """The coordinator's socket; inside a job, that of the coordinator which admitted it."""
    inside = environment.get("GPURUN_SOCKET") if enclosing_job(environment) else None
    return inside or paths(environment).socket
