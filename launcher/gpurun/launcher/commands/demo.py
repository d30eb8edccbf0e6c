"""`gpurun demo`: the main job, before your eyes."""

import click

from gpurun.launcher.option import option


@click.command(short_help="The main job on a simulated device, with real PyTorch training.")
@option("--gpu", is_flag=True, help="Use the NVIDIA GPU of this machine.")
def command(gpu: bool) -> int:
    """A light task runs in the middle of a training, and the training goes on unharmed.

    Everything happens in a temporary folder with a coordinator of its own. Exits 0 when the
    interrupted training has ended in the same state, bit for bit, as one that never was.
    """
    from gpurun.launcher.demo.show import show

    return show(gpu=gpu)
