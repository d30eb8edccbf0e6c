"""`gpurun pause`: a job steps aside, or stays in the queue, until it is resumed."""

import click

from gpurun.launcher.option import option


@click.command(short_help="Pause running jobs; hold queued ones.")
@click.argument("jobs", nargs=-1, required=True, metavar="JOB...")
@option("--no-wait", is_flag=True, help="Return at once.")
@option("--rehearse", is_flag=True, help="Pause in each way on offer, go on, and say what it took.")
def command(jobs: tuple[str, ...], no_wait: bool, rehearse: bool) -> int:
    """Pause running jobs and keep them paused until `gpurun resume`; hold queued ones.

    Waits until each has come to a safe point and stepped aside. Ctrl-C ends the waiting, not the
    pause. A rehearsal keeps the job's room for it, and lets it go on at once.
    """
    if rehearse and no_wait:
        raise click.UsageError("--rehearse waits for its outcome; leave --no-wait out")
    if rehearse:
        from gpurun.launcher import rehearsal

        return rehearsal.rehearse(jobs)
    from gpurun.launcher.conversation import ANSWER_DEADLINE
    from gpurun.launcher.requests import carry_out
    from gpurun.protocol.messages import Pause

    return carry_out([Pause(job=job) for job in jobs], ANSWER_DEADLINE if no_wait else None)
