"""What a job's run says of the next one of its program."""

from gpurun.coordinator.core.estimator.profile import Profile
from gpurun.coordinator.core.estimator.seen import BRIEF, Seen
from gpurun.coordinator.core.job import Job
from gpurun.protocol.job import JobState


def profile_of(job: Job) -> Profile | None:
    """What an ended job leaves behind; None where its program or its use is not known."""
    if job.spec.program is None or not (job.seen or job.oom):
        return None
    seen = job.seen or Seen(model="")
    return Profile(
        job=job.id,
        uid=job.uid,
        program=job.spec.program,
        gpus=job.spec.gpus,
        seen=seen,
        ran=job.ran,
        complete=job.state is JobState.FINISHED,
        settled=seen.settled(job.ran),
        oom=job.oom,
        reserved=job.granted,
        needed=job.needed,
    )


def lesson_so_far(job: Job, seen: Seen, ran: float) -> Profile | None:
    """What a job that runs says already; the same until its peak or its standing changes."""
    if job.spec.program is None:
        return None
    share = seen.utilization
    coarse = Seen(
        model=seen.model,
        looks=min(seen.looks, BRIEF),
        memory=seen.memory,
        assumed=seen.assumed,
        utilization=None if share is None else round(share, 1),
        alone=min(seen.alone, BRIEF),
    )
    return Profile(
        job=job.id,
        uid=job.uid,
        program=job.spec.program,
        gpus=job.spec.gpus,
        seen=coarse,
        ran=0.0,
        complete=job.cycled,
        settled=seen.settled(ran),
        reserved=job.granted,
    )
