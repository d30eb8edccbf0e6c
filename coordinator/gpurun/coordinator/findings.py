"""What the devices' samples say to `gpurun doctor`."""

from collections.abc import Iterable, Iterator

from gpurun.coordinator.core.sample import HEALTHY, DeviceSample
from gpurun.protocol.finding import Finding, finding
from gpurun.protocol.quantity import format_size

_STALE = "has not been seen lately; see what nvidia-smi says, or restart the machine"
_NO_MEMORY = "does not tell its memory, and takes no work; see who may read /dev/nvidia*"


def findings_of(
    about: str,
    samples: Iterable[DeviceSample],
    problem: str = "",
    stale: frozenset[str] = frozenset(),
) -> tuple[Finding, ...]:
    """The driver, then each device; `stale` are UUIDs that no late look has found."""
    driver = finding("driver", problem) if problem else Finding("driver", about)
    ordered = sorted(samples, key=lambda sample: sample.index)
    return (driver, *(one for s in ordered for one in _device(s, stale=s.uuid in stale)))


def _device(sample: DeviceSample, *, stale: bool) -> Iterator[Finding]:
    subject, name = f"GPU {sample.index}", f"{sample.name} ({sample.uuid})"
    if sample.health != HEALTHY:
        yield finding(subject, f"{name}: {sample.health}")
    elif stale:
        yield finding(subject, f"{name} {_STALE}")
    elif sample.total is None or sample.free is None:
        yield finding(subject, f"{name} {_NO_MEMORY}")
    else:
        free, total = format_size(sample.free), format_size(sample.total)
        yield Finding(subject, f"{name}: {free} of {total} free")
    for note in sample.notes:
        yield Finding(subject, note)
