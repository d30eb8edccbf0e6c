"""Ends that no coordinator was there to hear: a file for each job, for the next one to read."""

import os

import msgspec

from gpurun.launcher.launch import End


def spool_end(folder: str, uuid: str, end: End) -> None:
    """Write the end as JSON to `UUID.json`, whole or not at all; raise OSError if it cannot be."""
    os.makedirs(folder, mode=0o700, exist_ok=True)
    path = f"{folder}/{uuid}.json"
    fd = os.open(path + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(msgspec.json.encode(end))
        file.flush()
        os.fsync(file.fileno())
    os.replace(path + ".new", path)
