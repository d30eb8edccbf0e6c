"""A command line as an order: what the coordinator needs to know of it."""

import os
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import uuid4

from gpurun.launcher.failure import Failure
from gpurun.launcher.ground import why_not_again
from gpurun.launcher.identity import identify
from gpurun.launcher.launch import Order
from gpurun.launcher.lines import say
from gpurun.launcher.program import Program
from gpurun.launcher.ranks import ranks_of
from gpurun.protocol.job import JobSpec

SHOWN = 16384
"""Characters of a command line that others are shown: a shell's `*` may give megabytes."""


def make_order(words: Sequence[str], program: Program, options: Mapping[str, Any]) -> Order:
    """The order of the options of `gpurun run`; raise Failure in a folder that is gone."""
    memory, share = options["mem"] or (None, None)
    folder = _text(_folder())
    spec = JobSpec(
        command=_shown(words),
        cwd=folder,
        name=_text(options["name"] or os.path.basename(words[0]))[:SHOWN],
        priority=options["priority"],
        gpus=_devices(words, options),
        memory=memory,
        memory_share=share,
        utilization=options["util"],
        time=options["time"],
        pause=options["pause"],
        pause_signal=options["pause_signal"] or "",
        pause_exit=options["pause_exit"] or 0,
        on=tuple(options["gpu"]) or None,
        share=options["share"],
        after=tuple(options["after"]),
        only=_only(os.environ.get("CUDA_VISIBLE_DEVICES")),
        retry_oom=options["retry_oom"],
        program=identify(words, program, folder),
        no_respawn=why_not_again(),
        pid=os.getpid(),
    )
    max_wait = 0.0 if options["no_wait"] else options["max_wait"]
    uuid = uuid4()
    # A set of words has the same order in each attempt of the job.
    hash_seed = {"PYTHONHASHSEED": str(uuid.int % 2**32)}
    return Order(
        uuid=str(uuid),
        spec=spec,
        words=tuple(words),
        environment=hash_seed | os.environ,
        program=program,
        max_wait=max_wait,
        quiet=options["quiet"],
    )


def _devices(words: Sequence[str], options: Mapping[str, Any]) -> int:
    """As told, else one for each process that torchrun or accelerate starts."""
    told: int | None = options["gpus"]
    if told is not None:
        return told
    ranks = ranks_of(words) or 1
    if ranks > 1 and not options["quiet"]:
        starter = os.path.basename(words[0])
        say(f"{ranks} devices, one for each process that {starter} starts; --gpus tells otherwise")
    return ranks


def _only(visible: str | None) -> tuple[str, ...] | None:
    """The devices that the caller's own CUDA_VISIBLE_DEVICES leaves; None when it says nothing."""
    if visible is None:
        return None
    return tuple(device.strip() for device in visible.split(",") if device.strip())


def _shown(words: Sequence[str]) -> tuple[str, ...]:
    shown, room = [], SHOWN
    for word in words:
        shown.append(_text(word)[:room])
        room -= len(shown[-1])
        if room <= 0:
            return (*shown, "…")
    return tuple(shown)


def _text(value: str) -> str:
    """The value as text that can be encoded; arguments and folders are bytes to the system."""
    return value.encode(errors="surrogateescape").decode(errors="replace")


def _folder() -> str:
    try:
        return os.getcwd()
    except FileNotFoundError:
        raise Failure("the current folder is gone; change to another one") from None
