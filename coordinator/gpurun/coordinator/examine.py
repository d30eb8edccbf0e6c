"""`python -m gpurun.coordinator.examine`: what a coordinator would find, where none runs.

A process of its own, since a driver may hang: whoever starts it gives it a deadline. One line of
JSON on stdout: the findings.
"""

import contextlib
import os
import sys
import tempfile

import msgspec

from gpurun.coordinator import config
from gpurun.coordinator.findings import findings_of
from gpurun.coordinator.gpus import choice
from gpurun.coordinator.gpus.devices import Devices, DevicesError
from gpurun.coordinator.ground import Folder, folders
from gpurun.protocol.finding import Finding, finding
from gpurun.protocol.paths import Paths

WITHOUT_DEVICES = "--without-devices"
"""The argument where a coordinator runs: that sees them itself."""


def main() -> None:
    """Print the findings."""
    paths = Paths.of(os.environ, os.getuid(), os.uname().nodename, os.path.expanduser("~"))
    devices = () if sys.argv[1:] == [WITHOUT_DEVICES] else _devices(paths.simulation)
    places = (_folder(folder) for folder in folders(paths))
    found = (_configuration(paths.config), *devices, *places)
    sys.stdout.write(msgspec.json.encode(found).decode() + "\n")


def _configuration(path: str) -> Finding:
    try:
        config.load(path, named=bool(os.environ.get("GPURUN_CONFIG")))
    except config.ConfigError as error:
        return finding("configuration", str(error))
    there = path if os.path.exists(path) else "the defaults"
    return Finding("configuration", there)


def _folder(folder: Folder) -> Finding:
    """Whether a coordinator could use it, or make it; nothing is made."""
    if os.path.lexists(folder.path):
        trouble = folder.trouble()
    else:
        parent = os.path.dirname(folder.path)
        while not os.path.lexists(parent):
            parent = os.path.dirname(parent)
        trouble = "" if _can_be_written(parent) else f"{parent} cannot be written; {folder.advice}"
    if trouble:
        return finding("permissions", trouble)
    return Finding("permissions", f"{folder.path} can be written")


def _can_be_written(path: str) -> bool:
    """Whether a file can be made there, whatever its permissions say; it is gone at once."""
    try:
        with tempfile.TemporaryFile(dir=path):
            return True
    except OSError:
        return False


def _devices(simulation: str) -> tuple[Finding, ...]:
    try:
        devices = choice.parse(os.environ.get("GPURUN_DEVICES", ""), simulation)
    except ValueError as error:
        return (finding("devices", str(error)),)
    with contextlib.closing(devices):
        return _look(devices)


def _look(devices: Devices) -> tuple[Finding, ...]:
    try:
        devices.open()
        return findings_of(devices.about, devices.sample(()))
    except DevicesError as error:
        return findings_of("", (), str(error))


if __name__ == "__main__":
    main()
