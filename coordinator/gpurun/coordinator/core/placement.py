"""Which devices a job gets: all that it asked for, or none."""

from collections.abc import Iterable
from operator import attrgetter

from gpurun.coordinator.core.admission import Verdict, judge, same_need
from gpurun.coordinator.core.job import Basis, Job
from gpurun.coordinator.core.ledger import Load
from gpurun.coordinator.core.settings import Settings
from gpurun.protocol.job import JobSpec


def judge_all(job: Job, loads: Iterable[Load], settings: Settings) -> list[Verdict]:
    """The sum on each device that the job may use."""
    spec = job.spec
    if spec.only is not None or spec.on is not None:
        loads = (load for load in loads if visible(spec, load.index, load.device))
    told = same_need(job, settings)
    return [judge(job, load, settings, told) for load in loads]


def choose(spec: JobSpec, verdicts: list[Verdict]) -> list[Verdict] | None:
    """Devices for the job, or None.

    A known need goes where it leaves the smallest hole, so that large holes stay; an unknown one
    takes all that is left and so goes where most is.
    """
    fitting = [verdict for verdict in verdicts if verdict.code is None]
    if len(fitting) < spec.gpus:
        return None
    fitting.sort(key=lambda v: (_room(v), v.load.index))
    if any(verdict.basis is Basis.UNKNOWN for verdict in fitting):
        fitting.sort(key=lambda v: (-_room(v), v.load.index))
    return sorted(fitting[: spec.gpus], key=lambda v: v.load.index)


nearness = attrgetter("shortfall")
"""How far a device is from taking the job, as a key: of equals the first is the nearest."""


def _room(verdict: Verdict) -> int:
    load = verdict.load
    return load.total - load.external_memory - load.charged_memory


def visible(spec: JobSpec, index: int, uuid: str) -> bool:
    """Whether `--gpu` and the caller's own CUDA_VISIBLE_DEVICES let the job see the device."""
    return all(
        named(entries, index, uuid) for entries in (spec.only, spec.on) if entries is not None
    )


def named(entries: Iterable[str], index: int, uuid: str) -> bool:
    """Whether any entry is the index or the beginning of the UUID, as CUDA reads them."""
    return any(
        entry == str(index) or (not entry.isdigit() and uuid.startswith(entry)) for entry in entries
    )
