"""A pause, in the training thread, between two steps.

Deadline passed: say Overdue and train on. Asked to stand: Standing, and stand still with all that
there is until told to go on. Asked to park: Capturing, copy to host memory, Released, wait there
while the checkpoint is written, and take everything back when told to go on. Asked to exit:
Capturing, write the checkpoint, Durable, and stand still. The process never ends by itself, so
that no line behind the training runs: whoever ends the tree does so from the top. A withdrawn
request, or a coordinator that stays dead, lets the training go on as if it had never been asked.
"""

import time
from collections.abc import Callable
from typing import Any, TypeVar

from msgspec.structs import replace

from gpurun.protocol import messages as m
from gpurun.sdk import snapshot
from gpurun.sdk.checkpoint import Written
from gpurun.sdk.link import Link
from gpurun.sdk.parking import Parking
from gpurun.sdk.say import say
from gpurun.sdk.session import Session
from gpurun.sdk.state import attributes
from gpurun.sdk.trainable import Trainable

GRACE = 10.0
"""Seconds for which a training stands still beside a dead coordinator."""
RETRY = 1.0
"""Seconds after which a parked training tries again to take its memory back."""

Answer = dict[str, Any]
"""What each answer to one request begins with."""
T = TypeVar("T")


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
        _stand(link, answer, step)
        return
    link.send(m.Capturing(**answer))
    session.saver.wait()
    carry_out = _park if request.how == "park" else _save_and_wait
    carry_out(link, trainable, session, answer, step)


def _stand(link: Link, answer: Answer, step: int) -> None:
    _rest(link, m.Standing(**answer, step=step))
    link.send(m.Resumed(**link.fields(), step=step))


def _save_and_wait(
    link: Link, trainable: Trainable, session: Session, answer: Answer, step: int
) -> None:
    """Exit, as far as it is the training's part."""
    durable = _save(link, trainable, session, answer, step)
    if durable is not None:
        _rest(link, durable)


def _save(
    link: Link, trainable: Trainable, session: Session, answer: Answer, step: int
) -> m.Durable | None:
    began = time.monotonic()
    save = lambda: snapshot.save(trainable, session.checkpoints, step, session.run)  # noqa: E731
    written = _or_refused(link, answer, save)
    return written and _durable(answer, written, step, time.monotonic() - began)


def _park(link: Link, trainable: Trainable, session: Session, answer: Answer, step: int) -> None:
    """Released before the disk is asked, except for a script that writes its own files."""
    by_itself = snapshot.saves_itself(trainable)
    durable = _save(link, trainable, session, answer, step) if by_itself else None
    if by_itself and durable is None:
        return
    if durable is not None:
        _say_durable(link, durable)
    parking = Parking()

    def move() -> tuple[Callable[[], Written], int]:
        write = snapshot.capture(trainable, session.checkpoints, step, session.run, parking)
        return write, parking.empty(attributes(trainable))

    moved = _or_refused(link, answer, move)
    if moved is None:
        return
    write, kept = moved
    if not by_itself:
        session.saver.start(
            write, lambda done, took: _say_durable(link, _durable(answer, done, step, took))
        )
    _rest(link, m.Released(**answer, step=step, kept=kept))
    _take_back(parking.fill)
    link.saved = ""
    link.send(m.Resumed(**link.fields(), step=step))


def _take_back(fill: Callable[[], None]) -> None:
    """The memory is granted, but another program may hold it still."""
    while True:
        try:
            fill()
        except RuntimeError as error:
            say(f"parked, and waiting for its memory: {_one_line(error)}")
            time.sleep(RETRY)
        else:
            return


def _or_refused(link: Link, answer: Answer, work: Callable[[], T]) -> T | None:
    """What the work gives; None where it failed, which is said and costs the training nothing."""
    try:
        return work()
    except Exception as error:  # noqa: BLE001 - a save that fails in any way must cost nothing
        text = _one_line(error)
        say(f"cannot pause: {text}")
        link.send(m.Refused(**answer, text=text))
        return None
    except BaseException as error:  # the training ends, but the request has its answer
        link.send(m.Refused(**answer, text=type(error).__name__))
        raise


def _durable(answer: Answer, written: Written, step: int, seconds: float) -> m.Durable:
    size, path = written.size, written.path
    return m.Durable(**answer, checkpoint=path, step=step, size=size, seconds=seconds)


def _say_durable(link: Link, durable: m.Durable) -> None:
    with link.changed:
        link.saved = durable.checkpoint
    link.send(durable)


def _rest(link: Link, answer: m.Standing | m.Released | m.Durable) -> None:
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
