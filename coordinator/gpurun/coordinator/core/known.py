"""What is known of a job's need of one device: as told, or as its program's runs say."""

from gpurun.coordinator.core.estimator.guess import Guess
from gpurun.coordinator.core.job import Basis, Job
from gpurun.coordinator.core.ledger import Load
from gpurun.coordinator.core.settings import Settings
from gpurun.protocol.job import JobSpec


def known_memory(job: Job, load: Load, settings: Settings) -> tuple[int | None, Basis]:
    """Bytes that the job needs of this device; None where all that is left must do."""
    told = told_memory(job.spec, load)
    if told is not None:
        return max(told, shown(job)), Basis.TOLD
    guess = job.need.memory if job.need else None
    if guess is None:
        return None, Basis.UNKNOWN
    return _clipped(guess, load, settings), guess.basis


def shown(job: Job) -> int:
    """Bytes that the job itself has used before: it will again, whatever was told."""
    seen = job.seen
    return 0 if seen is None or seen.assumed else seen.memory or 0


def told_memory(spec: JobSpec, load: Load) -> int | None:
    """Bytes that were told for this device."""
    if spec.memory_share is not None:
        return int(spec.memory_share * load.total)
    return spec.memory


def known_utilization(job: Job) -> float | None:
    """The share of time that was told, or seen; None where all that is left must do."""
    if job.spec.utilization is not None:
        return job.spec.utilization
    guess = job.need.utilization if job.need else None
    return guess.high if guess else None


def expected_time(job: Job) -> float | None:
    """Seconds that the job will run in all, as told or as its program's runs say."""
    if job.spec.time is not None:
        return job.spec.time
    guess = job.need.time if job.need else None
    return guess.high if guess else None


def _clipped(guess: Guess, load: Load, settings: Settings) -> int:
    """No margin goes over what the device can offer, and no guess over its cap.

    Otherwise a job that fills a device, with a margin on top, would wait for ever for more.
    """
    offer = load.total if load.foreign else load.total - load.external_memory
    cap = settings.limits.memory * load.total
    return max(1, int(max(min(guess.high, offer), min(guess.low, cap))))


def expected_memory(job: Job) -> int | None:
    """Bytes that will be asked for, on a device that has them."""
    guess = job.need.memory if job.need else None
    return int(guess.high) if guess else None


def basis_to_be(job: Job) -> Basis:
    """Where the memory comes from that will be asked for."""
    if job.spec.memory is not None or job.spec.memory_share is not None:
        return Basis.TOLD
    guess = job.need.memory if job.need else None
    return guess.basis if guess else Basis.UNKNOWN


def confidence(job: Job) -> float | None:
    """How sure the memory is; 1 as told, None where it is not known."""
    if basis_to_be(job) is Basis.TOLD:
        return 1.0
    guess = job.need.memory if job.need else None
    return guess.confidence if guess else None
