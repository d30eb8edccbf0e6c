"""Waiting: why, how long, and who gives up."""

import time

from tests.launcher.conftest import Start, ended
from tests.launcher.coordinator_double import CoordinatorDouble, grant, waiting

from gpurun.protocol.job import ReasonCode
from gpurun.protocol.messages import (
    Ended,
    EndTree,
    Exited,
    Leave,
    Paused,
    Problem,
    Spawned,
    Submit,
    Terminate,
)


def test_away_from_a_terminal_there_is_one_line_for_each_reason(
    start: Start, coordinator: CoordinatorDouble
) -> None:
    """A changed number of missing bytes is no new reason."""
    command = start("-q", "true"), start("true")
    for _ in command:
        coordinator.accept()
        coordinator.send(waiting("needs 6.0 GiB and 2.0 GiB is missing", ahead=1))
        coordinator.send(waiting("needs 6.0 GiB and 1.9 GiB is missing", ahead=1))
        coordinator.send(waiting("GPU 0 has not been seen lately", code=ReasonCode.STALE))
        coordinator.send(grant())
        coordinator.end()
    assert ended(command[0])[2] == ""
    assert ended(command[1])[2].splitlines()[:2] == [
        "gpurun: job 1 waits: needs 6.0 GiB and 2.0 GiB is missing · 1 ahead",
        "gpurun: job 1 waits: GPU 0 has not been seen lately",
    ]


def test_no_wait_gives_up_at_the_first_reason_with_75(
    start: Start, coordinator: CoordinatorDouble
) -> None:
    command = start("--no-wait", "true")
    coordinator.accept()
    coordinator.send(waiting("needs more"))
    assert coordinator.expect(Leave).job == 1
    assert ended(command) == (75, "", "gpurun: error: not admitted in time: needs more\n")


def test_no_wait_starts_at_once_where_there_is_room(
    start: Start, coordinator: CoordinatorDouble
) -> None:
    command = start("--no-wait", "true")
    coordinator.admit()
    coordinator.end()
    assert ended(command)[0] == 0


def test_max_wait_gives_up_after_that_time_with_75(
    start: Start, coordinator: CoordinatorDouble
) -> None:
    command = start("--max-wait", "300ms", "true")
    coordinator.accept()
    began = time.monotonic()
    coordinator.send(waiting("needs more"))
    assert coordinator.expect(Leave).job == 1
    assert time.monotonic() - began < 2
    assert ended(command)[0] == 75


def test_max_wait_holds_where_the_coordinator_does_not_answer(
    start: Start, coordinator: CoordinatorDouble
) -> None:
    command = start("--max-wait", "300ms", "true")
    code, _, err = ended(command)
    assert code == 75
    assert err == "gpurun: error: not admitted in time: the coordinator does not answer\n"


def test_max_wait_is_for_the_first_start_only(start: Start, coordinator: CoordinatorDouble) -> None:
    """A training that has stepped aside waits for as long as it takes."""
    command = start("--max-wait", "200ms", "sh", "-c", "[ $GPURUN_ATTEMPT = 2 ] || exec sleep 60")
    coordinator.admit()
    coordinator.expect(Spawned)
    coordinator.send(EndTree(job=1, attempt=1, request=5))
    coordinator.expect(Exited)
    coordinator.send(waiting("paused"))
    assert coordinator.quiet(Leave, 0.3)
    coordinator.send(grant(attempt=2))
    coordinator.end()
    assert ended(command)[0] == 0


def test_a_job_cancelled_while_it_waits_ends_with_143(
    start: Start, coordinator: CoordinatorDouble
) -> None:
    for message in (Terminate(job=1, grace=5.0), Ended(job=1)):
        command = start("true")
        coordinator.accept()
        coordinator.send(message)
        assert ended(command) == (
            143,
            "",
            "gpurun: error: job 1 was cancelled while it waited\n",
        )


def test_a_refused_submission_ends_with_the_coordinators_words_and_code(
    start: Start, coordinator: CoordinatorDouble
) -> None:
    command = start("--mem", "40GiB", "true")
    coordinator.expect(Submit)
    coordinator.send(Problem(text="no device has 40.0 GiB; ask for less", code=2))
    assert ended(command) == (2, "", "gpurun: error: no device has 40.0 GiB; ask for less\n")


def test_a_job_that_was_accepted_outlives_a_refusal(
    start: Start, coordinator: CoordinatorDouble
) -> None:
    """It may be a paused training, and the refusal that of a coordinator of another version."""
    command = start("true")
    coordinator.accept()
    coordinator.send(Problem(text="the coordinator speaks protocol 2"), grant())
    assert coordinator.end().code == 0
    code, _, error = ended(command)
    assert code == 0
    assert "gpurun: error: the coordinator speaks protocol 2" in error


def test_a_coordinator_that_does_not_answer_is_named(
    start: Start, coordinator: CoordinatorDouble
) -> None:
    coordinator.greets = False
    command = start("true")
    assert command.stderr
    named = f"gpurun: waits: the coordinator (pid {coordinator.pid}) does not answer\n"
    assert command.stderr.readline() == named
    coordinator.expect(Submit)  # on a connection that was given up
    coordinator.greets = True
    coordinator.accept()
    coordinator.send(waiting("needs more"))
    assert command.stderr.readline() == "gpurun: job 1 waits: needs more\n"
    coordinator.send(grant())
    coordinator.end()
    assert ended(command)[0] == 0


def test_what_the_line_of_a_pause_has_said_is_not_said_again(
    start: Start, coordinator: CoordinatorDouble
) -> None:
    """A hold that comes later, while the job waits for something else, is news."""
    command = start("true")
    coordinator.accept()
    held = waiting("held by hand", code=ReasonCode.HELD)
    paused = Paused(job=1, text="by hand; gpurun resume 1 lets it go on")
    coordinator.send(paused, held, held, waiting("needs more"), held, grant())
    coordinator.end()
    assert ended(command)[2].splitlines()[:3] == [
        "gpurun: job 1 paused by hand; gpurun resume 1 lets it go on",
        "gpurun: job 1 waits: needs more",
        "gpurun: job 1 waits: held by hand",
    ]


def test_a_job_that_is_cancelled_with_what_it_waits_for_says_why(
    start: Start, coordinator: CoordinatorDouble
) -> None:
    """`--after` a job that fails."""
    command = start("--after", "3", "--after", "prepare", "true")
    assert coordinator.accept().spec.after == ("3", "prepare")
    coordinator.send(Ended(job=1, text="job 3 (x) has ended: failed, and it was to start after"))
    assert ended(command) == (
        143,
        "",
        "gpurun: error: job 1 was cancelled while it waited: "
        "job 3 (x) has ended: failed, and it was to start after\n",
    )


def test_where_and_beside_whom_it_may_run_is_told(
    start: Start, coordinator: CoordinatorDouble
) -> None:
    command = start("--gpu", "1", "--gpu", "GPU-7", "--share", "true")
    spec = coordinator.admit().spec
    assert (spec.on, spec.share) == (("1", "GPU-7"), True)
    coordinator.end()
    assert ended(command)[0] == 0
