"""Devices and jobs to show."""

from gpurun.protocol import status as s

GIB = 1024**3


def status(devices: tuple[s.Device, ...] = (), jobs: tuple[s.Job, ...] = ()) -> s.Status:
    """A machine."""
    return s.Status(s.Coordinator("0.1.0", 7, 60.0), devices, jobs)


def device(index: int, reserved: int = 0, external: int = 0, health: str = "ok") -> s.Device:
    """A device of 24 GiB with so many taken."""
    taken = reserved + external
    return s.Device(
        index=index,
        uuid=f"GPU-{index}",
        name="Simulated",
        health=health,
        memory=s.DeviceMemory(
            24 * GIB, taken * GIB, external * GIB, reserved * GIB, (24 - taken) * GIB
        ),
        utilization=s.DeviceUtilization(0.4, 0.4, 0.0, 0.0),
        load=s.Amounts(taken / 24, 0.4),
        caps=s.Amounts(0.9, 0.9),
        processes=(),
    )


def job(
    number: int,
    name: str = "train.py",
    devices: tuple[str, ...] = (),
    reason: str = "",
    held: bool = False,
    incidents: int = 0,
    progress: s.Progress | None = None,
) -> s.Job:
    """A running job, or a queued one with a reason."""
    return s.Job(
        id=number,
        name=name,
        user="me",
        command=("train.py",),
        state="queued" if reason else "running",
        held=held,
        reason=s.Reason("memory", reason) if reason else None,
        priority=0,
        devices=devices,
        request=s.Requested(1, 6 * GIB, 0.4),
        estimate=s.Estimate(6 * GIB, 0.4, "told", None),
        observed=s.Observed(None, None, None),
        pid=None,
        submitted="2026-01-01T00:00:00Z",
        started=None,
        ended=None,
        exit_code=None,
        waited=5.0,
        ran=60.0,
        paused=0.0,
        pauses=0,
        attempt=1,
        pausable=None,
        progress=progress,
        incidents=incidents,
    )
