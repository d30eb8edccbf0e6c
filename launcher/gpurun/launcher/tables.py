"""Status and stories as people read them."""

from collections.abc import Sequence

from gpurun.launcher.lines import clean
from gpurun.protocol.messages import WhyReply
from gpurun.protocol.quantity import format_duration, format_share, format_size
from gpurun.protocol.status import Device, Job, Progress, Status, StoryEntry

_UNKNOWN = "?"
_NONE = "-"
_BAR = 20
_COMMAND = 60
_DEVICE_HEADER = ("GPU", "NAME", "TAKEN", "OF", "BY JOBS", "BY OTHERS", "UTIL", "")
_JOB_HEADER = ("JOB", "STATE", "PRIORITY", "GPU", "MEMORY", "UTIL", "WAITED", "RAN", "NAME", "")
_OTHER_HEADER = ("GPU", "PID", "USER", "MEMORY", "OTHER PROGRAM")
_LEFT = {"", "AT", "USER", "OTHER PROGRAM", "NAME", "STATE", "TAKEN"}


def status_table(status: Status) -> str:
    """Devices, then jobs."""
    devices = [_device_row(device) for device in status.devices]
    places = {device.uuid: str(device.index) for device in status.devices}
    jobs = [_job_row(job, places) for job in status.jobs]
    above = _aligned([_DEVICE_HEADER, *devices]) if devices else []
    above += _others(status.devices)
    if status.problem or not devices:
        above.append(clean(status.problem or "no device is seen"))
    if status.coordinator.drained:
        above.append("nothing new is admitted; gpurun drain --off ends that")
    below = _aligned([_JOB_HEADER, *jobs]) if jobs else ["no jobs"]
    return "\n".join([*above, "", *below])


def story_table(reply: WhyReply) -> str:
    """The admission sum, then what has happened, oldest first."""
    sums = [clean(line) for line in reply.text.splitlines()]
    story = _aligned([("AT", "STATE", "", ""), *map(_story_row, reply.story.entries)])
    return "\n".join([*sums, "", *story])


def _device_row(device: Device) -> tuple[str, ...]:
    memory, busy = device.memory, device.utilization.window
    return (
        str(device.index),
        clean(device.name),
        _bar(device.load.memory),
        format_size(memory.total),
        format_size(memory.reserved),
        format_size(memory.external),
        _UNKNOWN if busy is None else format_share(busy),
        "" if device.health == "ok" else clean(device.health),
    )


def _others(devices: Sequence[Device]) -> list[str]:
    """Programs on the devices that no job of gpurun's has started."""
    rows = [
        (
            str(device.index),
            str(one.pid),
            clean(one.user or _UNKNOWN),
            _UNKNOWN if one.memory is None else format_size(one.memory),
            clean(one.command or _UNKNOWN)[:_COMMAND],
        )
        for device in devices
        for one in device.processes
        if one.job is None
    ]
    return ["", *_aligned([_OTHER_HEADER, *rows])] if rows else []


def _bar(share: float) -> str:
    full = min(_BAR, round(share * _BAR))
    return "█" * full + "░" * (_BAR - full)


def _job_row(job: Job, places: dict[str, str]) -> tuple[str, ...]:
    held = " (held)" if job.held else ""
    share = job.estimate.utilization
    return (
        str(job.id),
        job.state + held,
        str(job.priority),
        ",".join(places.get(device, _UNKNOWN) for device in job.devices) or _NONE,
        _NONE if job.estimate.memory is None else format_size(job.estimate.memory),
        _NONE if share is None else format_share(share),
        format_duration(job.waited),
        format_duration(job.ran),
        clean(job.name),
        _remark(job),
    )


def _remark(job: Job) -> str:
    if job.reason:
        return clean(job.reason.text)
    if job.exit_code is not None:
        return f"exit code {job.exit_code}"
    over = ["has used more than it reserved"] if job.incidents else []
    return clean(", ".join([*_progress(job.progress), *over]))


def _progress(progress: Progress | None) -> list[str]:
    """Such as `step 1200/10000`, `loss 0.231`, `12 min left`; what is not known is left out."""
    if progress is None:
        return []
    of = "" if progress.total is None else f"/{progress.total}"
    left = "" if progress.left is None else f"{_roughly(progress.left)} left"
    return [part for part in (f"step {progress.step}{of}", progress.text, left) if part]


def _roughly(seconds: float) -> str:
    """A time that is worked out is never known to the second."""
    for unit, name in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds:.0f} s"


def _story_row(entry: StoryEntry) -> tuple[str, ...]:
    return (entry.instant, clean(entry.state), clean(entry.cause), clean(entry.detail))


def _aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    right = [title not in _LEFT for title in rows[0]] if rows else []
    return ["  ".join(_cells(row, widths, right)).rstrip() for row in rows]


def _cells(row: tuple[str, ...], widths: list[int], right: list[bool]) -> list[str]:
    return [
        cell.rjust(width) if to_right else cell.ljust(width)
        for cell, width, to_right in zip(row, widths, right, strict=True)
    ]
