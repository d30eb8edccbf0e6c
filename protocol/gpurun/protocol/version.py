"""The version of the protocol, and what is said when two versions meet."""

VERSION = "0.1.0"
"""Of the distribution; a constant, since reading it from the metadata takes 20 ms."""

PROTOCOL = 1
"""Raised by every change that an older peer would misunderstand."""


def disagreement(mine: int, theirs: int) -> str:
    """Say in one sentence which side is older and what to do about it."""
    advice = (
        "run `gpurun coordinator stop`, and the next gpurun starts the new one"
        if mine < theirs
        else "install the same gpurun-scheduler here as the coordinator's"
    )
    return f"the coordinator speaks protocol {mine} and this program speaks {theirs}; {advice}"
