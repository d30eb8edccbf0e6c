"""Loading a checkpoint, or ending the job: its training has not failed, and must not begin anew."""

import sys

from gpurun.sdk.errors import CheckpointError
from gpurun.sdk.moment import Moment
from gpurun.sdk.say import say
from gpurun.sdk.subject import Subject

FAILED = 125
"""Exit code of a job whose state cannot be loaded: the training itself has not failed."""


def load_or_end(
    subject: Subject, path: str, moment: Moment, *, random_states: bool = True
) -> int | None:
    """Its step; None where it is another training's. One that cannot be loaded ends the process."""
    from gpurun.sdk.snapshot import load

    try:
        step = load(subject, path, moment, random_states=random_states)
    except CheckpointError as error:
        print(f"gpurun: error: {error}", file=sys.stderr, flush=True)
        raise SystemExit(FAILED) from error
    if step is None:
        say(f"{path} is of another training of this job; this one starts from its beginning")
    return step
