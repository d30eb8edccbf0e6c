"""A verb with verbs of its own, like `gpurun coordinator start`."""

import click

from gpurun.launcher.failure import USAGE


class Family(click.Group):
    """Without a verb it shows its help, and that is a mistake: in every version of click."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Answer no argument at all."""
        if not args:
            click.echo(ctx.get_help(), err=True)
            ctx.exit(USAGE)
        return super().parse_args(ctx, args)
