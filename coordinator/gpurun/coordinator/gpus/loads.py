"""What processes hold on simulated devices, in a file that outlives a killed coordinator."""

import os
from collections.abc import Iterator

import msgspec

from gpurun.coordinator.processes import alive, boot_id


class SimulationError(Exception):
    """A load cannot be registered; the text is one line for people."""


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """What one process holds on one device: bytes, and a share of its time."""

    pid: int
    start_time: int
    device: str
    memory: int
    utilization: float
    root: tuple[int, int] | None = None
    """Pid and start time of its job's main process, if any: that job has told its own use."""

    @property
    def held(self) -> bool:
        """Whether its process still runs; a load ends with it."""
        return alive(self.pid, self.start_time)

    @property
    def matters(self) -> bool:
        """Whether it is held, or still says of a running job that it has told its own use."""
        return self.held or (self.root is not None and alive(*self.root))


class _File(msgspec.Struct, frozen=True, kw_only=True):
    boot: str
    """A start time means nothing after a restart of the machine."""
    loads: tuple[Load, ...]


class Loads:
    """The loads that still matter, oldest first; the file is written before a load counts."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._loads = _read(path)

    def __iter__(self) -> Iterator[Load]:
        self._loads = tuple(load for load in self._loads if load.matters)
        return iter(self._loads)

    def put(self, load: Load) -> None:
        """Add a load in place of what its process held on that device; see SimulationError."""
        loads = (*self.without(load), load)
        try:
            _write(self._path, loads)
        except OSError as error:
            raise SimulationError(
                f"cannot write {self._path} ({error.strerror}); make room or set GPURUN_RUNTIME_DIR"
            ) from None
        self._loads = loads

    def without(self, load: Load) -> tuple[Load, ...]:
        """Give the others: those that `put` would leave."""
        place = (load.pid, load.start_time, load.device)
        return tuple(one for one in self if (one.pid, one.start_time, one.device) != place)


def _read(path: str) -> tuple[Load, ...]:
    try:
        with open(path, "rb") as file:
            found = msgspec.json.decode(file.read(), type=_File)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return ()
    return found.loads if found.boot == boot_id() else ()


def _write(path: str, loads: tuple[Load, ...]) -> None:
    part = f"{path}.part"
    with open(part, "wb") as file:
        file.write(msgspec.json.encode(_File(boot=boot_id(), loads=loads)))
    os.replace(part, path)
