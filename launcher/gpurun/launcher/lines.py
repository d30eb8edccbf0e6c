"""What gpurun says: on stderr, one line at a time, and never a control character."""

import sys

from gpurun.protocol.messages import Grant
from gpurun.protocol.quantity import format_share, format_size


def clean(text: str) -> str:
    """The text without anything that a terminal would obey."""
    return "".join(c if c.isprintable() else "�" for c in text)


def write(text: str) -> None:
    """Put text on stderr at once; a reader that is gone must not end a job."""
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except (OSError, ValueError, AttributeError):
        return


def say(text: str) -> None:
    """One line of gpurun's own."""
    write(f"gpurun: {clean(text)}\n")


def complain(text: str) -> None:
    """One line on what went wrong and what to do."""
    say(f"error: {text}")


def started(grant: Grant, again: bool) -> str:
    """The line at a start: the job, its devices, what is held and on what grounds."""
    verb = "goes on" if again else "starts"
    if not grant.devices:
        return f"job {grant.job} {verb} with no device, as asked"
    held = f"{format_size(grant.memory)} and {format_share(grant.utilization)} reserved"
    return f"job {grant.job} {verb} on {grant.place}: {held}, {_grounds(grant.basis)}"


def _grounds(basis: str) -> str:
    if basis == "unknown":
        return "all that is left, since nothing was told"
    return "as told" if basis == "told" else f"{basis} from earlier runs"
