"""Whether the driver has been updated under a running coordinator.

Running CUDA programs survive that and the library that is mapped here still looks healthy, but the
next program maps the new one, which does not go with the old kernel module. So what lies on disk
is compared with what the kernel runs before anything is admitted.
"""

import os
import re

_NAME = "libnvidia-ml.so"
KERNEL_FILES = ("/sys/module/nvidia/version", "/proc/driver/nvidia/version")
_VERSION = re.compile(r"\d{3,}(?:\.\d+)+")


class Library:
    """The driver's library as it was when this process first mapped it."""

    def __init__(self, kernel_files: tuple[str, ...] = KERNEL_FILES) -> None:
        self._kernel_files = kernel_files
        path = _mapped()
        self._link = f"{os.path.dirname(path)}/{_NAME}.1" if path else ""
        self._mapped = self._identity()
        self._began_with = self._on_disk()

    def update(self) -> str:
        """Say that the driver was updated and what to do; empty while it was not."""
        if self._identity() == self._mapped:
            return ""
        new, running = self._on_disk(), self._kernel() or self._began_with
        if new and new == running:
            self._mapped = self._identity()  # the same version, installed again
            return ""
        return (
            f"the NVIDIA driver was updated (to {new or 'another version'}) and the kernel still "
            f"runs the old one ({running or 'unknown'}); restart the machine, or reload the nvidia "
            "kernel modules, then gpurun coordinator stop"
        )

    def _identity(self) -> tuple[int, int] | None:
        try:
            found = os.stat(self._link)
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns

    def _on_disk(self) -> str:
        found = _VERSION.search(os.path.basename(os.path.realpath(self._link)))
        return found[0] if found else ""

    def _kernel(self) -> str:
        for path in self._kernel_files:
            try:
                with open(path, encoding="utf-8", errors="replace") as file:
                    found = _VERSION.search(file.read())
            except OSError:
                continue
            if found:
                return found[0]
        return ""


def _mapped() -> str:
    """The file from which the library was mapped into this process."""
    with open("/proc/self/maps", encoding="utf-8", errors="replace") as maps:
        for line in maps:
            words = line.rstrip("\n").split(maxsplit=5)
            if len(words) == 6 and os.path.basename(words[5]).startswith(_NAME):
                return words[5].removesuffix(" (deleted)")
    return ""
