"""`gpurun retry`: a job that has ended runs again, from its last checkpoint."""

import click

from gpurun.launcher.option import help_option, option


@click.command(short_help="Run an ended job again, from its last checkpoint.")
@click.argument("job", metavar="JOB")
@option("--fresh", is_flag=True, help="From its beginning; its checkpoints are removed.")
@option("-q", "--quiet", is_flag=True, help="None of gpurun's own lines.")
@help_option
def command(job: str, fresh: bool, quiet: bool) -> int:
    """Run an ended job again here: the same command, folder and environment.

    It goes on from its last complete checkpoint, also with a script that has changed since.
    """
    from gpurun.launcher.again import refuse_inside, retry
    from gpurun.launcher.conversation import Conversation
    from gpurun.protocol.messages import Retry, RetryReply

    refuse_inside("gpurun retry")
    with Conversation() as conversation:
        found = conversation.ask(Retry(job=job), RetryReply)
    return retry(found, fresh=fresh, quiet=quiet)
