"""Orders on disk: with its words, folder and environment a job can be run again as it was.

The environment may hold secrets, so that the files are the owner's alone. One stays while its job
has a checkpoint, and otherwise until so many others have come.
"""

import os

import msgspec

from gpurun.launcher.failure import Failure
from gpurun.launcher.launch import Order
from gpurun.protocol.job import JobSpec

KEPT = 1000
"""As many ended jobs as a coordinator remembers."""


class KeptOrder(msgspec.Struct, frozen=True, kw_only=True):
    """An order; words, folder and environment are bytes to the system."""

    spec: JobSpec
    words: tuple[bytes, ...]
    folder: bytes
    environment: dict[bytes, bytes]


def keep(path: str, order: Order) -> None:
    """Write an order down, whole or not at all; raise OSError where that cannot be done."""
    kept = KeptOrder(
        spec=order.spec,
        words=tuple(map(os.fsencode, order.words)),
        folder=os.getcwdb(),
        environment={
            os.fsencode(name): os.fsencode(value) for name, value in order.environment.items()
        },
    )
    content = msgspec.msgpack.encode(kept)
    with os.fdopen(_open(path + ".new"), "wb") as file:
        file.write(content)
    os.replace(path + ".new", path)


def kept_order(path: str, job: int) -> KeptOrder:
    """What was written; raise Failure where it is gone or cannot be read."""
    try:
        with open(path, "rb") as file:
            return msgspec.msgpack.decode(file.read(), type=KeptOrder)
    except FileNotFoundError:
        why = "is not kept any more"
    except (OSError, msgspec.DecodeError) as error:
        why = f"cannot be read ({error})"
    raise Failure(f"what job {job} was started with {why}; run the command again")


def sweep(orders: str, checkpoints: str, most: int = KEPT) -> None:
    """Remove the oldest of jobs that have no folder of checkpoints any more."""
    with os.scandir(orders) as entries:
        found = [(entry.stat().st_mtime, entry.name) for entry in entries]
    for _, name in sorted(found)[:-most]:
        if not os.path.exists(f"{checkpoints}/{name}"):
            os.unlink(f"{orders}/{name}")


def _open(path: str) -> int:
    """A new file for the owner alone, in a folder for the owner alone."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
    try:
        return os.open(path, flags, 0o600)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        return os.open(path, flags, 0o600)
