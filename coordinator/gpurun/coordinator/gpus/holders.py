"""From the pid that a device names to a process with a user, a command and a job."""

from gpurun.coordinator.core.sample import ProcessSample
from gpurun.coordinator.processes import Table, command_of, user_of


def holder(
    pid: int,
    table: Table,
    *,
    memory: int | None,
    utilization: float | None = None,
    compute: bool = True,
) -> ProcessSample:
    """Describe one process on a device; what /proc does not tell stays unknown."""
    found = table.stat(pid)
    return ProcessSample(
        pid=pid,
        start_time=found.start_time if found else 0,
        user=user_of(pid),
        command=command_of(pid),
        memory=memory,
        utilization=utilization,
        job=table.owner(pid),
        compute=compute,
    )
