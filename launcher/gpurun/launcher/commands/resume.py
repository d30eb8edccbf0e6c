"""`gpurun resume`: a held job goes back into the queue; a lost one is started again here."""

import click

from gpurun.launcher.option import help_option, option


@click.command(short_help="Let paused and held jobs go on.")
@click.argument("jobs", nargs=-1, required=True, metavar="JOB...")
@option("--changed", is_flag=True, help="Also with files that have changed since the checkpoint.")
@help_option
def command(jobs: tuple[str, ...], changed: bool) -> int:
    """Let paused or held jobs go on when there is room; returns at once.

    A job that was lost with its launcher is started again here, from its last checkpoint.
    """
    from gpurun.launcher.requests import carry_out
    from gpurun.protocol.messages import Resume, RetryReply

    lost: list[RetryReply] = []
    code = carry_out([Resume(job=job, changed=changed) for job in jobs], lost=lost.append)
    if not lost:
        return code
    from gpurun.launcher.again import refuse_inside, resume

    refuse_inside("gpurun resume of a lost job")
    if len(jobs) == 1:
        return resume(lost[0], changed=changed)
    from gpurun.launcher.lines import complain

    for job in lost:
        complain(f"job {job.job} is lost; gpurun resume {job.job} alone starts it again here")
    return 1
