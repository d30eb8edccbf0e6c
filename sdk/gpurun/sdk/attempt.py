"""The attempt that this process is, as its environment says; None outside gpurun."""

import os
from collections import Counter
from typing import NamedTuple


class Attempt(NamedTuple):
    """One spawn of a job."""

    job: int
    number: int
    token: str
    socket: str
    """Path of the coordinator's ipc socket."""
    checkpoints: str
    """The folder of this job's checkpoints."""
    resume: str
    """The checkpoint to go on from; empty at a first start."""
    limit: int = 0
    """Bytes of each device that PyTorch may allocate with its context; 0 where nothing is said."""
    checks: bool = False
    """Whether this is a check of save and load, with no coordinator."""


def attempt() -> Attempt | None:
    """Read the environment that the launcher has made."""
    get = os.environ.get
    try:
        return Attempt(
            job=int(os.environ["GPURUN_JOB"]),
            number=int(os.environ["GPURUN_ATTEMPT"]),
            token=os.environ["GPURUN_TOKEN"],
            socket=os.environ["GPURUN_SOCKET"],
            checkpoints=os.environ["GPURUN_CHECKPOINT_DIR"],
            resume=get("GPURUN_RESUME", ""),
            limit=int(get("GPURUN_MEMORY_LIMIT", "0")),
            checks="GPURUN_CHECK" in os.environ,
        )
    except (KeyError, ValueError):
        return None


def alone() -> Attempt:
    """Outside gpurun, with checkpoints for as long as the process lives."""
    import atexit
    import shutil
    import tempfile

    folder = tempfile.mkdtemp(prefix="gpurun-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Attempt(0, 1, "", "", folder, "")


trainings: Counter[Attempt] = Counter()
"""How many trainings each attempt of this process has begun: a checkpoint belongs to one."""
