"""`gpurun why`: the admission sum for one job, and its story."""

import click

from gpurun.launcher.option import option


@click.command(short_help="Why a job waits, and its story.")
@click.argument("job")
@option("--json", "as_json", is_flag=True, help="The job and its story for programs.")
def command(job: str, as_json: bool) -> int:
    """Why JOB waits, device by device, and what has happened to it so far."""
    from gpurun.launcher.conversation import Conversation
    from gpurun.protocol.messages import AskWhy, WhyReply

    with Conversation() as conversation:
        reply = conversation.ask(AskWhy(job=job), WhyReply)
    if as_json:
        import msgspec

        click.echo(msgspec.json.encode(reply.story))
    else:
        from gpurun.launcher.tables import story_table

        click.echo(story_table(reply))
    return 0
