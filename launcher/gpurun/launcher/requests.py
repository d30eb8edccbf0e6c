"""Commands that ask something for one or more jobs and print one line for each."""

from collections.abc import Callable, Sequence

import click

from gpurun.launcher import lines
from gpurun.launcher.conversation import ANSWER_DEADLINE, Conversation
from gpurun.protocol.messages import Done, Message, Problem, RetryReply


def carry_out(
    requests: Sequence[Message],
    patience: float | None = ANSWER_DEADLINE,
    lost: Callable[[RetryReply], None] | None = None,
) -> int:
    """Send all, print each outcome and return the exit code of the last one refused, else 0.

    With `patience` None it stays until effects that are still to come have come. `lost` takes the
    jobs that are to be started again here.
    """
    code, left = 0, len(requests)
    with Conversation() as conversation:
        conversation.say(*requests)
        replies = conversation.replies(patience)
        while left:
            match next(replies):
                case Done(pending=True, text=text) if patience is None:
                    lines.say(text)
                case Done(text=text):
                    click.echo(lines.clean(text))
                    left -= 1
                case RetryReply() as reply if lost is not None:
                    lost(reply)
                    left -= 1
                case Problem() as problem:
                    lines.complain(problem.text)
                    code, left = problem.code, left - 1
    return code
