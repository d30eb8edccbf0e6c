"""A checkpoint without a pause, and the last of a training."""

import time

from gpurun.protocol import messages as m
from gpurun.sdk import device_memory, rng, snapshot
from gpurun.sdk.checkpoint import Written
from gpurun.sdk.errors import NoRoomError, UnmovableError
from gpurun.sdk.holdings import held_bytes
from gpurun.sdk.moment import Part
from gpurun.sdk.parking import Parking
from gpurun.sdk.resting import one_line
from gpurun.sdk.say import say
from gpurun.sdk.session import Session

SHARE = 0.01
"""Of the time that a training took, what its last checkpoint may take."""
RATE, OVERHEAD = 200e6, 0.05
"""Bytes a second, and seconds beside them, that a checkpoint is guessed to take."""


def save(session: Session, step: int) -> None:
    """Make a checkpoint of now; the disk is waited for only where host memory is too short."""
    session.saver.wait()
    session.saves.begin(step)
    began, metric = time.monotonic(), session.saves.metric(session.subject.last)
    try:
        copied = _captured(session, step)
        part = copied or snapshot.part(session.subject, session.moment(step))
        if copied is None:
            _say_saved(session, step, session.write(step, part, metric=metric), began)
            return
        session.saver.start(
            lambda: session.write(step, part, metric=metric),
            lambda written, _: _say_saved(session, step, written, began),
            _say_failed,
        )
    except Exception as error:  # noqa: BLE001 - a save that fails in any way must cost nothing
        _say_failed(error)


def save_last(session: Session, step: int, took: float) -> None:
    """Keep how a training ended, so that a script with several need not repeat it.

    It is not worth more than a small SHARE of the time that the training took.
    """
    if session.unsaved:
        return
    session.saver.wait()
    part = snapshot.part(session.subject, session.moment(step))
    try:
        if took * SHARE >= OVERHEAD + held_bytes(session.subject.held()) / RATE:
            session.write(step, part, final=True)
    except Exception as error:  # noqa: BLE001 - the training is over, and nothing is lost yet
        say(f"the end of this training could not be kept: {one_line(error)}")


def _captured(session: Session, step: int) -> Part | None:
    """A copy in host memory; None where the script saves by itself or that cannot be."""
    subject = session.subject
    if subject.saves_itself:
        return None
    parking = Parking(session.buffers)
    try:
        with rng.kept():
            parking.copy(subject.held(), keeps_gradients=subject.keeps_gradients)
        return snapshot.captured(subject, session.moment(step), parking.host)
    except (NoRoomError, UnmovableError):
        return None
    finally:
        device_memory.settle()


def _say_saved(session: Session, step: int, written: Written, began: float) -> None:
    link = session.link
    if link is not None:
        fields = {**link.fields(), "checkpoint": written.path, "step": step, "size": written.size}
        link.send(m.Saved(**fields, seconds=time.monotonic() - began))


def _say_failed(error: Exception) -> None:
    say(f"a checkpoint could not be written, and the training goes on: {one_line(error)}")
