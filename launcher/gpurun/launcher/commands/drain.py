"""`gpurun drain`: nothing new is admitted."""

import click

from gpurun.launcher.option import option


@click.command(short_help="Admit nothing new, before a driver update.")
@option("--off", is_flag=True, help="Admit jobs again.")
def command(off: bool) -> int:
    """Admit nothing new until `gpurun drain --off`; running jobs go on.

    It holds over a restart of the coordinator and a reboot. Paused trainings wait as well.
    """
    from gpurun.launcher.requests import carry_out
    from gpurun.protocol.messages import Drain

    return carry_out([Drain(on=not off)])
