"""The one exception of the launcher, and the exit codes that are gpurun's own."""

USAGE = 2
NOT_ADMITTED = 75
"""EX_TEMPFAIL of sysexits(3)."""
OWN = 125
NOT_EXECUTABLE = 126
NOT_FOUND = 127
INTERRUPTED = 130
CANCELLED = 143


class Failure(Exception):  # noqa: N818 - it is the word that a person reads
    """What went wrong and what to do about it, in one line; no line where it is empty."""

    def __init__(self, text: str, code: int = OWN) -> None:
        super().__init__(text)
        self.code = code
