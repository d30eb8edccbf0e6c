"""What earlier runs say of a job, and those under way, its own earlier attempts among them."""

from collections.abc import Iterable, Iterator

import msgspec

from gpurun.coordinator.core.estimator.estimate import Asked
from gpurun.coordinator.core.estimator.guess import Need
from gpurun.coordinator.core.estimator.profile import Family, Profile, family_of
from gpurun.coordinator.core.job import Job
from gpurun.coordinator.core.lessons import lesson_so_far
from gpurun.coordinator.core.state import State
from gpurun.protocol.job import JobSpec, JobState


def with_need(state: State, job: Job) -> Job:
    """The job with what is known of its program now."""
    if job.spec.program is None or job.spec.gpus == 0:
        return job
    need = need_of(state, job.uid, job.spec, (job, *state.charged()))
    return job if need == job.need else msgspec.structs.replace(job, need=need)


def need_of(state: State, uid: int, spec: JobSpec, under_way: Iterable[Job]) -> Need:
    """What the user's finished runs, and those of these jobs, say of this one."""
    if spec.program is None:
        return Need()
    models = frozenset(device.sample.name for device in state.devices.values())
    asked = Asked(program=spec.program, gpus=spec.gpus, models=models)
    family = family_of(uid, spec.program)
    return state.history.need(uid, asked, tuple(_lessons(state, under_way, family)))


def _lessons(state: State, jobs: Iterable[Job], family: Family) -> Iterator[Profile]:
    for job in {job.id: job for job in jobs}.values():
        seen = state.seen_of(job)
        if job.state.ended or seen is None or job.spec.program is None:
            continue
        if family_of(job.uid, job.spec.program) != family:
            continue
        span = state.now.boot - job.since if job.state in _RUNS else 0.0
        lesson = lesson_so_far(job, seen, job.ran + max(0.0, span))
        if lesson is not None:
            yield lesson


_RUNS = (JobState.RUNNING, JobState.PAUSING)
