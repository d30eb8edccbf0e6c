"""A machine whose coordinator watches the scripted driver through the real nvidia-ml-py."""

import os
from pathlib import Path
from typing import Any

from tests.coordinator.gpus.helpers import compiled
from tests.e2e.machine import Machine, Running

CONFIG = "[monitor]\ninterval = 0.1\n"


class NvmlMachine(Machine):
    """Devices that a test scripts while the daemon runs."""

    def __init__(self, config: str = CONFIG) -> None:
        super().__init__("nvml", config)
        library = Path(self.folder, "driver")
        library.mkdir()
        self.library = compiled(library) / "libnvidia-ml.so.1"
        self.script = Path(self.folder, "devices.txt")
        self.environment |= {
            "LD_LIBRARY_PATH": str(library),
            "GPURUN_NVML_DOUBLE": str(self.script),
        }

    def plays(self, *gpus: str) -> None:
        """Replace what the driver says from the next call on."""
        part = self.script.with_suffix(".part")
        part.write_text("\n".join(gpus))
        part.replace(self.script)

    def device(self, uuid: str) -> Any:
        """One device as status shows it."""
        return next(one for one in self.status()["devices"] if one["uuid"] == uuid)

    def waits(self, job: Running, *words: str) -> None:
        """Wait until the job is told these words as the reason why it waits."""
        self.wait_until(lambda: all(job.says(word) for word in words), alive=[job])

    def job_pids(self) -> list[int]:
        """Main processes of the jobs that run."""
        return [job["pid"] for job in self.status()["jobs"] if job["pid"]]

    def hold(self, *options: str) -> Running:
        """Start a job that runs until the machine is closed, and wait until it does."""
        job = self.start(*options, "--", "sleep", "1000")
        self.wait_until(lambda: job.says(" starts on "), alive=[job])
        return job

    def hold_tree(self) -> Running:
        """Start a job that says the pid of a child in a session of its own, and wait for that."""
        tree = "setsid sleep 1000 & echo $!; exec sleep 1000"
        job = self.start("--mem=4GiB", "--", "sh", "-c", tree)
        self.wait_until(lambda: bool(job.out), alive=[job])
        return job


def remapped(machine: NvmlMachine, version: str) -> None:
    """Install another version of the driver's library beside a daemon that has mapped the old."""
    new = machine.library.with_name(f"libnvidia-ml.so.{version}")
    new.write_bytes(machine.library.resolve().read_bytes())
    link = machine.library.with_suffix(".part")
    os.symlink(new.name, link)
    os.replace(link, machine.library)
