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
    """The number of the job in which this process runs; empty outside of any."""
    return environment.get("GPURUN_JOB", "") if environment.get("GPURUN_TOKEN") else ""


def socket_path(environment: Mapping[str, str]) -> str:
    """The coordinator's socket; inside a job, that of the coordinator which admitted it."""
    inside = environment.get("GPURUN_SOCKET") if enclosing_job(environment) else None
    return inside or paths(environment).socket
