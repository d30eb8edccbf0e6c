"""`gpurun run`: run a command when it is safe."""

import os

import click
from click.core import ParameterSource

from gpurun.launcher.option import help_option, option
from gpurun.launcher.quantities import (
    DURATION,
    EXIT_CODE,
    GPUS,
    MEMORY,
    NAME,
    PERCENT,
    PRIORITY,
    SIGNAL,
)


@click.command(
    context_settings={"allow_interspersed_args": False},
    short_help="Run a command that is named like a verb.",
)
@option(
    "--priority",
    type=PRIORITY,
    default=0,
    metavar="low|normal|high|INT",
    help="Place in the queue, -100..100; low is -50, normal 0, high 50.",
)
@option(
    "--mem",
    type=MEMORY,
    metavar="SIZE",
    help="GPU memory on each device: 6GiB, 6G, 6144MiB or 25%.",
)
@option("--util", type=PERCENT, metavar="PERCENT", help="Utilisation of each device: 40.")
@option(
    "--gpus",
    type=GPUS,
    metavar="N",
    help="Devices, all or nothing (default 1, with torchrun one for each process); 0 for none.",
)
@option(
    "--gpu",
    multiple=True,
    metavar="ID",
    help="Only on this device, by index or UUID; may be repeated.",
)
@option(
    "--share",
    is_flag=True,
    help="Utilisation does not hold it back beside your own jobs and others that say this.",
)
@option(
    "--time",
    type=DURATION,
    metavar="DURATION",
    help="What it will take, like 20min; it ends nothing.",
)
@option(
    "--pause",
    type=click.Choice(["auto", "stand", "park", "exit", "never"]),
    default="auto",
    metavar="auto|stand|park|exit|never",
    help="How it may be asked to step aside (default auto).",
)
@option(
    "--pause-signal",
    type=SIGNAL,
    metavar="SIG",
    help="For a script with no SDK: STOP lets it be stopped and continued, as it is; at any "
    "other signal it saves by itself and exits with --pause-exit.",
)
@option(
    "--pause-exit",
    type=EXIT_CODE,
    metavar="CODE",
    help="The code with which it exits once it has saved, like 85; it is run again later.",
)
@option(
    "--after",
    multiple=True,
    metavar="JOB",
    help="Start when JOB has finished with 0; may be repeated.",
)
@option("--name", type=NAME, metavar="NAME", help="Shown in place of the command.")
@option(
    "--max-wait", type=DURATION, metavar="DURATION", help="Give up with exit code 75 after this."
)
@option("--no-wait", is_flag=True, help="Give up with exit code 75 rather than wait.")
@option("--retry-oom", is_flag=True, help="Run it again, with more, if it runs out of memory.")
@option("-q", "--quiet", is_flag=True, help="None of gpurun's own lines.")
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="COMMAND [ARGS]...")
@help_option
def command(words: tuple[str, ...], **options: object) -> int:
    """Run SCRIPT.py or COMMAND when it is safe, and wait until then.

    A .py file runs with the python of your own environment. Everything after the command is the
    command's own.
    """
    if not words:
        raise click.UsageError("no command to run; try gpurun train.py, or gpurun --help")
    if options["pause_signal"] is not None or options["pause_exit"] is not None:
        from gpurun.launcher.pause_signal import check

        check(options)
    from gpurun.launcher.places import enclosing_job
    from gpurun.launcher.program import find_program

    program = find_program(words, os.environ)
    if job := enclosing_job(os.environ):
        from gpurun.launcher.nested import run_inside

        return run_inside(job, program, _given(), quiet=bool(options["quiet"]))
    from gpurun.launcher.order import make_order
    from gpurun.launcher.places import paths
    from gpurun.launcher.run_job import run_job

    return run_job(make_order(words, program, options), paths(os.environ))


def _given() -> list[str]:
    """The options on the command line that ask for something."""
    context = click.get_current_context()
    return [
        option.opts[-1]
        for option in context.command.params
        if isinstance(option, click.Option)
        and option.name not in (None, "quiet")
        and context.get_parameter_source(str(option.name)) is ParameterSource.COMMANDLINE
    ]
