"""A pause, in the training thread, between two steps.

Deadline passed: say Overdue and train on. Asked to stand: Standing, and stand still with all that
there is until told to go on. Asked to exit: Capturing, write the checkpoint, Durable, and stand
still. The process never ends by itself, so that no line behind the training runs:
whoever ends the tree does so from the top. A withdrawn request, or a coordinator that stays
dead, lets the training go on as if it had never been asked.
"""

import time

from msgspec.structs import replace

from gpurun.protocol import messages as m
from gpurun.sdk import snapshot
from gpurun.sdk.checkpoint import Written
from gpurun.sdk.link import Link
from gpurun.sdk.say import say
from gpurun.sdk.session import Session
from gpurun.sdk.trainable import Trainable

GRACE = 10.0
"""Seconds for which a training stands still beside a dead coordinator."""


def step_aside(link: Link, trainable: Trainable, session: Session, step: int) -> None:
    """Answer the request that the link holds; return when the training is to go on."""
    request = link.take()
    if request is None:
        return
    answer = {**link.fields(), "request": request.request}
    if time.clock_gettime(time.CLOCK_BOOTTIME) > request.deadline:
        link.send(m.Overdue(**answer))
        return
    if request.how == "stand":
        _rest(link, m.Standing(**answer, step=step))
        link.send(m.Resumed(**link.fields(), step=step))
        return
    link.send(m.Capturing(**answer))
    began = time.monotonic()
    try:
        written = snapshot.save(trainable, session.checkpoints, step, session.run)
    except Exception as error:  # noqa: BLE001 - a save that fails in any way must cost nothing
        text = _one_line(error)
        say(f"cannot pause: {text}")
        link.send(m.Refused(**answer, text=text))
        return
    except BaseException as error:  # the training ends, but the request has its answer
        link.send(m.Refused(**answer, text=type(error).__name__))
        raise
    _rest(link, _durable(answer, written, step, time.monotonic() - began))


def _durable(answer: dict[str, object], written: Written, step: int, seconds: float) -> m.Durable:
    return m.Durable(
        **answer,  # type: ignore[arg-type]
        checkpoint=written.path,
        step=step,
        size=written.size,
        seconds=seconds,
    )


def _rest(link: Link, answer: m.Standing | m.Durable) -> None:
    """Stand still until the process is ended, the request withdrawn, or GRACE over."""
    with link.changed:
        if link.withdrawn == answer.request:
            link.send(m.Refused(**link.fields(), request=answer.request, text="withdrawn"))
            return
        link.resting = answer
        link.send(answer)
        while link.withdrawn != answer.request and (left := _time_left(link)) != 0:
            if link.request is not None:  # asked again: the answer was lost, or its number
                answer = replace(answer, request=link.request.request)
                link.request, link.resting = None, answer
                link.send(answer)
            link.changed.wait(left)
        link.resting = None


def _time_left(link: Link) -> float | None:
    """Seconds; None while the coordinator lives."""
    if link.dead_since is None:
        return None
    return max(0.0, link.dead_since + GRACE - time.monotonic())


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
