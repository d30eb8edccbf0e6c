"""`gpurun status`: devices and jobs."""

import click

from gpurun.launcher.option import option


@click.command(short_help="Devices and jobs.")
@option("--json", "as_json", is_flag=True, help="The same for programs.")
@option("--all", "everything", is_flag=True, help="Ended jobs too.")
def command(as_json: bool, everything: bool) -> int:
    """Devices, and running, paused and waiting jobs with their reasons."""
    from gpurun.launcher.conversation import Conversation
    from gpurun.protocol.messages import AskStatus, StatusReply

    with Conversation() as conversation:
        reply = conversation.ask(AskStatus(everything=everything), StatusReply)
    if as_json:
        import msgspec

        click.echo(msgspec.json.encode(reply.status))
    else:
        from gpurun.launcher.tables import status_table

        click.echo(status_table(reply.status))
    return 0
