"""`gpurun ps`: the same as `gpurun status`."""

from gpurun.launcher.commands.status import command

__all__ = ["command"]
