"""`gpurun estimate`: what a job would reserve, and on what grounds, in one sentence."""

import msgspec

from gpurun.coordinator.core.estimator.guess import Basis, Guess
from gpurun.coordinator.core.needs import need_of
from gpurun.coordinator.core.state import State
from gpurun.protocol import status
from gpurun.protocol.job import JobSpec
from gpurun.protocol.quantity import format_share, format_size


class Needed(msgspec.Struct, frozen=True):
    """What was told of a job's memory, and what the user's runs say of it."""

    told: int | None
    guess: Guess | None
    utilization: Guess | None


def need_for(state: State, uid: int, spec: JobSpec) -> Needed:
    """Look once; no more is reserved than a device has, and a percentage is of the largest."""
    most = max((device.sample.total or 0 for device in state.devices.values()), default=0)
    need = need_of(state, uid, spec, state.charged())
    told = spec.memory if spec.memory_share is None else int(spec.memory_share * most)
    guess = need.memory
    if guess is not None and guess.high > most:
        guess = msgspec.structs.replace(guess, low=min(guess.low, most), high=float(most))
    return Needed(told, guess, need.utilization)


def estimated(spec: JobSpec, need: Needed) -> status.Estimates:
    """The figures for a job."""
    memory = _told(need.told) or _learned(need.guess)
    share = _told(spec.utilization) or _learned(need.utilization)
    return status.Estimates(
        memory=None if memory.high is None else int(memory.high),
        utilization=share.high,
        basis=memory.basis,
        confidence=memory.confidence,
        memory_figure=memory,
        utilization_figure=share,
    )


def estimate_text(spec: JobSpec, need: Needed) -> str:
    """The same as a sentence."""
    memory = _memory_text(need.told, need.guess)
    return f"{spec.name}: {memory}; {_share_text(spec.utilization, need.utilization)}"


def _told(value: float | None) -> status.Figure | None:
    return None if value is None else status.Figure(Basis.TOLD, value, value, 1.0, 0)


def _learned(guess: Guess | None) -> status.Figure:
    if guess is None:
        return status.Figure(Basis.UNKNOWN, None, None, None, 0)
    return status.Figure(guess.basis, guess.low, guess.high, guess.confidence, guess.runs)


def _memory_text(told: int | None, guess: Guess | None) -> str:
    if told is not None:
        return f"would reserve {format_size(told)} on each device, as told"
    if guess is None:
        return "would reserve all the memory that is left, since no run says what it needs"
    return (
        f"would reserve {format_size(int(guess.high))} on each device, {guess.basis} from "
        f"{guess.grounds} (seen: {format_size(int(guess.low))})"
    )


def _share_text(told: float | None, guess: Guess | None) -> str:
    if told is not None:
        return f"{format_share(told)} of its time, as told"
    if guess is None:
        return "and all of its time, since no run was alone on a device"
    return f"{format_share(guess.high)} of its time, {guess.basis} from {guess.grounds}"
