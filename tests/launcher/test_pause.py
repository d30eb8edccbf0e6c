"""An exit pause: the tree is ended so that nobody can react, and the same command runs again."""

import os
import signal

from tests.launcher.conftest import Start, ended, is_gone, state_of, wait_until
from tests.launcher.coordinator_double import CoordinatorDouble, grant

from gpurun.launcher import process
from gpurun.protocol.messages import Ended, EndTree, Exited, Leave, Paused, Spawned

TRAINING = """
echo "attempt $GPURUN_ATTEMPT resume ${GPURUN_RESUME-none}"
[ "$GPURUN_ATTEMPT" = 2 ] && exit 5
read first; echo "read $first"
sleep 60
"""


def end_tree(request: int = 7) -> EndTree:
    return EndTree(job=1, attempt=1, request=request)


def test_after_a_pause_the_same_command_goes_on_from_its_checkpoint(
    start: Start, coordinator: CoordinatorDouble
) -> None:
    command = start("sh", "-c", TRAINING)
    submit = coordinator.admit()
    coordinator.expect(Spawned)
    coordinator.send(end_tree())
    exited = coordinator.expect(Exited)
    assert (exited.request, exited.code, exited.survivors) == (7, 137, ())
    coordinator.send(Paused(job=1, text="for job 2 (time: about 0:30); it goes on by itself"))
    coordinator.send(grant(attempt=2, resume="/state/checkpoint-9"))
    assert coordinator.expect(Spawned).attempt == 2
    assert coordinator.end() == Exited(job=1, attempt=2, code=5)
    code, out, err = ended(command)
    assert code == 5
    assert out.splitlines()[-1] == "attempt 2 resume /state/checkpoint-9"
    assert "gpurun: job 1 paused for job 2 (time: about 0:30); it goes on by itself\n" in err
    assert "gpurun: job 1 goes on on GPU 0" in err
    assert sum(message == submit for message in coordinator.heard) == 1


def test_a_file_on_stdin_is_read_again_from_where_it_was(
    start: Start, coordinator: CoordinatorDouble, folder: str
) -> None:
    with open(f"{folder}/input", "w+", encoding="utf-8") as file:
        file.write("skipped\nline\n")
        file.flush()
        os.lseek(file.fileno(), len("skipped\n"), os.SEEK_SET)
        script = "read line; echo $line; [ $GPURUN_ATTEMPT = 2 ] || exec sleep 60"
        command = start("sh", "-c", script, stdin=file)
        coordinator.admit()
        assert command.stdout
        assert command.stdout.readline() == "line\n"
        coordinator.send(end_tree())
        coordinator.expect(Exited)
        coordinator.send(grant(attempt=2))
        coordinator.end()
        assert ended(command)[1] == "line\n"


SUPERVISOR = """
import os, signal, subprocess, sys, time
def react(*_):
    open("reacted", "w").close()
signal.signal(signal.SIGCHLD, react)
signal.signal(signal.SIGTERM, react)
workers = [subprocess.Popen(["sh", "-c", "sleep 61 & sleep 62"]) for _ in range(3)]
print("go", flush=True)
while True:
    for worker in workers:
        if worker.poll() is not None:
            react()
    time.sleep(0.001)
"""


def test_no_supervisor_sees_its_workers_end(
    start: Start, coordinator: CoordinatorDouble, folder: str
) -> None:
    """The whole tree is frozen from the top before the first of it is killed."""
    with open(f"{folder}/super.py", "w", encoding="utf-8") as file:
        file.write(SUPERVISOR)
    command = start("super.py")
    coordinator.admit()
    main = coordinator.expect(Spawned).pid
    assert command.stdout
    assert command.stdout.readline() == "go\n"
    wait_until(lambda: len(descendants(main)) == 9)
    tree = [main, *descendants(main)]
    coordinator.send(end_tree())
    exited = coordinator.expect(Exited)
    assert (exited.request, exited.survivors) == (7, ())
    assert all(is_gone(pid) for pid in tree)
    assert not os.path.exists(f"{folder}/reacted")


def test_an_orphan_in_a_session_of_its_own_is_ended_with_the_tree(
    start: Start, coordinator: CoordinatorDouble, folder: str
) -> None:
    script = "(setsid sleep 60 & echo $! > pid); echo go; sleep 60"
    command = start("sh", "-c", script)
    coordinator.admit()
    assert command.stdout
    assert command.stdout.readline() == "go\n"
    coordinator.send(end_tree())
    coordinator.expect(Exited)
    with open(f"{folder}/pid", encoding="utf-8") as file:
        assert is_gone(int(file.read()))


def test_a_repeated_order_of_another_attempt_ends_nothing(
    start: Start, coordinator: CoordinatorDouble
) -> None:
    start("sleep", "60")
    coordinator.admit(attempt=2)
    coordinator.expect(Spawned)
    coordinator.send(end_tree())
    assert coordinator.quiet(Exited, 0.2)


def test_a_cancel_while_it_is_paused_ends_it(start: Start, coordinator: CoordinatorDouble) -> None:
    command = start("sleep", "60")
    coordinator.admit()
    coordinator.expect(Spawned)
    coordinator.send(end_tree())
    coordinator.expect(Exited)
    coordinator.send(Ended(job=1))
    assert ended(command)[0] == 143


def test_a_signal_that_comes_while_the_tree_is_ended_is_not_lost(
    start: Start, coordinator: CoordinatorDouble
) -> None:
    """The launcher then gives its place back instead of waiting for the next grant."""
    command = start("sh", "-c", "for i in $(seq 100); do sleep 60 & done; echo go; wait")
    coordinator.admit()
    job = coordinator.expect(Spawned).pid
    assert command.stdout
    assert command.stdout.readline() == "go\n"
    coordinator.send(end_tree())
    wait_until(lambda: state_of(job) not in ("S", "R"))
    os.kill(command.pid, signal.SIGTERM)
    assert coordinator.expect(Exited).request == 7
    assert coordinator.expect(Leave).job == 1
    assert ended(command)[0] == 143


def descendants(pid: int) -> list[int]:
    """All processes below this one."""
    everything = list(process.every())
    found = [pid]
    for parent in found:
        found += [child.pid for child in everything if child.parent == parent]
    return found[1:]


def test_a_job_that_stands_still_says_for_whom(
    start: Start, coordinator: CoordinatorDouble
) -> None:
    """It runs all the while: nothing is spawned again."""
    command = start("cat", stdin=-1)
    coordinator.admit()
    coordinator.expect(Spawned)
    coordinator.send(Paused(job=1, text="for job 2 (x); it goes on by itself"))
    assert command.stderr
    assert " starts on " in command.stderr.readline()
    said = command.stderr.readline()
    assert said == "gpurun: job 1 paused for job 2 (x); it goes on by itself\n"
    assert command.stdin
    command.stdin.close()
    command.stdin = None
    coordinator.end()
    assert ended(command)[0] == 0
