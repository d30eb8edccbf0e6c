"""The invariants of what an event does, as code: what may change, for whom, and what is said of it.

`invariants.py` has those that hold between two events. Numbers are those of docs/architecture.md.
"""

from collections.abc import Mapping

import msgspec

from gpurun.coordinator.core.effects import Record, Send
from gpurun.coordinator.core.events import Event, MessageEvent, SampleEvent
from gpurun.coordinator.core.job import Job
from gpurun.coordinator.core.transitions import TRANSITIONS, Note, Trigger
from gpurun.protocol import messages as m
from gpurun.protocol.job import ENDED, JobState

ROOT = 0
BY_A_PASS = {Trigger.GRANT, Trigger.PAUSE, Trigger.WITHDRAW, Trigger.OVERDUE, Trigger.LEAVE}
"""What a pass does to anybody's job, whoever caused the pass."""
GIVEN_BACK = {Trigger.LAPSE, Note.SEEN_GONE}
OUT_OF_A_PAUSE = {JobState.PAUSING, JobState.PAUSED, JobState.RUNNING, *ENDED}


def check_record(event: Event, before: Job | None, record: Record) -> None:
    """Fail where a job changes in a way that it must not."""
    if before is None:
        assert record.trigger == Trigger.SUBMIT
        assert record.job.state is JobState.QUEUED
        return
    _moves_by_the_table(before, record)
    _room_is_kept_until_seen_free(event, before, record)
    _only_the_owner_commands(event, before, record)
    _a_pause_loses_nothing(before, record.job)


def check_send(stored: Mapping[int, Job], send: Send) -> None:
    """Fail where something is said that is not true, or not yet."""
    match send.message:
        case m.EndTree(job=number, request=request):
            job = stored[number]
            assert job.checkpoint, "6. a tree is ended only when its checkpoint is on disk"
            assert job.pause is not None
            assert job.pause.request == request
            assert job.to_be_ended, "6. only one that exits is ended"
        case m.Grant(job=number, resume=resume):
            job = stored[number]
            assert job.lease is not None, "a lease is written down before it is offered"
            assert resume == (job.checkpoint if job.state is JobState.RESUMING else "")
        case m.Ended(job=number):
            assert stored[number].state.ended, "an end is acknowledged when it is written down"


def _moves_by_the_table(before: Job, record: Record) -> None:
    """7. The log of transitions alone gives the state of every job."""
    moved = record.trigger in set(Trigger)
    expected = TRANSITIONS[before.state, Trigger(record.trigger)] if moved else before.state
    assert record.job.state is expected, (before, record)


def _room_is_kept_until_seen_free(event: Event, before: Job, record: Record) -> None:
    """3. A charge ends when a look that began after the end does not show the job."""
    if not before.reservations or record.job.reservations == before.reservations:
        return
    if record.trigger == Note.GAVE_BACK:
        pairs = zip(before.reservations, record.job.reservations, strict=True)
        assert all(after.memory >= held.memory for held, after in pairs)
        return
    if record.trigger in (Note.ADJUSTED, Note.SHRINK, Trigger.STAND):
        assert record.job.reservations
        return
    if record.trigger == Trigger.PARK:
        _what_it_keeps_stays_charged(event, before, record.job)
        return
    if before.stays and record.job.reservations == before.regains:
        return  # it goes on
    unused = before.lease is not None and before.process is None
    assert record.trigger in GIVEN_BACK or unused, record
    if record.trigger != Note.SEEN_GONE:
        return
    assert isinstance(event, SampleEvent)
    assert before.left is not None
    assert event.taken >= before.left
    held = {reservation.device for reservation in before.reservations}
    shown = [device for device in event.devices if device.uuid in held]
    assert not any(process.job == before.id for device in shown for process in device.processes)


def _what_it_keeps_stays_charged(event: Event, before: Job, job: Job) -> None:
    """3. A release is believed when a look that began after it shows what is kept."""
    order = before.pause
    assert isinstance(event, SampleEvent)
    assert order is not None
    assert order.released
    assert event.taken >= order.released
    for held, whole in zip(job.reservations, before.reservations, strict=True):
        assert held.memory == min(order.kept, whole.memory)


def _only_the_owner_commands(event: Event, before: Job, record: Record) -> None:
    """4. Another user's message changes a job only through a pass, or an end it waits for."""
    if not isinstance(event, MessageEvent) or event.uid in (before.uid, ROOT):
        return
    job = record.job
    waited = bool(before.after) and record.trigger in (Trigger.END_CANCELLED, Note.AFTER)
    renewed = msgspec.structs.replace(before, pause=job.pause) == job
    assert record.trigger in BY_A_PASS or waited or renewed, (event, record)
    if record.trigger == Trigger.PAUSE:
        assert job.pause is not None
        assert not job.pause.by_user


def _a_pause_loses_nothing(before: Job, job: Job) -> None:
    """6. Who is asked stands, or pauses with a checkpoint, or goes on, or ends as any job may."""
    if before.state is JobState.PAUSING:
        assert job.state in OUT_OF_A_PAUSE, job
    if job.state is JobState.PAUSED and before.state is not JobState.PAUSED:
        saves_by_itself = job.spec.pause_exit != 0
        assert bool(job.checkpoint) or job.stays or saves_by_itself, job
        assert (job.process is None) is not job.stays, job
    if job.state is JobState.PAUSING and before.state is JobState.PAUSED:
        assert job.checkpoint, "6. a parked job is ended only when its checkpoint is on disk"
    if before.checkpoint and not job.state.ended and not before.state.ended:
        assert job.checkpoint, "6. the last durable checkpoint counts"
