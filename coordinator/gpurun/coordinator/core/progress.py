"""How far a training is by its own word, and when its steps would be done at their pace so far.

For people alone: what a training says of its end may be wrong, and is not kept.
"""

import msgspec

from gpurun.protocol import messages

LEAST_STEPS = 5
"""Steps that must have been timed before they say anything of the rest."""
LEAST_SECONDS = 5.0
"""The same in seconds: the first steps of a training are none like the others."""


class Progress(msgspec.Struct, frozen=True):
    """What a training has said last, and the pace of this attempt."""

    step: int
    total: int | None
    text: str
    at: float
    """CLOCK_BOOTTIME at which it was said."""
    steps: int = 0
    """Steps of this attempt that were timed."""
    seconds: float = 0.0
    """What these took."""


def moved_on(
    before: Progress | None, said: messages.Progress, now: float, trained_since: float | None
) -> Progress:
    """What is known with this word.

    `trained_since` is when (CLOCK_BOOTTIME) it last began to train without a break, None where it
    does not train. Steps in whose time a pause lies are not timed, and neither are those of another
    training, which counts from its own beginning.
    """
    after = Progress(
        step=max(0, said.step),
        total=said.total if said.total > 0 else None,
        text=said.text[: messages.PROGRESS_TEXT],
        at=now,
    )
    if before is None or after.step < before.step or after.total != before.total:
        return after
    steps, seconds = before.steps, before.seconds
    if trained_since is not None and trained_since <= before.at:
        steps, seconds = steps + after.step - before.step, seconds + now - before.at
    return msgspec.structs.replace(after, steps=steps, seconds=seconds)


def time_left(progress: Progress, now: float) -> float | None:
    """Seconds until the last step is done; None where nothing says so, or what did was wrong."""
    if progress.total is None or progress.steps < LEAST_STEPS or progress.seconds < LEAST_SECONDS:
        return None
    to_do = progress.total - progress.step
    left = to_do * progress.seconds / progress.steps - (now - progress.at)
    return left if left > 0 else None
