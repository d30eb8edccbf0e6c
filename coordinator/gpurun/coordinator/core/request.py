"""What can never be admitted on this machine is refused at once, not queued for ever."""

import re

from gpurun.coordinator.core.after import awaited
from gpurun.coordinator.core.placement import named, visible
from gpurun.coordinator.core.sample import DeviceSample
from gpurun.coordinator.core.state import State
from gpurun.protocol.job import JobSpec
from gpurun.protocol.messages import Problem, Submit
from gpurun.protocol.quantity import LONGEST, MOST_GPUS, format_size

USAGE = 2
NO_DEVICE = 125
NOT_ADMITTED = 75
MOST_ATTEMPTS = 1 << 31
LONGEST_UUID = 64
_NO_UUID = re.compile(r"[^0-9a-zA-Z-]")


def obstacle_for_ever(state: State, message: Submit) -> Problem | None:
    """Why no future can admit this request; None when one can, or when it runs already."""
    spec = message.spec
    if problem := malformed(spec) or _nonsense(message):
        return Problem(text=problem, code=USAGE)
    if message.held is not None:
        return None
    after = awaited(state, spec.after)
    if isinstance(after, str):
        return Problem(text=after, code=USAGE)
    return too_much(state, spec)


def one_too_many(state: State, message: Submit, uid: int) -> Problem | None:
    """`[queue] max_jobs_per_user`: a script in a loop must not fill the queue for all others."""
    most = state.settings.queue.max_jobs_per_user
    if most is None or message.held is not None:
        return None
    if sum(job.uid == uid for job in state.live()) < most:
        return None
    text = f"you have {most} jobs already, which is [queue] max_jobs_per_user; wait for one to end"
    return Problem(text=text, code=NOT_ADMITTED)


def too_much(state: State, spec: JobSpec) -> Problem | None:
    """Why this machine never has what is asked for; None when it has."""
    if spec.gpus == 0:
        return None
    if not state.devices:
        return Problem(text=state.problem or "this machine has no GPU", code=NO_DEVICE)
    samples = [device.sample for device in state.devices.values()]
    allowed = [sample for sample in samples if visible(spec, sample.index, sample.uuid)]
    if missing := [name for name in spec.on or () if not _names_any(name, samples)]:
        return Problem(text=_no_such(missing[0], samples), code=USAGE)
    if len(allowed) < spec.gpus:
        return Problem(text=_too_few(state, spec, len(allowed)), code=USAGE)
    totals = sorted((sample.total or 0 for sample in allowed), reverse=True)
    needed = spec.memory or 0
    if needed > totals[spec.gpus - 1] > 0:
        return Problem(
            text=f"--mem {format_size(needed)} is more than any device has "
            f"(the largest: {format_size(totals[0])}); ask for less",
            code=USAGE,
        )
    return None


def _names_any(name: str, samples: list[DeviceSample]) -> bool:
    return any(named((name,), sample.index, sample.uuid) for sample in samples)


def _no_such(name: str, samples: list[DeviceSample]) -> str:
    there = ", ".join(f"{sample.index} ({sample.uuid})" for sample in samples)
    return f"--gpu {name} is not a device of this machine; there are {there}"


def malformed(spec: JobSpec) -> str:
    """What cannot be meant, in one line; empty when all can."""
    if not spec.command:
        return "there is no command to run; gpurun --help shows how"
    if not -100 <= spec.priority <= 100:
        return f"priority {spec.priority} is not between -100 and 100"
    if not 0 <= spec.gpus <= MOST_GPUS:
        return f"--gpus {spec.gpus} is not a number of devices"
    if spec.memory is not None and spec.memory <= 0:
        return "--mem must be more than nothing"
    shares = (spec.utilization, spec.memory_share)
    if any(share is not None and not 0 < share <= 1 for share in shares):
        return "a share must be more than 0 and at most 100 %"
    if spec.time is not None and not 0 <= spec.time < LONGEST:
        return f"--time must be between 0 and {LONGEST:.0f} seconds"
    return ""


def _nonsense(message: Submit) -> str:
    """What no launcher says: a name that is no UUID would name files, too."""
    if _NO_UUID.search(message.uuid) or not 0 < len(message.uuid) <= LONGEST_UUID:
        return "the job's UUID is not one"
    if message.held is not None and not 0 < message.held.attempt < MOST_ATTEMPTS:
        return "the attempt that runs has no number"
    return ""


def _too_few(state: State, spec: JobSpec, allowed: int) -> str:
    if spec.on is not None:
        return (
            f"--gpu {', '.join(spec.on)} leaves {allowed} of this machine's devices and "
            f"{spec.gpus} are asked for; name as many or ask for fewer"
        )
    if spec.only is not None:
        return (
            f"CUDA_VISIBLE_DEVICES={','.join(spec.only)} leaves {allowed} of this machine's "
            f"devices and {spec.gpus} are asked for; unset it or ask for fewer"
        )
    return f"--gpus {spec.gpus} is more than this machine has ({len(state.devices)}); ask for fewer"
