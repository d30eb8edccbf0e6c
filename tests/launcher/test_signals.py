"""What is sent to the launcher reaches the job, once, and what the terminal sends does not."""

import os
import signal

import pytest
from tests.launcher.conftest import GPURUN, Start, ended, state_of, wait_until
from tests.launcher.coordinator_double import CoordinatorDouble, grant, waiting

from gpurun.protocol.messages import Exited, Leave, Spawned

ECHO = """
import signal, sys
numbers = [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP]
signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
print("go", flush=True)
while found := signal.sigtimedwait(numbers, 0.5 if sys.argv[1:] == ["more"] else 20):
    sys.argv.append("more")
    print(signal.Signals(found.si_signo).name, flush=True)
"""


def write_echo(folder: str) -> None:
    with open(f"{folder}/echo.py", "w", encoding="utf-8") as file:
        file.write(ECHO)


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGUSR1", "SIGUSR2", "SIGHUP"])
def test_a_signal_sent_to_the_launcher_alone_reaches_the_job_once(
    start: Start, coordinator: CoordinatorDouble, folder: str, name: str
) -> None:
    write_echo(folder)
    command = start("echo.py")
    coordinator.admit()
    assert command.stdout
    assert command.stdout.readline() == "go\n"
    os.kill(command.pid, signal.Signals[name])
    coordinator.end()
    assert ended(command)[:2] == (0, f"{name}\n")


def test_a_signal_that_the_job_sends_to_its_group_does_not_come_back(
    start: Start, coordinator: CoordinatorDouble, folder: str
) -> None:
    """`kill 0` in a script reaches the launcher too."""
    script = """
import os, signal
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
os.kill(0, signal.SIGUSR1)
count = 0
while signal.sigtimedwait([signal.SIGUSR1], 0.5):
    count += 1
print(count)
"""
    command = start("python", "-c", script)
    coordinator.admit()
    coordinator.end()
    assert ended(command)[1] == "1\n"


def test_a_hangup_that_the_caller_ignores_stays_ignored(
    start: Start, coordinator: CoordinatorDouble
) -> None:
    """Nohup must go on working, for the launcher that waits and for its job."""
    command = start("-c", f"trap '' HUP; exec {GPURUN} sh -c 'kill -HUP $$; exit 3'", program="sh")
    coordinator.accept()
    os.kill(command.pid, signal.SIGHUP)
    assert coordinator.quiet(Leave, 0.2)
    coordinator.send(grant())
    assert coordinator.end().code == 3
    assert ended(command)[0] == 3


def test_the_launcher_stops_and_continues_with_a_job_stopped_by_job_control(
    start: Start, coordinator: CoordinatorDouble
) -> None:
    """Sent to the launcher alone, as a person without a terminal would do it."""
    command = start("sleep", "60", start_new_session=False, process_group=0)
    coordinator.admit()
    job = coordinator.expect(Spawned).pid
    os.kill(command.pid, signal.SIGTSTP)
    wait_until(lambda: state_of(command.pid) + state_of(job) == "TT")
    os.kill(command.pid, signal.SIGCONT)
    wait_until(lambda: "T" not in state_of(command.pid) + state_of(job))
    os.kill(command.pid, signal.SIGTERM)
    assert coordinator.end().code == 143


def test_a_job_stopped_by_hand_leaves_its_launcher_listening(
    start: Start, coordinator: CoordinatorDouble
) -> None:
    """SIGSTOP of the job alone is somebody's business with the job, not job control."""
    command = start("sleep", "60")
    coordinator.admit()
    job = coordinator.expect(Spawned).pid
    os.kill(job, signal.SIGSTOP)
    wait_until(lambda: state_of(job) == "T")
    os.kill(job, signal.SIGKILL)
    assert coordinator.expect(Exited).code == 137
    assert state_of(command.pid) != "T"


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"])
def test_a_signal_while_it_waits_gives_the_place_back_with_128_plus_n(
    start: Start, coordinator: CoordinatorDouble, name: str
) -> None:
    command = start("true")
    coordinator.accept()
    coordinator.send(waiting("needs more"))
    assert command.stderr
    assert "waits" in command.stderr.readline()
    os.kill(command.pid, signal.Signals[name])
    assert coordinator.expect(Leave).job == 1
    assert ended(command) == (128 + signal.Signals[name], "", "")
