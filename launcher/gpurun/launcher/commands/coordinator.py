"""`gpurun coordinator`: the daemon by hand."""

import os
import sys

import click

from gpurun.launcher.family import Family


@click.group(cls=Family, short_help="Start, stop and watch the daemon by hand.")
def command() -> None:
    """The daemon that watches the devices; the first gpurun starts it by itself."""


@command.command(short_help="Run it in the foreground.")
def run() -> int:
    """Run it in the foreground."""
    os.execv(sys.executable, [sys.executable, "-P", "-m", "gpurun.coordinator"])  # noqa: S606


@command.command()
def start() -> int:
    """Start it in the background and print its pid."""
    from gpurun.launcher.coordinator_start import ensure_coordinator
    from gpurun.launcher.places import paths

    click.echo(ensure_coordinator(paths(os.environ)))
    return 0


@command.command(short_help="End it; running jobs go on.")
def stop() -> int:
    """End it; running jobs are left alone, and waiting ones start it again."""
    from gpurun.launcher.coordinator_stop import stop_coordinator
    from gpurun.launcher.places import paths

    stopped = stop_coordinator(paths(os.environ).socket)
    click.echo(f"stopped {stopped}" if stopped else "no coordinator runs")
    return 0


@command.command(short_help="Its pid, version and uptime.")
def status() -> int:
    """Show its pid, version and uptime; exit code 1 when none runs."""
    from gpurun.launcher.peer import listener
    from gpurun.launcher.places import socket_path

    if listener(socket_path(os.environ)) is None:
        click.echo("no coordinator runs")
        return 1
    from gpurun.launcher.conversation import Conversation
    from gpurun.protocol.messages import AskStatus, StatusReply
    from gpurun.protocol.quantity import format_duration

    with Conversation() as conversation:
        found = conversation.ask(AskStatus(), StatusReply).status.coordinator
    click.echo(f"pid {found.pid}, version {found.version}, up {format_duration(found.uptime)}")
    return 0
