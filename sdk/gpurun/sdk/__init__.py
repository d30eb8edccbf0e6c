"""What a training script uses: `from gpurun import sdk`.

Everything is imported when it is first named, so that this costs a script less than a
millisecond and works where neither PyTorch nor the rest of gpurun is installed. Outside gpurun
the same script simply trains.
"""

import os

TYPE_CHECKING = False  # importing typing would cost more than all the rest
if TYPE_CHECKING:
    from gpurun.sdk import lightning as lightning
    from gpurun.sdk import transformers as transformers
    from gpurun.sdk.checking import check as check
    from gpurun.sdk.data import Batches as Batches
    from gpurun.sdk.data import batches as batches
    from gpurun.sdk.digests import digest as digest
    from gpurun.sdk.first import once as once
    from gpurun.sdk.loop import Job as Job
    from gpurun.sdk.loop import job as job
    from gpurun.sdk.trainable import Trainable as Trainable
    from gpurun.sdk.training import Result as Result
    from gpurun.sdk.training import run as run

_HOMES = {
    "Batches": "data",
    "Job": "loop",
    "Result": "training",
    "Trainable": "trainable",
    "batches": "data",
    "check": "checking",
    "digest": "digests",
    "job": "loop",
    "once": "first",
    "run": "training",
}

__all__ = [
    "Batches",
    "Job",
    "Result",
    "Trainable",
    "batches",
    "check",
    "digest",
    "job",
    "once",
    "run",
]


_MODULES = ("lightning", "transformers")
"""Modules that are named with their own contents: they need what they are for."""


def __getattr__(name: str) -> object:
    from importlib import import_module

    if name in _MODULES:
        return import_module(f"{__name__}.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)


if "GPURUN_JOB" in os.environ:
    from gpurun.sdk.first import keep_random_states

    keep_random_states()
    if os.environ.get("GPURUN_RESUME"):  # before the script begins a run of a tracker
        from gpurun.sdk import trackers

        trackers.export(os.environ.get("GPURUN_CHECKPOINT_DIR", ""))
