"""What a step has returned, in a few words."""

import sys
from itertools import islice
from numbers import Integral, Real
from typing import Any

FIGURES = 4
"""How many of a step's metrics are shown."""


def as_text(metrics: object) -> str:
    """The first metrics; of values that only a device or somebody else's code can tell, nothing.

    Names that begin with an underscore are nobody's metrics: a job's own attributes have such.
    """
    if type(metrics) is not dict:
        return ""
    try:
        items = list(metrics.items())
    except RuntimeError:  # the training changes it just now
        return ""
    named = (item for item in items if type(item[0]) is str and not item[0].startswith("_"))
    known = ((name, _figure(value)) for name, value in named)
    shown = islice((f"{name} {figure}" for name, figure in known if figure), FIGURES)
    return ", ".join(shown).encode(errors="replace").decode()


def _figure(value: Any) -> str:
    try:
        if type(value) is str:
            return value
        if isinstance(value, Integral):
            return str(int(value))
        if isinstance(value, Real):
            return f"{float(value):.4g}"
        return f"{value.item():.4g}" if _is_scalar_on_the_host(value) else ""
    except Exception:  # noqa: BLE001 - whatever a training counts must not end its link
        return ""


def _is_scalar_on_the_host(value: Any) -> bool:
    """Whether it can be read at once: to read a tensor of a device would wait for the device."""
    torch = sys.modules.get("torch")
    if torch is None or type(value) is not torch.Tensor:
        return False
    return bool(value.device.type == "cpu" and value.dim() == 0)
