"""`gpurun sim`: programs for simulated devices."""

import os

import click

from gpurun.launcher.family import Family
from gpurun.launcher.option import option
from gpurun.launcher.quantities import DURATION, PERCENT, SIZE


@click.group(cls=Family, short_help="Programs for simulated devices.")
def command() -> None:
    """Try gpurun on a machine with no GPU: GPURUN_DEVICES=sim:2x24GiB."""


@command.command(short_help="Occupy a simulated device.")
@option("--mem", type=SIZE, required=True, metavar="SIZE", help="Memory to occupy: 5GiB.")
@option("--util", type=PERCENT, default=0.0, metavar="PERCENT", help="Utilisation to cause: 40.")
@option("--seconds", type=DURATION, required=True, metavar="S", help="How long to hold it.")
def load(mem: int, util: float, seconds: float) -> int:
    """Occupy a simulated device, inside a job or, as an external process, outside of any.

    Exits 1 with an out-of-memory error where it does not fit.
    """
    import time

    from gpurun.launcher.conversation import Conversation
    from gpurun.protocol.messages import Done, SimulateLoad

    device = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")[0]
    message = SimulateLoad(memory=mem, utilization=util, pid=os.getpid(), device=device)
    with Conversation() as conversation:
        click.echo(conversation.ask(message, Done).text)
    time.sleep(seconds)
    return 0
