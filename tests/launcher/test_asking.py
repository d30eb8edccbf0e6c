"""`--pause-signal SIG --pause-exit CODE`: a program saves by itself and is spawned again."""

import os
import signal
import subprocess

import pytest
from tests.launcher.conftest import Command, Start, ended, is_gone, wait_until
from tests.launcher.coordinator_double import CoordinatorDouble, boottime, grant

from gpurun.protocol.messages import (
    Attach,
    Exited,
    GoOn,
    Overdue,
    Paused,
    PauseRequest,
    Refused,
    Resumed,
    Spawned,
    Terminate,
)

SAVES = ("--pause-signal", "USR2", "--pause-exit", "85")
SAVING = """
trap 'echo 7 > step; exit 85' USR2
echo "attempt $GPURUN_ATTEMPT resume ${GPURUN_RESUME-none} step $(cat step 2>/dev/null)"
[ "$GPURUN_ATTEMPT" = 2 ] && exit 5
while :; do sleep 0.01; done
"""


def request(number: int = 7, how: str = "exit", ahead: float = 30.0) -> PauseRequest:
    return PauseRequest(job=1, request=number, deadline=boottime(ahead), how=how)


def started(
    start: Start, coordinator: CoordinatorDouble, script: str, **options: object
) -> tuple[Command, int]:
    """A program that has printed its first line, and its pid."""
    command = start(*SAVES, "sh", "-c", script, **options)
    coordinator.admit()
    main = coordinator.expect(Spawned).pid
    assert coordinator.expect(Attach).pausable == ("exit",)
    assert command.stdout
    assert command.stdout.readline()
    return command, main


def test_it_saves_exits_and_the_same_command_goes_on(
    start: Start, coordinator: CoordinatorDouble
) -> None:
    """There is no checkpoint of gpurun's, so that GPURUN_RESUME is not set."""
    command, _ = started(start, coordinator, SAVING)
    coordinator.send(request())
    assert coordinator.expect(Exited) == Exited(job=1, attempt=1, code=85, request=7)
    coordinator.send(Paused(job=1, text="for job 2 (x); it goes on by itself"))
    coordinator.send(grant(attempt=2))
    assert coordinator.expect(Spawned).attempt == 2
    assert coordinator.expect(Attach).attempt == 2
    assert coordinator.expect(Resumed).attempt == 1  # of the first, which nobody heeds
    assert coordinator.expect(Resumed).attempt == 2
    assert coordinator.end() == Exited(job=1, attempt=2, code=5)
    code, out, err = ended(command)
    assert code == 5
    assert out.splitlines()[-1] == "attempt 2 resume none step 7"
    assert "gpurun: job 1 paused for job 2 (x); it goes on by itself\n" in err
    assert "gpurun: job 1 goes on on GPU 0" in err


def test_another_code_is_its_end(start: Start, coordinator: CoordinatorDouble) -> None:
    command, _ = started(
        start, coordinator, "trap 'exit 3' USR2; echo go; while :; do read x; done"
    )
    coordinator.send(request())
    assert coordinator.end() == Exited(job=1, attempt=1, code=3)
    assert ended(command)[0] == 3


def test_its_code_without_a_request_is_its_end(
    start: Start, coordinator: CoordinatorDouble
) -> None:
    """Also where a person has sent the signal."""
    command, _ = started(start, coordinator, SAVING)
    os.kill(command.pid, signal.SIGUSR2)
    assert coordinator.end() == Exited(job=1, attempt=1, code=85)
    assert ended(command)[0] == 85


COUNTING = """
count=0
trap 'count=$((count + 1)); echo $count >> count' USR2
trap 'echo mark >> count' TERM
trap 'exit 85' USR1
echo go
while :; do sleep 0.01; done
"""


def test_a_request_is_signalled_once_and_may_be_heeded_when_it_is_withdrawn(
    start: Start, coordinator: CoordinatorDouble, folder: str
) -> None:
    """A renewed deadline is the same request; another number is another one."""
    command, main = started(start, coordinator, COUNTING)
    coordinator.send(request())
    wait_until(lambda: read(f"{folder}/count") == "1\n")
    coordinator.send(request(), request(ahead=60.0), request(9, how="stand"))
    coordinator.expect(Refused)  # all before it has been read
    os.kill(main, signal.SIGTERM)  # a shell heeds what has come in the order of the numbers
    wait_until(lambda: "mark" in read(f"{folder}/count"))
    coordinator.send(request(8))
    wait_until(lambda: read(f"{folder}/count") == "1\nmark\n2\n")
    coordinator.send(GoOn(job=1, request=8))
    os.kill(main, signal.SIGUSR1)
    assert coordinator.expect(Exited).request == 8
    assert command.poll() is None, "it waits to be spawned again"


LATE = """
trap '' USR2
echo go
while [ ! -e now ]; do sleep 0.01; done
trap 'exit 85' USR2
while :; do sleep 0.01; done
"""


def test_a_program_that_does_not_catch_the_signal_yet_is_not_ended_by_it(
    start: Start, coordinator: CoordinatorDouble, folder: str
) -> None:
    """Most of a start is imports; the signal would end it there, with nothing saved."""
    command, main = started(start, coordinator, "echo go; read x; exit 6", stdin=subprocess.PIPE)
    coordinator.send(request())
    coordinator.send(request(8, how="stand"))
    coordinator.expect(Refused)
    assert not is_gone(main)
    assert command.stdin
    command.stdin.write("x\n")
    command.stdin.close()
    command.stdin = None
    assert coordinator.end() == Exited(job=1, attempt=1, code=6)


def test_it_gets_the_signal_once_it_catches_it(
    start: Start, coordinator: CoordinatorDouble, folder: str
) -> None:
    started(start, coordinator, LATE)
    coordinator.send(request())
    coordinator.send(request(8, how="stand"))
    coordinator.expect(Refused)
    open(f"{folder}/now", "w").close()
    assert coordinator.expect(Exited).request == 7


def test_one_that_was_withdrawn_before_it_could_be_signalled_never_is(
    start: Start, coordinator: CoordinatorDouble, folder: str
) -> None:
    started(start, coordinator, LATE)
    coordinator.send(request(), GoOn(job=1, request=7), request(8, how="stand"))
    coordinator.expect(Refused)
    open(f"{folder}/now", "w").close()
    assert coordinator.quiet(Exited, 0.5)


def test_a_request_that_comes_too_late_is_overdue(
    start: Start, coordinator: CoordinatorDouble
) -> None:
    started(start, coordinator, SAVING)
    coordinator.send(request(ahead=-1.0))
    assert coordinator.expect(Overdue).request == 7
    coordinator.send(request())
    assert coordinator.expect(Exited).request == 7


def test_a_cancelled_program_that_saves_has_ended(
    start: Start, coordinator: CoordinatorDouble
) -> None:
    """It is not spawned again, whatever its code says."""
    command, _ = started(
        start, coordinator, "trap 'exit 85' USR2 TERM; echo go; while :; do sleep 0.01; done"
    )
    coordinator.send(Terminate(job=1, grace=10.0))
    assert coordinator.end() == Exited(job=1, attempt=1, code=85)
    assert ended(command)[0] == 85


@pytest.mark.parametrize("script", ["sleep 0.3 & echo $!", "setsid sleep 60 & echo $!"])
def test_what_it_leaves_behind_ends_before_it_is_paused(
    start: Start, coordinator: CoordinatorDouble, script: str
) -> None:
    """Loader workers hold memory, and a second attempt would meet them."""
    whole = f"trap 'exit 85' USR2; {script}; while :; do sleep 0.01; done"
    command = start(*SAVES, "sh", "-c", whole)
    coordinator.admit()
    coordinator.expect(Attach)
    assert command.stdout
    child = int(command.stdout.readline())
    coordinator.send(request())
    exited = coordinator.expect(Exited)
    assert (exited.request, exited.survivors) == (7, ())
    assert is_gone(child)


SAVING_SLOWLY = """
trap 'touch saving; while [ ! -e now ]; do sleep 0.01; done; exit 85' USR2
echo go
while :; do sleep 0.01; done
"""


def test_a_coordinator_that_died_before_it_exited_is_started_again(
    start: Start, coordinator: CoordinatorDouble, folder: str
) -> None:
    """Nobody else would: the job waits for its grant."""
    first = subprocess.Popen(["sleep", "60"])
    coordinator.pid = first.pid
    started(start, coordinator, SAVING_SLOWLY)
    coordinator.send(request())
    wait_until(lambda: os.path.exists(f"{folder}/saving"))
    coordinator.close()
    first.kill()
    first.wait()
    open(f"{folder}/now", "w").close()
    started_again = f"{folder}/run/coordinator.lock"
    wait_until(lambda: bool(read(started_again)))
    os.kill(int(read(started_again)), signal.SIGKILL)


def read(path: str) -> str:
    if not os.path.exists(path):
        return ""
    with open(path, encoding="utf-8") as file:
        return file.read()
