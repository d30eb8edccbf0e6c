"""What `self.log` has gathered of an epoch so far, which Lightning does not keep."""

import sys
from operator import attrgetter
from typing import Any

_META = (
    "fx", "name", "prog_bar", "logger", "on_step", "on_epoch", "enable_graph",
    "add_dataloader_idx", "dataloader_idx", "metric_attribute",
)  # fmt: skip
_SYNC = ("_should", "rank_zero_only", "_op", "_group")
_VALUES = (
    "value", "cumulated_batch_size", "has_reset", "_forward_cache", "_computed", "_update_count",
)  # fmt: skip


def state_of(results: Any) -> dict[str, Any]:
    """Each result with what was said of it; a metric of the module is named by its attribute."""
    return {key: _result(result) for key, result in results.items()}


def put_back(results: Any, state: dict[str, Any], trainer: Any) -> None:
    """Make each result anew: an attempt that goes on has not logged any of them yet."""
    results.clear()
    kinds = sys.modules[type(results).__module__]
    for key, saved in state.items():
        sync = kinds._Sync(fn=trainer.strategy.reduce, **saved["sync"])
        meta = kinds._Metadata(**saved["meta"], _sync=sync)
        result = kinds._ResultMetric(meta, saved["is_tensor"])
        vars(result).update(saved["values"])
        if not saved["is_tensor"]:
            result.value = attrgetter(meta.metric_attribute)(trainer.lightning_module)
        results[key] = result


def _result(result: Any) -> dict[str, Any]:
    meta = result.meta
    values = {name: vars(result)[name] for name in _VALUES if name in vars(result)}
    if not result.is_tensor:
        del values["value"]
    return {
        "meta": {
            **{name: getattr(meta, name) for name in _META},
            "reduce_fx": meta.reduce_fx.__name__,
        },
        "sync": {name: getattr(meta.sync, name) for name in _SYNC},
        "is_tensor": result.is_tensor,
        "values": values,
    }
