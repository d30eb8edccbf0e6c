"""The line at the end of a job: peak use, and what will be reserved next time."""

from gpurun.coordinator.core.job import Basis, Job
from gpurun.coordinator.core.needs import need_of
from gpurun.coordinator.core.oom import try_next
from gpurun.coordinator.core.state import State
from gpurun.protocol.job import JobState
from gpurun.protocol.quantity import GIB, MIB, format_size


def end_text(state: State, job: Job) -> str:
    """Peak use, and what will be reserved next time; after an end for lack of memory, that."""
    if not job.granted or job.process is None:
        return ""
    seen = job.seen
    peak = seen.memory if seen else None
    shown = "its memory was not seen" if peak is None else f"peak {format_size(peak)}"
    text = f"{shown} of {format_size(job.granted)} reserved"
    if job.oom:
        text = f"out of memory: {text}{_over(job)}; {_after_oom(state, job)}"
    elif job.basis is Basis.TOLD:
        text = f"{text} as told; {_told_again(job, peak or 0)}"
    else:
        text = f"{text}; {_next_time(state, job, peak)}"
    return text + _from_here(job)


def _from_here(job: Job) -> str:
    """How a job that has not finished goes on."""
    if not job.checkpoint or job.state is JobState.FINISHED:
        return ""
    return f"; gpurun retry {job.id} goes on from its last checkpoint"


def _told_again(job: Job, peak: int) -> str:
    if peak <= job.granted:
        return "the same next time"
    return f"that was too little: next time ask for --mem {option(_enough(peak))}"


def _enough(peak: int) -> int:
    """The peak and a twentieth."""
    return peak * 21 // 20


def _over(job: Job) -> str:
    return f", {format_size(job.needed)} needed" if job.needed else ""


def _after_oom(state: State, job: Job) -> str:
    more = try_next(state, job)
    if not more:
        return "no device here has much more: make the program smaller"
    if job.spec.memory is not None or job.spec.memory_share is not None:
        return f"next time ask for --mem {option(more)}"
    return _next_time(state, job, None)


def _next_time(state: State, job: Job, peak: int | None) -> str:
    guess = need_of(state, job.uid, job.spec, state.charged()).memory
    if guess is None:
        return f"next time again all that is left{_advice(job, peak)}"
    totals = [device.sample.total or 0 for device in state.devices.values()]
    most = int(min(guess.high, max(totals, default=0)))
    return f"next time {format_size(most)} will be reserved"


def _advice(job: Job, peak: int | None) -> str:
    """What to tell next time."""
    if not peak:
        return ""
    enough = _enough(peak)
    if _tenths(enough) >= job.granted:
        return ""
    return f"; --mem {option(enough)} would leave room for others"


def option(size: int) -> str:
    """Bytes as one writes them after --mem, rounded up to a tenth of a GiB; less in MiB."""
    if size < GIB:
        return f"{-(-size // MIB)}MiB"
    return f"{_tenths(size) / GIB:.1f}GiB"


def _tenths(size: int) -> int:
    return -(-size * 10 // GIB) * GIB // 10
