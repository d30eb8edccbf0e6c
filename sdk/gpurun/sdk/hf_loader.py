"""The data of a Hugging Face Trainer: its own loader, with a turn before each batch."""

from collections.abc import Callable, Iterator
from typing import Any

from gpurun.sdk.data import Batches, batches


class Loader:
    """Stands in for the loader that a Trainer has made; all that it is asked for is the loader's.

    Its trainer iterates over it once in each epoch, and seldom to the end: what it does not ask
    for is dropped.
    """

    def __init__(
        self, loader: Any, turn: Callable[["Loader"], None], resume: str, skipped: int = 0
    ) -> None:
        self.loader = loader
        self.skipped = skipped
        """Batches that the loader itself leaves out at the beginning of each iteration."""
        self.epoch = 0
        """What the trainer calls the epoch."""
        self.data: Batches[Any] = batches(loader, resume)
        self._turn = turn

    def __iter__(self) -> Iterator[Any]:
        try:
            while True:
                self._turn(self)
                try:
                    batch = self.data.take()
                except StopIteration:
                    return
                yield batch
        finally:
            self.data.end_epoch()  # loader workers end with the iteration, as without gpurun

    def __len__(self) -> int:
        return len(self.loader)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.loader, name)

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        """That of the loader, as accelerate's do it: callbacks may look for a DataLoader."""
        return self.loader.__class__

    def set_epoch(self, epoch: int) -> None:
        """Tell the loader, by which some shuffle, and remember it."""
        self.epoch = epoch
        if hasattr(self.loader, "set_epoch"):
            self.loader.set_epoch(epoch)

    def place(self) -> dict[str, Any]:
        """Where it is: the epoch, and how much of it has been given."""
        return {"epoch": self.epoch, "skipped": self.skipped, "data": self.data.state_dict()}
