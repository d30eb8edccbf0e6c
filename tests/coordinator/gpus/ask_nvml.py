"""Reads devices in a process of its own, where the driver's library is the double.

Each line on stdin is `open`, `close`, `watch`, `overdue`, `stop`, or the own processes of one
sample as JSON; each is answered by one line of JSON.
"""

import sys
import time

import msgspec

from gpurun.coordinator.core.sample import OwnProcess
from gpurun.coordinator.gpus.devices import DevicesError
from gpurun.coordinator.gpus.monitor import Monitor
from gpurun.coordinator.gpus.nvml import NvmlDevices

MONITORS: list[Monitor] = []


def answer(devices: NvmlDevices, line: str) -> object:
    """Do what the line says."""
    if line == "open":
        devices.open()
        return None
    if line == "close":
        devices.close()
        return None
    if line == "watch":
        MONITORS.append(Monitor(devices, interval=0.01, deadline=0.1))
        MONITORS[0].start()
        return None
    if line == "overdue":
        return MONITORS[0].overdue(time.clock_gettime(time.CLOCK_BOOTTIME))
    if line == "stop":
        return MONITORS[0].stop(0.2)
    return devices.sample(msgspec.json.decode(line, type=tuple[OwnProcess, ...]))


def main() -> None:
    """Answer until stdin ends."""
    devices = NvmlDevices()
    for line in sys.stdin:
        try:
            found = answer(devices, line.strip())
        except DevicesError as error:
            found = {"error": str(error)}
        print(msgspec.json.encode(found).decode(), flush=True)


if __name__ == "__main__":
    main()
