"""Rehearsals of pauses: each way that a job offers is tried, and said in a line of its own."""

from collections.abc import Iterable

import click

from gpurun.launcher import lines
from gpurun.launcher.conversation import Conversation
from gpurun.protocol.messages import Done, Problem, Rehearse, Rehearsed


def rehearse(jobs: Iterable[str]) -> int:
    """One job after the other; the exit code of the last one that refused anything, else 0."""
    code = 0
    with Conversation() as conversation:
        for job in jobs:
            code = _rehearse(conversation, job) or code
    return code


def _rehearse(conversation: Conversation, job: str) -> int:
    """A safe point may be far, and a way back may be long: Ctrl-C ends the waiting for them."""
    code = 0
    conversation.say(Rehearse(job=job))
    for reply in conversation.replies(None):
        match reply:
            case Done(text=text):
                lines.say(text)
            case Rehearsed() as outcome:
                code = _show(outcome) or code
                if not outcome.further:
                    break
                conversation.say(Rehearse(job=job, how=outcome.further))
            case Problem() as problem:
                lines.complain(problem.text)
                return problem.code
    return code


def _show(outcome: Rehearsed) -> int:
    if outcome.refused:
        lines.complain(outcome.text)
        return 1
    click.echo(lines.clean(outcome.text))
    return 0
