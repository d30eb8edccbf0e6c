"""Park, in the training thread: to host memory, Released, and back when told to go on.

The checkpoint is written from the copies meanwhile, so that no disk is on the way to the release;
only a script that writes its own files does that first, from the device.
"""

import time

from gpurun.protocol import messages as m
from gpurun.sdk import rng, snapshot
from gpurun.sdk.checkpoint import Written
from gpurun.sdk.durable import save
from gpurun.sdk.link import Link
from gpurun.sdk.moment import Part
from gpurun.sdk.oom import is_oom
from gpurun.sdk.parking import Parking
from gpurun.sdk.resting import Answer, one_line, or_refused, rest
from gpurun.sdk.say import say
from gpurun.sdk.session import Session

RETRY = 1.0
"""Seconds after which a parked training tries again to take its memory back."""


def park(link: Link, session: Session, answer: Answer, step: int, unsaved: str = "") -> None:
    """Answer a request to park; return when the training is to go on.

    `unsaved` says why no checkpoint is made, where none could be gone on from.
    """
    link.saved = ""
    if session.subject.saves_itself and not unsaved:
        durable = save(link, session, answer, step)
        if durable is None:
            return
        _say_durable(link, durable)
    else:
        link.send(m.Capturing(**answer))
    parking = Parking(session.buffers)
    try:
        if _wait_parked(link, session, answer, step, parking, unsaved):
            take_back(parking)
            link.send(m.Resumed(**link.fields(), step=step))
    except BaseException:
        take_back_at_the_end(parking)
        raise


def _wait_parked(
    link: Link, session: Session, answer: Answer, step: int, parking: Parking, unsaved: str
) -> bool:
    """Give the memory back and wait; False where that could not be done."""

    def move() -> tuple[Part | None, int]:
        captures = not (session.subject.saves_itself or unsaved)
        part, kept = give_back(session, step, parking, captures=captures)
        try:
            return part, session.most_kept(kept)
        except BaseException:
            parking.fill()
            raise

    moved = or_refused(link, answer, move)
    if moved is None:
        return False
    part, kept = moved
    if part is not None:
        _save_meanwhile(link, session, answer, step, part)
    elif unsaved:
        _say_unsaved(link, answer, unsaved)
    rest(link, m.Released(**answer, step=step, kept=kept))
    return True


def _save_meanwhile(link: Link, session: Session, answer: Answer, step: int, part: Part) -> None:
    def done(written: Written, took: float) -> None:
        path, size = written.path, written.size
        _say_durable(link, m.Durable(**answer, checkpoint=path, step=step, size=size, seconds=took))

    def failed(error: Exception) -> None:
        text = one_line(error)
        say(f"parked in memory, but its checkpoint could not be written: {text}")
        _say_unsaved(link, answer, text)

    try:
        session.saver.start(lambda: session.write(step, part), done, failed)
    except RuntimeError as error:  # there is no thread left
        failed(error)


def _say_unsaved(link: Link, answer: Answer, text: str) -> None:
    link.send(m.Unsaved(**answer, text=text))


def _say_durable(link: Link, durable: m.Durable) -> None:
    with link.changed:
        link.saved = durable.checkpoint
    link.send(durable)


def give_back(
    session: Session, step: int, parking: Parking, *, captures: bool
) -> tuple[Part | None, int]:
    """Move all to host memory; what writes the checkpoint, if any, and bytes that are kept."""
    subject = session.subject
    part = None
    try:
        with rng.kept():
            parking.copy(subject.held(), keeps_gradients=subject.keeps_gradients)
            if captures:
                part = snapshot.captured(subject, session.moment(step), parking.host)
            return part, parking.empty()
    except BaseException:
        parking.fill()
        raise


def take_back(parking: Parking) -> None:
    """The memory is granted, but another program may hold it still."""
    while True:
        try:
            parking.fill()
        except RuntimeError as error:
            if not is_oom(error):
                raise
            say(f"parked, and waiting for its memory: {one_line(error)}")
            time.sleep(RETRY)
        else:
            return


def take_back_at_the_end(parking: Parking) -> None:
    """The script is interrupted; what it does now may look at its state."""
    try:
        parking.fill()
    except RuntimeError as error:
        say(f"what was parked could not be taken back: {one_line(error)}")
