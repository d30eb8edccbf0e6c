"""What `gpurun doctor` finds, in the coordinator and around it."""

import msgspec


class Finding(msgspec.Struct, frozen=True):
    """One thing that was looked at."""

    subject: str
    text: str
    """What was found."""
    cure: str = ""
    """What to do about it; empty where all is well."""


def finding(subject: str, line: str) -> Finding:
    """Make one of a line like those of every error here: what is wrong; what to do."""
    text, _, cure = line.partition("; ")
    return Finding(subject, text, cure or "see docs, or report it")
