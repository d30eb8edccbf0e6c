"""`gpurun cancel`: a job leaves the queue, or is ended."""

import click

from gpurun.launcher.option import option
from gpurun.launcher.quantities import DURATION


@click.command(short_help="End jobs, or take them out of the queue.")
@click.argument("jobs", nargs=-1, required=True, metavar="JOB...")
@option(
    "--grace",
    type=DURATION,
    default=10.0,
    metavar="DURATION",
    help="Between SIGTERM and SIGKILL (default 10s).",
)
def command(jobs: tuple[str, ...], grace: float) -> int:
    """End jobs: SIGTERM, then SIGKILL of the whole process tree after the grace."""
    from gpurun.launcher.requests import carry_out
    from gpurun.protocol.messages import Cancel

    return carry_out([Cancel(job=job, grace=grace) for job in jobs])
