"""An option of a command whose help is plain text, as ours is."""

from functools import partial

import click


class Option(click.Option):
    """Click would clean the help of indents, and import `inspect` at every start for it: 6 ms."""

    def __init__(self, *arguments: object, help: str, **attributes: object) -> None:  # noqa: A002 - click's
        super().__init__(*arguments, **attributes)  # type: ignore[arg-type]
        self.help = help


option = partial(click.option, cls=Option)
help_option = click.help_option(cls=Option)
"""For the commands on the way of `gpurun COMMAND`; the others have click's own."""
