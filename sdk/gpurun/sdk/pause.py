"""A pause, in the training thread, between two steps.

Deadline passed: say Overdue and train on. Asked to stand: Standing, and stand still with all that
there is until told to go on. Asked to exit: Capturing, write the checkpoint, Durable, and stand
still. Asked to park: park.py. The process never ends by itself, so that no line behind the training
runs: whoever ends the tree does so from the top. A withdrawn request, or a coordinator that stays
dead, lets the training go on as if it had never been asked.
"""

import time
from functools import partial

from gpurun.protocol import messages as m
from gpurun.sdk.durable import save
from gpurun.sdk.link import Link
from gpurun.sdk.resting import Answer, or_refused, rest
from gpurun.sdk.session import Session


def step_aside(link: Link, session: Session, step: int, *, evaluates: bool = False) -> None:
    """Answer the request that the link holds; return when the training is to go on.

    In an evaluation a request to exit is left for the next turn.
    """
    asked = link.request
    if asked is None or (evaluates and asked.how == "exit"):
        return
    request = link.take()
    if request is None:
        return
    answer = {**link.fields(), "request": request.request}
    if time.clock_gettime(time.CLOCK_BOOTTIME) > request.deadline:
        link.send(m.Overdue(**answer))
    elif or_refused(link, answer, partial(session.gather, request.how)) is None:
        return
    elif request.how == "stand":
        rest(link, m.Standing(**answer, step=step))
        link.send(m.Resumed(**link.fields(), step=step))
    elif request.how == "park":
        from gpurun.sdk.park import park

        why = "it is in an evaluation, to which it could not come back" if evaluates else ""
        park(link, session, answer, step, why or session.unsaved)
    else:
        _exit(link, session, answer, step)


def _exit(link: Link, session: Session, answer: Answer, step: int) -> None:
    """The training's part of it: whoever ends the tree does the rest."""
    durable = save(link, session, answer, step)
    if durable is not None:
        rest(link, durable)
