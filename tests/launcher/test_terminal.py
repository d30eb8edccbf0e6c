"""At a terminal a job under gpurun feels as it does without: pdb, colours, Ctrl-C, Ctrl-Z."""

import os
from collections.abc import Iterator

import pytest
from tests.launcher.conftest import GPURUN, Start, state_of, wait_until
from tests.launcher.coordinator_double import CoordinatorDouble, grant, waiting
from tests.launcher.terminal import PROMPT, Terminal

from gpurun.protocol.messages import Ended, EndTree, Exited, Leave, Spawned, Submit


@pytest.fixture
def terminal(environment: dict[str, str], folder: str) -> Iterator[Terminal]:
    """A shell in the folder."""
    terminal = Terminal(environment, folder)
    yield terminal
    terminal.close()


def write(folder: str, name: str, text: str) -> None:
    with open(f"{folder}/{name}", "w", encoding="utf-8") as file:
        file.write(text)


def test_all_three_streams_are_the_terminal(
    terminal: Terminal, coordinator: CoordinatorDouble
) -> None:
    terminal.type("gpurun python -c 'import os; print([os.isatty(n) for n in range(3)])'\n")
    coordinator.admit()
    terminal.expect("[True, True, True]")
    coordinator.end()
    terminal.expect(PROMPT)


def test_colours_reach_the_terminal_as_they_were_written(
    terminal: Terminal, coordinator: CoordinatorDouble
) -> None:
    terminal.type("gpurun ls --color=auto -d /\n")
    coordinator.admit()
    terminal.expect("\x1b[01;34m/\x1b[0m")
    coordinator.end()


def test_pdb_works(terminal: Terminal, coordinator: CoordinatorDouble, folder: str) -> None:
    write(folder, "debug.py", "answer = 42\nbreakpoint()\nprint('after')\n")
    terminal.type("gpurun debug.py\n")
    coordinator.admit()
    terminal.expect("(Pdb) ")
    terminal.type("p answer + 1\n")
    terminal.expect("43")
    terminal.type("c\n")
    coordinator.end()
    terminal.expect(PROMPT)
    assert terminal.exit_code() == 0


COUNT_INTERRUPTS = """
import signal
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
print("go", flush=True)
count = 0
while signal.sigtimedwait([signal.SIGINT], 0.5 if count else 20):
    count += 1
print("interrupts:", count, flush=True)
raise SystemExit(7)
"""


def test_ctrl_c_reaches_the_job_once(
    terminal: Terminal, coordinator: CoordinatorDouble, folder: str
) -> None:
    """The terminal sends it to the whole group; passed on, it would come twice."""
    write(folder, "count.py", COUNT_INTERRUPTS)
    terminal.type("gpurun count.py\n")
    coordinator.admit()
    terminal.expect("\ngo\r")
    terminal.type("\x03")
    terminal.expect("interrupts: 1\r")
    assert coordinator.end().code == 7
    terminal.expect(PROMPT)
    assert terminal.exit_code() == 7


def test_ctrl_c_ends_a_job_that_does_not_mind_it_with_130(
    terminal: Terminal, coordinator: CoordinatorDouble
) -> None:
    terminal.type("gpurun sleep 60\n")
    coordinator.admit()
    coordinator.expect(Spawned)
    terminal.expect("as told\r\n")
    terminal.type("\x03")
    assert coordinator.end().code == 130
    terminal.expect(PROMPT)
    assert terminal.exit_code() == 130


def test_ctrl_z_stops_both_and_fg_continues_both_in_the_same_reservation(
    terminal: Terminal, coordinator: CoordinatorDouble
) -> None:
    terminal.type("gpurun sh -c 'read line; exit 5'\n")
    launcher = coordinator.admit().spec.pid
    job = coordinator.expect(Spawned).pid
    terminal.expect("as told\r\n")
    terminal.type("\x1a")
    terminal.expect("Stopped")
    terminal.expect(PROMPT)
    assert (state_of(launcher), state_of(job)) == ("T", "T")
    terminal.type("fg\n")
    wait_until(lambda: "T" not in state_of(launcher) + state_of(job))
    terminal.type("line\n")
    assert coordinator.end().code == 5
    terminal.expect(PROMPT)
    assert terminal.exit_code() == 5
    assert {type(message) for message in coordinator.heard} >= {Exited}
    assert sum(isinstance(message, Spawned) for message in coordinator.heard) == 1


def test_a_job_that_does_not_stop_at_ctrl_z_keeps_its_launcher_running_too(
    terminal: Terminal, coordinator: CoordinatorDouble
) -> None:
    terminal.type("gpurun sh -c 'trap \"\" TSTP; echo go; read line; exit 6'\n")
    coordinator.admit()
    terminal.expect("\ngo\r")
    terminal.type("\x1a\n")
    assert coordinator.end().code == 6
    terminal.expect(PROMPT)


def test_one_live_line_says_why_it_waits_and_goes_when_it_starts(
    terminal: Terminal, coordinator: CoordinatorDouble
) -> None:
    terminal.type("gpurun true\n")
    coordinator.accept()
    coordinator.send(waiting("needs 6.0 GiB, held by \x1b[2Jjob 3", ahead=2))
    terminal.expect("\r\x1b[Kgpurun: job 1 waits 0:00: needs 6.0 GiB, held by �[2Jjob 3 · 2 ahead")
    terminal.expect("\r\x1b[Kgpurun: job 1 waits 0:01: needs")
    coordinator.send(grant())
    rest = terminal.expect("gpurun: job 1 starts")
    assert rest.endswith("\r\x1b[K")
    assert "\n" not in rest
    coordinator.end()


def test_the_live_line_is_cut_to_the_terminals_width(
    terminal: Terminal, coordinator: CoordinatorDouble
) -> None:
    terminal.type("stty cols 40\n")
    terminal.expect(PROMPT)
    terminal.type("gpurun true\n")
    coordinator.accept()
    coordinator.send(waiting("x" * 100))
    terminal.expect("\r\x1b[K")
    coordinator.send(grant())
    assert len(terminal.expect("\r\x1b[K")) == 39
    coordinator.end()


def test_ctrl_c_while_waiting_gives_the_place_back_with_130(
    terminal: Terminal, coordinator: CoordinatorDouble
) -> None:
    terminal.type("gpurun true\n")
    coordinator.accept()
    coordinator.send(waiting("needs more"))
    terminal.expect("needs more")
    terminal.type("\x03")
    assert coordinator.expect(Leave) == Leave(job=1)
    terminal.expect(PROMPT)
    assert terminal.exit_code() == 130


def test_ctrl_z_stops_a_waiting_launcher_and_fg_continues_it(
    terminal: Terminal, coordinator: CoordinatorDouble
) -> None:
    terminal.type("gpurun true\n")
    launcher = coordinator.accept().spec.pid
    coordinator.send(waiting("needs more"))
    terminal.expect("needs more")
    terminal.type("\x1a")
    terminal.expect("Stopped")
    assert state_of(launcher) == "T"
    terminal.type("fg\n")
    coordinator.send(grant())
    assert coordinator.end().code == 0


def test_a_launcher_in_the_background_does_not_draw_over_the_shell(
    terminal: Terminal, coordinator: CoordinatorDouble
) -> None:
    terminal.type("gpurun true &\n")
    coordinator.accept()
    terminal.expect(PROMPT)
    coordinator.send(waiting("needs more"), grant())
    coordinator.end()
    terminal.type("wait; echo over\n")
    seen = terminal.expect("echo over\r\n") + terminal.expect("over\r\n")
    assert "starts on" in seen
    assert "needs more" not in seen


RAW = """
import os, sys, tty
if "GPURUN_RESUME" in os.environ:
    raise SystemExit(8)
tty.setraw(0)
print("raw", flush=True)
sys.stdin.read()
"""


def test_a_terminal_left_in_raw_mode_by_an_ended_tree_is_put_right(
    terminal: Terminal, coordinator: CoordinatorDouble, folder: str
) -> None:
    write(folder, "raw.py", RAW)
    terminal.type("stty -a > before; gpurun raw.py; stty -a > after\n")
    coordinator.admit()
    terminal.expect("\nraw")
    coordinator.send(EndTree(job=1, attempt=1, request=5))
    assert coordinator.expect(Exited).request == 5
    coordinator.send(grant(attempt=2, resume="checkpoint-1"))
    exited = coordinator.expect(Exited)
    coordinator.send(Ended(job=1))
    assert exited.code == 8
    terminal.expect(PROMPT)
    wait_until(lambda: os.path.exists(f"{folder}/after"))
    with open(f"{folder}/before") as before, open(f"{folder}/after") as after:
        assert before.read() == after.read()


def test_a_terminal_of_another_session_neither_ends_a_paused_job_nor_a_waiting_one(
    terminal: Terminal, coordinator: CoordinatorDouble
) -> None:
    """Under setsid(1) all three streams are a terminal that is not the launcher's own."""
    script = "[ $GPURUN_ATTEMPT = 2 ] || exec sleep 60; exit 8"
    terminal.type(f"setsid -w gpurun sh -c '{script}'\n")
    coordinator.accept()
    coordinator.send(waiting("needs more"), grant())
    coordinator.expect(Spawned)
    coordinator.send(EndTree(job=1, attempt=1, request=5))
    coordinator.expect(Exited)
    coordinator.send(waiting("paused"), grant(attempt=2))
    assert coordinator.end().code == 8
    terminal.expect(PROMPT)
    assert terminal.exit_code() == 8


def test_a_hung_up_terminal_does_not_end_a_paused_job(
    start: Start, coordinator: CoordinatorDouble
) -> None:
    master, slave = os.openpty()
    script = "[ $GPURUN_ATTEMPT = 2 ] || exec sleep 60; exit 8"
    words = ("-c", f"trap '' HUP; exec setsid --ctty {GPURUN} sh -c '{script}'")
    streams = {"stdin": slave, "stdout": slave, "stderr": slave}
    command = start(*words, program="sh", start_new_session=False, **streams)
    os.close(slave)
    coordinator.admit()
    coordinator.expect(Spawned)
    os.close(master)
    coordinator.send(EndTree(job=1, attempt=1, request=5))
    coordinator.expect(Exited)
    coordinator.send(waiting("paused"), grant(attempt=2))
    assert coordinator.end().code == 8
    assert command.wait(10) == 8


def test_a_hangup_reaches_the_job_of_a_launcher_that_leads_the_session(
    start: Start, coordinator: CoordinatorDouble, folder: str
) -> None:
    """The kernel tells nobody else that the terminal is gone: `ssh -t host gpurun …`."""
    master, slave = os.openpty()
    script = "trap 'exit 4' HUP; touch ready; while :; do sleep 0.02; done"
    words = ("--ctty", GPURUN, "sh", "-c", script)
    streams = {"stdin": slave, "stdout": slave, "stderr": slave}
    start(*words, program="setsid", start_new_session=False, **streams)
    os.close(slave)
    coordinator.admit()
    wait_until(lambda: os.path.exists(f"{folder}/ready"))
    os.close(master)
    assert coordinator.end().code == 4


def test_the_live_line_says_that_nobody_answers(
    terminal: Terminal, coordinator: CoordinatorDouble
) -> None:
    coordinator.greets = False
    terminal.type("gpurun true\n")
    terminal.expect(f"\r\x1b[Kgpurun: waits 0:02: the coordinator (pid {coordinator.pid}) does")
    coordinator.expect(Submit)  # on a connection that was given up
    coordinator.greets = True
    coordinator.admit()
    assert "\r\x1b[K" in terminal.expect("gpurun: job 1 starts")
    coordinator.end()
