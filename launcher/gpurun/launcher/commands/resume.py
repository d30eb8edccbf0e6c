"""`gpurun resume`: a held job goes back into the queue."""

import click


@click.command(short_help="Let paused and held jobs go on.")
@click.argument("jobs", nargs=-1, required=True, metavar="JOB...")
def command(jobs: tuple[str, ...]) -> int:
    """Let paused or held jobs go on when there is room; returns at once."""
    from gpurun.launcher.requests import carry_out
    from gpurun.protocol.messages import Resume

    return carry_out([Resume(job=job) for job in jobs])
