"""What Lightning asks for when it makes a Trainer: callbacks for a script that names none of ours.

It is the entry point of the groups `lightning.pytorch.callbacks_factory` and
`pytorch_lightning.callbacks_factory`, and so part of every Lightning script of the environment.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gpurun.sdk.lightning import PauseCallback


def callbacks() -> "list[PauseCallback]":
    """One that pauses under gpurun, and none elsewhere."""
    from gpurun.sdk.attempt import attempt

    if attempt() is None:
        return []
    from gpurun.sdk.lightning import PauseCallback

    return [PauseCallback()]
