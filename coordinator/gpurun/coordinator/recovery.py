"""What a new coordinator finds: the store, the ends that launchers left, and who still lives."""

from collections.abc import Iterator, Sequence

import msgspec

from gpurun.coordinator import clock, processes, spool
from gpurun.coordinator.core.events import Event, MessageEvent, RestartEvent
from gpurun.coordinator.core.job import Job, Process
from gpurun.coordinator.core.reactions.drain import DRAINED
from gpurun.coordinator.store import Store

UNSEEN = Process(0, 0)
"""A launcher in another pid namespace: nobody here can tell whether it lives; its hello can."""


class ToldEvent(MessageEvent, frozen=True, kw_only=True):
    """A spooled end, as if its launcher said it now."""

    uuid: str


def recovered(store: Store, folder: str) -> Iterator[Event]:
    """The restart, and after it the ends that lie in the spool folder."""
    at = clock.now()
    jobs = store.jobs()
    rebooted = store.boot(processes.boot_id())
    if rebooted:
        jobs = [_after_reboot(job, at.boot) for job in jobs]
    known = {job.uuid: job for job in jobs}
    ends = [(known[uuid], end) for uuid, end in spool.spooled(folder) if uuid in known]
    yield RestartEvent(
        at=at,
        jobs=tuple(jobs),
        alive=frozenset() if rebooted else _alive(jobs),
        told=frozenset(job.id for job, _ in ends),
        drained=bool(store.kept(DRAINED)),
        profiles=tuple(store.profiles()),
    )
    for job, end in ends:
        yield as_told(job, end)


def _alive(jobs: Sequence[Job]) -> frozenset[Process]:
    known = {p for job in jobs for p in (job.launcher, job.process) if p is not None}
    return frozenset(p for p in known if p == UNSEEN or processes.alive(p.pid, p.start_time))


def _after_reboot(job: Job, boot: float) -> Job:
    """Instants of another run of the machine mean nothing; nothing of it holds a device."""
    held = () if job.state.ended else job.reservations
    return msgspec.structs.replace(
        job, since=boot, lease=None, left=None, returned=None, away=(), reservations=held
    )


def as_told(job: Job, end: spool.End) -> ToldEvent:
    """The end that a launcher left in a file."""
    return ToldEvent(
        at=clock.now(), peer=b"", uid=job.uid, user=job.user, message=end, uuid=job.uuid
    )
