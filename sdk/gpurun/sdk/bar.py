"""A progress bar, where somebody looks: on a terminal, and where tqdm is installed."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from gpurun.sdk.metrics import as_text

Show = Callable[[int, object], None]
"""Takes the steps that are done and the metrics of the last."""


@contextmanager
def shown(steps: int, begun: int) -> Iterator[Show]:
    """Show how far a training of so many steps is that goes on behind the first `begun`."""
    bar = _bar(steps, begun)
    if bar is None:
        yield _nobody_looks
        return

    def show(done: int, metrics: object) -> None:
        if bar.update(done - bar.n):  # it has been drawn anew: not at each step
            bar.set_postfix_str(as_text(metrics), refresh=False)

    with bar:
        yield show


def _bar(steps: int, begun: int) -> Any:
    if not sys.stderr.isatty():
        return None
    try:
        from tqdm import tqdm
    except ImportError:
        return None
    return tqdm(total=steps, initial=begun, unit="step", dynamic_ncols=True)


def _nobody_looks(done: int, metrics: object) -> None:
    """Show nothing."""
