"""How many processes a command line starts, each of which takes a device of its own."""

import os
from collections.abc import Sequence

_STARTERS = {
    "torchrun": ("--nproc-per-node", "--nproc_per_node"),
    "torch.distributed.run": ("--nproc-per-node", "--nproc_per_node"),
    "torch.distributed.launch": ("--nproc-per-node", "--nproc_per_node"),
    "accelerate": ("--num_processes", "--num-processes"),
    "accelerate.commands.launch": ("--num_processes", "--num-processes"),
}


def ranks_of(words: Sequence[str]) -> int | None:
    """The number that torchrun or accelerate is told; None for any other command, or number."""
    for place, word in enumerate(words[:3]):  # python -m torch.distributed.run
        if options := _STARTERS.get(os.path.basename(word)):
            return _told(words[place + 1 :], options)
    return None


def _told(words: Sequence[str], options: tuple[str, ...]) -> int | None:
    for place, word in enumerate(words):
        if word.endswith(".py"):
            return None  # what follows is the script's own
        name, equals, value = word.partition("=")
        if name in options:
            value = value if equals else "".join(words[place + 1 : place + 2])
            return int(value) if value.isdecimal() and int(value) > 0 else None
    return None
