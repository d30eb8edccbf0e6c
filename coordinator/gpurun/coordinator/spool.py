"""Ends that launchers wrote to files because no coordinator was there to hear them."""

import contextlib
import logging
import os
from collections.abc import Iterator

import msgspec

from gpurun.protocol.messages import Exited, SpawnFailed

_log = logging.getLogger(__name__)
_SUFFIX = ".json"

End = Exited | SpawnFailed
_decoder: "msgspec.json.Decoder[End]" = msgspec.json.Decoder(End)


def spooled(folder: str) -> Iterator[tuple[str, End]]:
    """Each end with the UUID of its job; what cannot be read is put aside and said."""
    with contextlib.suppress(FileNotFoundError):
        for name in sorted(os.listdir(folder)):
            if name.endswith(_SUFFIX) and (end := _read(os.path.join(folder, name))) is not None:
                yield name.removesuffix(_SUFFIX), end


def spooled_for(folder: str, uuid: str) -> End | None:
    """The end of one job, if it lies there."""
    path = os.path.join(folder, uuid + _SUFFIX)
    return _read(path) if os.path.exists(path) else None


def forget(folder: str, uuid: str) -> None:
    """The end is in the store now."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(os.path.join(folder, uuid + _SUFFIX))


def _read(path: str) -> End | None:
    try:
        with open(path, "rb") as file:
            return _decoder.decode(file.read())
    except (OSError, msgspec.DecodeError) as error:
        _log.error("%s cannot be read (%s); it is put aside", path, error)
        with contextlib.suppress(OSError):
            os.replace(path, path + ".unreadable")
        return None
