"""What can go wrong in a checkpoint; each carries one line that says what to do.

CheckError              what sdk.check has found lost
UnmovableError          what must stay on its device
CheckpointError
├── UnsavedError    an attribute that can neither be saved nor shown unchanged
├── NoRoomError     the disk is too full to begin
└── RanksError      another rank of the same training cannot do its part
"""


class CheckError(Exception):
    """A save and a load lose something; the text names the first of it."""


class UnmovableError(Exception):
    """Something would not survive being moved to host memory; the text names it."""


class CheckpointError(Exception):
    """A checkpoint could not be written, or none that is complete was found."""


class UnsavedError(CheckpointError):
    """An attribute would be lost; the text names it."""

    def __init__(self, path: str, value: object, why: str) -> None:
        super().__init__(
            f"{path} is a {type(value).__name__} {why}; a Trainable saves it in save_checkpoint or "
            "lists it in not_saved, sdk.job takes plain values and what has a state_dict"
        )


class NoRoomError(CheckpointError):
    """The disk has less free space than the checkpoint needs."""


class RanksError(CheckpointError):
    """A rank has not come, has gone or has failed; the text says which."""
