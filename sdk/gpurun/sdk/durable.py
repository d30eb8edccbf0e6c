"""A checkpoint from where the training is, and the word that it is on disk."""

import time

from gpurun.protocol import messages as m
from gpurun.sdk import snapshot
from gpurun.sdk.link import Link
from gpurun.sdk.resting import Answer, or_refused
from gpurun.sdk.session import Session


def save(link: Link, session: Session, answer: Answer, step: int) -> m.Durable | None:
    """Say Capturing and write the checkpoint; None where that has failed."""
    link.send(m.Capturing(**answer))
    began = time.monotonic()
    part = snapshot.part(session.subject, session.moment(step))
    written = or_refused(link, answer, lambda: session.write(step, part))
    if written is None:
        return None
    size, took = written.size, time.monotonic() - began
    return m.Durable(**answer, checkpoint=written.path, step=step, size=size, seconds=took)
