"""Devices that exist on paper: real processes hold pretended memory on them.

A job uses what it reserved for as long as its main process runs, unless it registered its own use.
"""

import threading
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from gpurun.coordinator.core.sample import DeviceSample, OwnProcess, ProcessSample
from gpurun.coordinator.gpus.loads import Load, Loads, SimulationError
from gpurun.coordinator.processes import Table, alive, command_of, user_of
from gpurun.protocol.quantity import format_size


class SimulatedOutOfMemoryError(SimulationError):
    """The load does not fit in what is left."""


class _Holding(msgspec.Struct, frozen=True):
    """What one process holds on one device, registered or not."""

    pid: int
    device: str
    memory: int
    utilization: float
    assumed: bool = False
    """Whether it is what the job reserved, since it registered nothing."""


class SimulatedDevices:
    """Equal devices whose memory is counted, not held; any thread may call it."""

    about = "simulated devices: no driver is asked"
    sleepy = False

    def __init__(self, count: int, memory: int, file: str) -> None:
        self._memory = memory
        self._uuids = [f"SIM-00000000-0000-0000-0000-{index:012}" for index in range(count)]
        self._loads = Loads(file)
        self._lock = threading.Lock()

    def open(self) -> None:
        """Nothing has to be opened."""

    def close(self) -> None:
        """Nothing has been opened."""

    def sample(self, own: Sequence[OwnProcess]) -> tuple[DeviceSample, ...]:
        """Say what every device holds now."""
        with self._lock:
            return self._sample(own, Table(own))

    def occupy(
        self,
        pid: int,
        start_time: int,
        device: str,
        memory: int,
        utilization: float,
        own: Sequence[OwnProcess],
    ) -> DeviceSample:
        """Let a process hold bytes and a share of time until it ends; give the device.

        `device` is a UUID or an index; empty means the first of its own job, else the first.
        Saying it again replaces what the process held there. Raise SimulatedOutOfMemoryError
        where it does not fit, SimulationError where it cannot be registered.
        """
        table = Table(own)
        job = table.owner(pid)
        root = next((root for root in own if root.job == job), None)
        index = self._index(device or (root.devices[0] if root and root.devices else "0"))
        load = Load(
            pid=pid,
            start_time=start_time,
            device=self._uuids[index],
            memory=memory,
            utilization=utilization,
            root=(root.pid, root.start_time) if root else None,
        )
        with self._lock:
            self._check(load, index, own, table)
            self._loads.put(load)
            return self._sample(own, table)[index]

    def _index(self, device: str) -> int:
        if device in self._uuids:
            return self._uuids.index(device)
        if device.isdecimal() and int(device) < len(self._uuids):
            return int(device)
        raise SimulationError(
            f"there is no simulated device {device!r}; use an index below {len(self._uuids)}"
        )

    def _check(self, load: Load, index: int, own: Sequence[OwnProcess], table: Table) -> None:
        """Raise where the load does not fit beside what is held once its job has told its use."""
        holdings = _holdings((*self._loads.without(load), load), own, table)
        held = sum(one.memory for one in holdings if one.device == load.device)
        if held > self._memory:
            left = max(0, self._memory - held + load.memory)
            raise SimulatedOutOfMemoryError(
                f"out of memory on device {index}: {format_size(load.memory)} asked for, "
                f"{format_size(left)} of {format_size(self._memory)} left; "
                "ask for less, or run it through gpurun"
            )

    def _sample(self, own: Sequence[OwnProcess], table: Table) -> tuple[DeviceSample, ...]:
        holdings = tuple(_holdings(tuple(self._loads), own, table))
        return tuple(
            self._device(index, [one for one in holdings if one.device == uuid], table)
            for index, uuid in enumerate(self._uuids)
        )

    def _device(self, index: int, holdings: Sequence[_Holding], table: Table) -> DeviceSample:
        return DeviceSample(
            index=index,
            uuid=self._uuids[index],
            name=f"Simulated {format_size(self._memory)}",
            total=self._memory,
            free=max(0, self._memory - sum(one.memory for one in holdings)),
            utilization=min(1.0, sum(one.utilization for one in holdings)),
            processes=tuple(_process(one, table) for one in holdings),
        )


def _process(one: _Holding, table: Table) -> ProcessSample:
    """Who holds it; what /proc does not tell stays unknown."""
    found = table.stat(one.pid)
    return ProcessSample(
        pid=one.pid,
        start_time=found.start_time if found else 0,
        user=user_of(one.pid),
        command=command_of(one.pid),
        memory=one.memory,
        utilization=one.utilization,
        job=table.owner(one.pid),
        assumed=one.assumed,
    )


def _holdings(loads: Iterable[Load], own: Sequence[OwnProcess], table: Table) -> Iterator[_Holding]:
    """Give what is held: registered loads, and what jobs that registered none reserved."""
    told: set[object] = set()
    for load in loads:
        told |= {load.root, table.owner(load.pid)}
        if load.held:
            yield _Holding(load.pid, load.device, load.memory, load.utilization)
    for root in own:
        if not told & {(root.pid, root.start_time), root.job} and _uses(root):
            for device in root.devices:
                yield _Holding(root.pid, device, root.memory, root.utilization, assumed=True)


def _uses(root: OwnProcess) -> bool:
    """Whether it runs and holds anything: a parked job does not."""
    return bool(root.memory or root.utilization) and alive(root.pid, root.start_time)
