"""The command line: a subcommand, or else a command to run."""

import os
from collections.abc import Sequence
from importlib import import_module

import click

from gpurun.launcher import commands
from gpurun.launcher.option import Option, help_option
from gpurun.protocol.version import VERSION

_OWN_OPTIONS = ("--help", "--version")


class Gpurun(click.Group):
    """`gpurun VERB …` is the subcommand in commands/VERB.py; all else is `gpurun run …`."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's
        """Every verb."""
        return sorted(verbs())

    def get_command(
        self,
        ctx: click.Context,  # noqa: ARG002 - click's
        cmd_name: str,
    ) -> click.Command | None:
        """The subcommand, imported now."""
        if cmd_name not in verbs():
            return None
        module = import_module(f"gpurun.launcher.commands.{cmd_name}")
        command: click.Command = module.command
        return command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put `run` before whatever is neither a verb nor an option of the group."""
        if args and args[0] not in (*_OWN_OPTIONS, *verbs()):
            args = ["run", *args]
        return super().parse_args(ctx, args)

    def format_usage(
        self,
        ctx: click.Context,  # noqa: ARG002 - click's
        formatter: click.HelpFormatter,
    ) -> None:
        """The three ways to call it."""
        formatter.write_usage("gpurun", "[OPTIONS] SCRIPT.py [ARGS]...")
        formatter.write_usage("gpurun", "[OPTIONS] [--] COMMAND [ARGS]...", prefix="       ")
        formatter.write_usage("gpurun", "VERB [ARGS]...", prefix="       ")

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The options of `run`, then the verbs."""
        run = self.get_command(ctx, "run")
        if run:
            run.format_options(click.Context(run, parent=ctx, info_name="run"), formatter)
        with formatter.section("Alone"):
            own = (param.get_help_record(ctx) for param in self.get_params(ctx))
            formatter.write_dl([record for record in own if record])
        self.format_commands(ctx, formatter)


def verbs() -> set[str]:
    """The names of the subcommands."""
    folder = os.listdir(commands.__path__[0])
    return {name.removesuffix(".py") for name in folder if name[0].isalpha()}


@click.group(cls=Gpurun, no_args_is_help=False, subcommand_metavar="")
@click.version_option(VERSION, prog_name="gpurun", message="%(prog)s %(version)s", cls=Option)
@help_option
def cli() -> None:
    """Run a GPU program when it is safe to start it, and let it wait until then."""


def run_command_line(arguments: Sequence[str]) -> int:
    """Do what the arguments say and return the exit code; every error is one line."""
    from gpurun.launcher.failure import USAGE, Failure

    if not arguments:
        with click.Context(cli, info_name="gpurun") as ctx:
            click.echo(cli.get_help(ctx), err=True)
        return USAGE
    try:
        code = cli.main(list(arguments), prog_name="gpurun", standalone_mode=False)
        return int(code or 0)
    except Failure as failure:
        return _complain(str(failure), failure.code)
    except click.Abort:
        raise KeyboardInterrupt from None
    except click.ClickException as error:
        text = " ".join(error.format_message().split())
        return _complain(
            text[:1].lower() + text[1:].removesuffix(".") + _cure(error), error.exit_code
        )


def _cure(error: click.ClickException) -> str:
    """Where the right form is shown; a value that cannot be read has been told already."""
    told = isinstance(error, click.BadParameter) and not isinstance(error, click.MissingParameter)
    if told or not isinstance(error, click.UsageError) or "--help" in error.message:
        return ""
    verb = error.ctx.command_path.removesuffix(" run") if error.ctx else "gpurun"
    return f"; {verb} --help shows what there is"


def _complain(text: str, code: int) -> int:
    from gpurun.launcher.lines import complain

    if text:
        complain(text)
    return code
