"""`gpurun doctor`: what works on this machine, and the cure for what does not."""

import os

import click


@click.command(short_help="What works on this machine, and cures.")
def command() -> int:
    """Look at driver, devices, socket, permissions and SDK; each problem comes with its cure.

    Exit code 1 when there is a problem.
    """
    from gpurun.launcher.examination import examine

    problems = 0
    for found in examine(os.environ):
        problems += bool(found.cure)
        word, cure = ("problem", f"; {found.cure}") if found.cure else ("ok", "")
        click.echo(f"{word:<8} {found.subject:<14} {found.text}{cure}")
    return 1 if problems else 0
