"""`gpurun check`: a proof that a save and a load lose nothing of a script's training."""

import os
from typing import Any

import click

from gpurun.launcher.commands.run import command as run


def check(words: tuple[str, ...], **options: Any) -> int:
    """Train for ten steps, and half of them again from a checkpoint in a new process.

    Names the first value that is not the same, bit for bit. It starts when it is safe, as every
    GPU program does, and takes the options of gpurun run. Needs sdk.run, sdk.job or one of the
    callbacks in the script.
    """
    from gpurun.launcher.program import find_program, find_python

    if not words or not words[0].endswith(".py"):
        raise click.UsageError("no script to check; try gpurun check train.py")
    find_program(words, os.environ)
    name = options["name"] or f"check {os.path.basename(words[0])}"
    checker = (find_python(os.environ), "-m", "gpurun.sdk.checking", *words)
    assert run.callback is not None  # noqa: S101 - click's types
    code: int = run.callback(checker, **{**options, "name": name, "pause": "never"})
    return code


command = click.Command(
    "check",
    params=run.params,
    callback=check,
    context_settings=run.context_settings,
    help=check.__doc__,
    short_help="Prove that a training's save and load lose nothing.",
)
