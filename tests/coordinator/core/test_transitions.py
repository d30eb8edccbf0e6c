"""The table of states is the law: what it lacks is an error."""

import pytest

from gpurun.coordinator.core.transitions import (
    TRANSITIONS,
    InvalidTransitionError,
    Trigger,
    next_state,
)
from gpurun.protocol.job import ENDED, JobState


def test_an_absent_entry_is_the_error() -> None:
    with pytest.raises(InvalidTransitionError, match=r"granted.*finished"):
        next_state(JobState.FINISHED, Trigger.GRANT)


def test_nothing_leaves_an_end_but_somebody_who_has_the_job_run_again() -> None:
    left = {(state, trigger) for state, trigger in TRANSITIONS if state in ENDED}
    again = (Trigger.AGAIN, Trigger.AGAIN_FROM)
    assert left == {(state, trigger) for state in ENDED for trigger in again}


def test_every_state_can_be_reached_and_every_living_one_can_be_left() -> None:
    reached = {JobState.QUEUED}
    for _ in TRANSITIONS:
        reached |= {after for (before, _), after in TRANSITIONS.items() if before in reached}
    assert reached == set(JobState)
    left = {before for (before, _), after in TRANSITIONS.items() if before is not after}
    assert left == set(JobState)


def test_every_living_state_outlives_the_coordinator_and_answers_a_lost_launcher() -> None:
    for state in set(JobState) - ENDED:
        assert TRANSITIONS[state, Trigger.RESTART] is state
        assert (state, Trigger.LAUNCHER_LOST) in TRANSITIONS


def test_every_trigger_is_used() -> None:
    assert {trigger for _, trigger in TRANSITIONS} == set(Trigger)
