"""`gpurun adjust`: change what was said of a job."""

import click

from gpurun.launcher.option import option
from gpurun.launcher.quantities import DURATION, MEMORY, PERCENT, PRIORITY


@click.command(short_help="Change what was said of a job.")
@click.argument("job", metavar="JOB")
@option(
    "--priority",
    type=PRIORITY,
    metavar="low|normal|high|INT",
    help="Its place in the queue, -100..100.",
)
@option("--mem", type=MEMORY, metavar="SIZE", help="GPU memory on each device: 6GiB or 25%.")
@option("--util", type=PERCENT, metavar="PERCENT", help="Utilisation of each device: 40.")
@option("--time", type=DURATION, metavar="DURATION", help="What it will take in all, like 20min.")
def command(
    job: str,
    priority: int | None,
    mem: tuple[int | None, float | None] | None,
    util: float | None,
    time: float | None,
) -> int:
    """Change what was said of a job, waiting or running; what is not named stays.

    What a running job holds grows only where there is room for it beside the others.
    """
    from gpurun.launcher.requests import carry_out
    from gpurun.protocol.messages import Adjust

    if all(value is None for value in (priority, mem, util, time)):
        raise click.UsageError("nothing to change; name --priority, --mem, --util or --time")
    memory, share = mem or (None, None)
    wish = Adjust(
        job=job,
        priority=priority,
        memory=memory,
        memory_share=share,
        utilization=util,
        time=time,
    )
    return carry_out([wish])
