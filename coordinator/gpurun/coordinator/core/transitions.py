"""The table of states: what each state does with each trigger. An absent entry is the error.

Everything that moves a job goes through `next_state`; nothing else assigns a state.
"""

from enum import StrEnum

from gpurun.protocol.job import JobState as S


class Trigger(StrEnum):
    """What can move a job."""

    SUBMIT = "submitted"
    GRANT = "granted"
    SPAWNED = "spawned"
    LAPSE = "lease lapsed"
    PAUSE = "pause asked"
    CAPTURING = "safe point"
    OVERDUE = "deadline passed"
    REFUSED = "pause refused"
    WITHDRAW = "pause withdrawn"
    DURABLE = "durable"
    STAND = "stands"
    PARK = "parked"
    LEAVE = "parked is not enough"
    TREE_ENDED = "tree ended"
    RELEASED = "released"
    RESUME = "resume asked"
    RESUMED = "resumed"
    CANCEL = "cancel asked"
    FINISH = "finished"
    FAIL = "failed"
    END_CANCELLED = "cancelled"
    LAUNCHER_LOST = "launcher lost"
    VANISH = "vanished"
    RESTART = "coordinator restarted"
    AGAIN = "run again"
    AGAIN_FROM = "run again from its checkpoint"


class Note(StrEnum):
    """What is written into a job's story and moves nothing."""

    PROCESS_ENDED = "process ended"
    SEEN_GONE = "seen gone"
    ADJUSTED = "adjusted"
    OUTGREW = "outgrew its reservation"
    SHRINK = "reservation shrunk"
    SAVED = "saved"
    UNSAVED = "could not be saved"
    GAVE_BACK = "gave its memory back"
    FAULT = "fault"
    AFTER = "waited for has finished"


class InvalidTransitionError(Exception):
    """A trigger came in a state that has no answer to it: a bug here, or a peer that lies."""


def _again(ended: S) -> dict[tuple[S, Trigger], S]:
    return {(ended, Trigger.AGAIN): S.QUEUED, (ended, Trigger.AGAIN_FROM): S.PAUSED}


def _ends(state: S) -> dict[tuple[S, Trigger], S]:
    return {
        (state, Trigger.FINISH): S.FINISHED,
        (state, Trigger.FAIL): S.FAILED,
        (state, Trigger.END_CANCELLED): S.CANCELLED,
        (state, Trigger.VANISH): S.LOST,
    }


TRANSITIONS: dict[tuple[S, Trigger], S] = {
    (S.QUEUED, Trigger.SUBMIT): S.QUEUED,
    (S.QUEUED, Trigger.GRANT): S.STARTING,
    (S.QUEUED, Trigger.PAUSE): S.QUEUED,
    (S.QUEUED, Trigger.RESUME): S.QUEUED,
    (S.QUEUED, Trigger.END_CANCELLED): S.CANCELLED,
    (S.QUEUED, Trigger.LAUNCHER_LOST): S.CANCELLED,
    (S.QUEUED, Trigger.RESTART): S.QUEUED,
    (S.STARTING, Trigger.SPAWNED): S.RUNNING,
    (S.STARTING, Trigger.LAPSE): S.QUEUED,
    (S.STARTING, Trigger.CANCEL): S.STARTING,
    (S.STARTING, Trigger.LAUNCHER_LOST): S.LOST,
    (S.STARTING, Trigger.RESTART): S.STARTING,
    **_ends(S.STARTING),
    (S.RUNNING, Trigger.SPAWNED): S.RUNNING,
    (S.RUNNING, Trigger.PAUSE): S.PAUSING,
    (S.RUNNING, Trigger.DURABLE): S.RUNNING,
    (S.RUNNING, Trigger.RESUME): S.RUNNING,
    (S.RUNNING, Trigger.CANCEL): S.RUNNING,
    (S.RUNNING, Trigger.LAUNCHER_LOST): S.RUNNING,
    (S.RUNNING, Trigger.RESTART): S.RUNNING,
    **_ends(S.RUNNING),
    (S.PAUSING, Trigger.SPAWNED): S.PAUSING,
    (S.PAUSING, Trigger.PAUSE): S.PAUSING,
    (S.PAUSING, Trigger.CAPTURING): S.PAUSING,
    (S.PAUSING, Trigger.OVERDUE): S.PAUSING,
    (S.PAUSING, Trigger.REFUSED): S.RUNNING,
    (S.PAUSING, Trigger.WITHDRAW): S.RUNNING,
    (S.PAUSING, Trigger.DURABLE): S.PAUSING,
    (S.PAUSING, Trigger.STAND): S.PAUSED,
    (S.PAUSING, Trigger.PARK): S.PAUSED,
    (S.PAUSING, Trigger.TREE_ENDED): S.PAUSING,
    (S.PAUSING, Trigger.RELEASED): S.PAUSED,
    (S.PAUSING, Trigger.RESUME): S.PAUSING,
    (S.PAUSING, Trigger.CANCEL): S.PAUSING,
    (S.PAUSING, Trigger.LAUNCHER_LOST): S.RUNNING,
    (S.PAUSING, Trigger.RESTART): S.PAUSING,
    **_ends(S.PAUSING),
    (S.PAUSED, Trigger.GRANT): S.RESUMING,
    (S.PAUSED, Trigger.DURABLE): S.PAUSED,
    (S.PAUSED, Trigger.LEAVE): S.PAUSING,
    (S.PAUSED, Trigger.RESUMED): S.RUNNING,
    (S.PAUSED, Trigger.PAUSE): S.PAUSED,
    (S.PAUSED, Trigger.RESUME): S.PAUSED,
    (S.PAUSED, Trigger.CANCEL): S.PAUSED,
    **_ends(S.PAUSED),
    (S.PAUSED, Trigger.LAUNCHER_LOST): S.LOST,
    (S.PAUSED, Trigger.RESTART): S.PAUSED,
    (S.RESUMING, Trigger.SPAWNED): S.RESUMING,
    (S.RESUMING, Trigger.DURABLE): S.RESUMING,
    (S.RESUMING, Trigger.RESUMED): S.RUNNING,
    (S.RESUMING, Trigger.LAPSE): S.PAUSED,
    (S.RESUMING, Trigger.CANCEL): S.RESUMING,
    (S.RESUMING, Trigger.LAUNCHER_LOST): S.RESUMING,
    (S.RESUMING, Trigger.RESTART): S.RESUMING,
    **_ends(S.RESUMING),
    **_again(S.FINISHED),
    **_again(S.FAILED),
    **_again(S.CANCELLED),
    **_again(S.LOST),
}


def next_state(state: S, trigger: Trigger) -> S:
    """The state after the trigger; raise InvalidTransitionError where the table has none."""
    try:
        return TRANSITIONS[state, trigger]
    except KeyError:
        raise InvalidTransitionError(f"{trigger!r} in state {state!r}") from None
