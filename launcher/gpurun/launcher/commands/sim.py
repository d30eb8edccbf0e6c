"""`gpurun sim`: programs for simulated devices."""

import os

import click

from gpurun.launcher.family import Family
from gpurun.launcher.option import option
from gpurun.launcher.quantities import DURATION, PERCENT, SIZE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gpurun.launcher.conversation import Conversation


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
    from gpurun.launcher.failure import Failure
    from gpurun.protocol.messages import DOES_NOT_FIT, Done, SimulateLoad

    device = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")[0]
    message = SimulateLoad(memory=mem, utilization=util, pid=os.getpid(), device=device)
    with Conversation() as conversation:
        try:
            click.echo(conversation.ask(message, Done).text)
        except Failure as failure:
            if failure.code == DOES_NOT_FIT:
                _tell_of_it(conversation, mem)
            raise
    time.sleep(seconds)
    return 0


def _tell_of_it(conversation: "Conversation", needed: int) -> None:
    """Say what the SDK says of a training that ran out of memory."""
    from gpurun.launcher.places import enclosing_job
    from gpurun.protocol.messages import Done, OutOfMemory

    if not (job := enclosing_job(os.environ)):
        return
    attempt, token = int(os.environ.get("GPURUN_ATTEMPT", "1")), os.environ["GPURUN_TOKEN"]
    message = OutOfMemory(job=int(job), attempt=attempt, token=token, needed=needed)
    conversation.ask(message, Done)
