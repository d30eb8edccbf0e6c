"""`gpurun estimate`: what a command would reserve, and on what grounds."""

import os

import click

from gpurun.launcher.commands.run import command as run
from gpurun.launcher.option import Option

_JSON = "--json"


def _estimate(words: tuple[str, ...], **options: object) -> int:
    """What SCRIPT.py or COMMAND would reserve on each device, and on what grounds.

    It takes the options of `gpurun run`, of which those for memory and time matter. A last --json
    is gpurun's own.
    """
    as_json = bool(options.pop("as_json"))
    if words and words[-1] == _JSON:
        words, as_json = words[:-1], True
    if not words:
        raise click.UsageError("no command to estimate; try gpurun estimate train.py")
    from gpurun.launcher.conversation import Conversation
    from gpurun.launcher.order import make_order
    from gpurun.launcher.program import find_program
    from gpurun.protocol.messages import AskEstimate, EstimateReply

    order = make_order(words, find_program(words, os.environ), options)
    with Conversation() as conversation:
        reply = conversation.ask(AskEstimate(spec=order.spec), EstimateReply)
    if as_json:
        import msgspec

        click.echo(msgspec.json.encode(reply.estimate))
    else:
        from gpurun.launcher.lines import clean

        click.echo(clean(reply.text))
    return 0


command = click.Command(
    "estimate",
    callback=_estimate,
    params=[
        *run.params,
        Option([_JSON, "as_json"], is_flag=True, help="The figures for programs."),
    ],
    context_settings={"allow_interspersed_args": False},
    help=_estimate.__doc__,
    short_help="What a command would reserve, and why.",
)
