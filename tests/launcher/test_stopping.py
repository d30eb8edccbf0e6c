"""`--pause-signal STOP`: the launcher stops the whole tree of a program with no SDK."""

import os
import signal
import subprocess
from collections.abc import Iterator

import pytest
from tests.launcher.conftest import Start, ended, is_gone, state_of, wait_until
from tests.launcher.coordinator_double import CoordinatorDouble, boottime
from tests.launcher.terminal import PROMPT, Terminal

from gpurun.launcher import process, stopping
from gpurun.launcher.launch import Launch
from gpurun.launcher.signals import Signal
from gpurun.launcher.stopping import GRACE, TOGETHER, Stops
from gpurun.launcher.tree import Tree
from gpurun.protocol.messages import (
    Attach,
    Exited,
    GoOn,
    Message,
    Overdue,
    PauseRequest,
    Refused,
    Resumed,
    Spawned,
    Standing,
    Submit,
    Terminate,
)

STOP = ("--pause-signal", "STOP")


def request(number: int = 7, how: str = "stand", ahead: float = 30.0) -> PauseRequest:
    return PauseRequest(job=1, request=number, deadline=boottime(ahead), how=how)


def stand(coordinator: CoordinatorDouble) -> int:
    """Let the job start and stand, and give its pid."""
    coordinator.admit()
    main = coordinator.expect(Spawned).pid
    coordinator.expect(Attach)
    coordinator.send(request())
    coordinator.expect(Standing)
    wait_until(lambda: state_of(main) == "T")
    return main


def test_it_stands_until_it_is_told_to_go_on_and_ends_as_it_would_have(
    start: Start, coordinator: CoordinatorDouble
) -> None:
    """The launcher does not stop with it: this is not job control."""
    command = start(*STOP, "sh", "-c", "read line; exit 7", stdin=subprocess.PIPE)
    submit = coordinator.admit()
    assert (submit.spec.pause_signal, submit.spec.pause_exit) == ("STOP", 0)
    main = coordinator.expect(Spawned).pid
    offer = coordinator.expect(Attach)
    assert (offer.pausable, offer.pid, offer.token) == (("stand",), main, "secret")
    coordinator.send(request())
    assert coordinator.expect(Standing).request == 7
    wait_until(lambda: state_of(main) == "T")
    assert state_of(command.pid) != "T"
    coordinator.send(GoOn(job=1, request=7))
    coordinator.expect(Resumed)
    wait_until(lambda: state_of(main) != "T")
    assert command.stdin
    command.stdin.write("line\n")
    command.stdin.close()
    command.stdin = None
    assert coordinator.end().code == 7
    assert ended(command)[0] == 7


def test_all_of_its_tree_is_stopped_and_goes_on(
    start: Start, coordinator: CoordinatorDouble
) -> None:
    command = start(*STOP, "sh", "-c", "sleep 60 & setsid sleep 61 & echo go; wait")
    coordinator.admit()
    main = coordinator.expect(Spawned).pid
    assert command.stdout
    assert command.stdout.readline() == "go\n"
    wait_until(lambda: names_below(command.pid) == ["sh", "sleep", "sleep"])
    coordinator.send(request())
    coordinator.expect(Standing)
    tree = [main, *(found.pid for found in below(main))]
    wait_until(lambda: states(tree) == {"T"})
    coordinator.send(GoOn(job=1, request=7))
    coordinator.expect(Resumed)
    wait_until(lambda: "T" not in states(tree))
    wait_until(lambda: names_below(command.pid) == ["sh", "sleep", "sleep"])  # without its guard
    kill(tree)


@pytest.mark.parametrize(
    ("asked", "kind"),
    [
        (request(ahead=-1.0), Overdue),
        (request(how="exit"), Refused),
        (request(how="park"), Refused),
    ],
)
def test_what_comes_too_late_or_cannot_be_stops_nothing(
    start: Start, coordinator: CoordinatorDouble, asked: PauseRequest, kind: type[Message]
) -> None:
    start(*STOP, "sleep", "60")
    coordinator.admit()
    main = coordinator.expect(Spawned).pid
    coordinator.send(asked)
    coordinator.expect(kind)
    assert state_of(main) != "T"


def test_a_request_is_not_for_a_job_that_told_nothing(
    start: Start, coordinator: CoordinatorDouble
) -> None:
    start("sleep", "60")
    coordinator.admit()
    main = coordinator.expect(Spawned).pid
    coordinator.send(request())
    assert coordinator.quiet(Standing, 0.1)
    assert state_of(main) != "T"
    assert not any(isinstance(message, Attach) for message in coordinator.heard)


def test_a_coordinator_that_comes_back_hears_for_what_it_stands(
    start: Start, coordinator: CoordinatorDouble
) -> None:
    """And may ask under another number: that is what it stands for from then on."""
    first = subprocess.Popen(["sleep", "60"])
    coordinator.pid = first.pid
    start(*STOP, "sleep", "60")
    main = stand(coordinator)
    first.kill()
    first.wait()
    coordinator.pid = os.getpid()
    assert coordinator.expect(Submit).held
    assert coordinator.expect(Attach).standing == 7
    assert state_of(main) == "T"
    coordinator.send(request(8))
    assert coordinator.expect(Standing).request == 8
    coordinator.send(GoOn(job=1, request=7))
    coordinator.send(GoOn(job=1, request=8))
    coordinator.expect(Resumed)
    wait_until(lambda: state_of(main) != "T")


def test_a_cancelled_one_ends_with_all_of_its_tree(
    start: Start, coordinator: CoordinatorDouble
) -> None:
    """Workers that stayed stopped could not."""
    command = start(*STOP, "sh", "-c", "trap 'wait; exit 9' TERM; sleep 60 & echo go; wait")
    coordinator.admit()
    main = coordinator.expect(Spawned).pid
    assert command.stdout
    assert command.stdout.readline() == "go\n"
    wait_until(lambda: len(below(main)) == 1)
    coordinator.send(request())
    coordinator.expect(Standing)
    worker = below(main)[0].pid
    wait_until(lambda: states([main, worker]) == {"T"})
    coordinator.send(Terminate(job=1, grace=10.0))
    wait_until(lambda: "T" not in states([main, worker]))
    os.kill(worker, signal.SIGTERM)
    assert coordinator.end().code == 9


def test_a_cancelled_one_is_not_kept_from_ending(
    start: Start, coordinator: CoordinatorDouble
) -> None:
    command = start(*STOP, "sh", "-c", "trap '' TERM; echo go; sleep 60")
    coordinator.admit()
    coordinator.expect(Attach)
    assert command.stdout
    assert command.stdout.readline() == "go\n"
    coordinator.send(Terminate(job=1, grace=60.0), request())
    assert coordinator.quiet(Standing, 0.1)
    coordinator.send(Terminate(job=1, grace=0.0))
    assert coordinator.end().code == 137


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_that_ends_a_job_finds_it_awake(
    start: Start, coordinator: CoordinatorDouble, number: int
) -> None:
    command = start(*STOP, "sleep", "60")
    stand(coordinator)
    os.kill(command.pid, number)
    assert coordinator.expect(Attach).standing == 0
    assert coordinator.end().code == 128 + number


def test_what_outlives_its_main_process_does_not_stay_stopped(
    start: Start, coordinator: CoordinatorDouble
) -> None:
    command = start(*STOP, "sh", "-c", "sleep 60 & echo go; wait")
    coordinator.admit()
    main = coordinator.expect(Spawned).pid
    assert command.stdout
    assert command.stdout.readline() == "go\n"
    wait_until(lambda: len(below(main)) == 1)
    child = below(main)[0].pid
    coordinator.send(request())
    coordinator.expect(Standing)
    os.kill(main, signal.SIGKILL)
    assert coordinator.expect(Exited).survivors == (child,)
    wait_until(lambda: state_of(child) == "S")
    os.kill(child, signal.SIGKILL)


def test_a_killed_launcher_leaves_nothing_stopped(
    start: Start, coordinator: CoordinatorDouble
) -> None:
    """Its guard continues the tree, which runs on as every job does without its launcher."""
    command = start(*STOP, "sh", "-c", "sleep 60 & echo go; wait")
    coordinator.admit()
    main = coordinator.expect(Spawned).pid
    assert command.stdout
    assert command.stdout.readline() == "go\n"
    wait_until(lambda: len(below(main)) == 1)
    tree = [main, below(main)[0].pid]
    coordinator.send(request())
    coordinator.expect(Standing)
    wait_until(lambda: states(tree) == {"T"})
    command.kill()
    wait_until(lambda: states(tree) == {"S"})
    kill(tree)


# --- at a terminal


@pytest.fixture
def terminal(environment: dict[str, str], folder: str) -> Iterator[Terminal]:
    """A shell in the folder."""
    terminal = Terminal(environment, folder)
    yield terminal
    terminal.close()


def test_ctrl_z_gives_the_terminal_back_and_fg_leaves_it_standing(
    terminal: Terminal, coordinator: CoordinatorDouble
) -> None:
    """`fg` continues the whole group behind the launcher's back."""
    terminal.type("gpurun --pause-signal STOP sh -c 'read line; exit 5'\n")
    main = stand(coordinator)
    launcher = process.read(main)
    assert launcher
    terminal.expect("as told\r\n")
    terminal.type("\x1a")
    terminal.expect("Stopped")
    terminal.expect(PROMPT)
    terminal.type("fg\n")
    wait_until(lambda: state_of(launcher.parent) not in ("", "T"))
    wait_until(lambda: state_of(main) == "T")
    coordinator.send(GoOn(job=1, request=7))
    coordinator.expect(Resumed)
    wait_until(lambda: state_of(main) == "S")
    terminal.type("line\n")
    assert coordinator.end().code == 5
    terminal.expect(PROMPT)


def test_ctrl_c_ends_one_that_stands(terminal: Terminal, coordinator: CoordinatorDouble) -> None:
    terminal.type("gpurun --pause-signal STOP sleep 60\n")
    stand(coordinator)
    terminal.expect("as told\r\n")
    terminal.type("\x03")
    assert coordinator.end().code == 130
    terminal.expect(PROMPT)
    assert terminal.exit_code() == 130


# --- time


class Clock:
    """Virtual time for what waits."""

    def __init__(self) -> None:
        self.now = boottime()


class Inbox:
    """What the launcher says, and whether a coordinator has answered."""

    def __init__(self) -> None:
        self.sent: list[Message] = []
        self.welcomed = True
        self.signals = self
        self.original: set[int] = set()

    def send(self, message: Message) -> None:
        self.sent.append(message)


class Standstill:
    """A tree of real processes that stands, under a launcher in virtual time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
        self.clock, self.inbox = Clock(), Inbox()
        monkeypatch.setattr(stopping, "now", lambda: self.clock.now)
        launch = object.__new__(Launch)
        launch.job, launch.inbox, launch.offer = 1, self.inbox, ()  # type: ignore[assignment]
        self.said: list[str] = []
        monkeypatch.setattr(launch, "say", self.said.append)
        tree = Tree()
        self.program = subprocess.Popen(
            ["sh", "-c", command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        assert self.program.stdout
        assert self.program.stdout.readline() == b"go\n"
        self.main = self.program.pid
        spawned = Spawned(job=1, attempt=1, pid=self.main, start_time=1)
        self.stops = Stops(launch, tree, spawned, "token")
        self.stops.hear(request())
        wait_until(lambda: state_of(self.main) == "T")

    def pass_time(self, seconds: float) -> None:
        """Let time pass, with the call that is due."""
        self.clock.now += seconds
        if self.stops.due is not None and self.clock.now >= self.stops.due:
            self.stops.on_due()

    def close(self) -> None:
        self.stops.on_end()
        os.killpg(self.main, signal.SIGKILL)
        self.program.communicate()


@pytest.fixture
def several(monkeypatch: pytest.MonkeyPatch) -> Iterator[Standstill]:
    """Two processes."""
    standstill = Standstill(monkeypatch, "sleep 60 & echo go; wait")
    yield standstill
    standstill.close()


@pytest.fixture
def single(monkeypatch: pytest.MonkeyPatch) -> Iterator[Standstill]:
    """One process."""
    standstill = Standstill(monkeypatch, "echo go; read x")
    yield standstill
    standstill.close()


def test_several_processes_go_on_after_five_minutes(several: Standstill) -> None:
    """Their peers' watchdogs would end them; the coordinator hears that they run."""
    assert TOGETHER == 300.0
    several.pass_time(TOGETHER - 1)
    assert several.stops.stands
    several.pass_time(1)
    wait_until(lambda: state_of(several.main) == "S")
    assert not several.stops.stands
    attach = next(said for said in reversed(several.inbox.sent) if isinstance(said, Attach))
    assert attach.standing == 0
    assert several.said == ["job 1 goes on: its processes wait for each other, for 5:00 at most"]
    assert several.stops.due is None


def test_one_process_stands_for_as_long_as_it_takes(single: Standstill) -> None:
    single.stops.on_signal(Signal(signal.SIGCONT, 0, 0))  # stopped anew: its guard does not count
    single.pass_time(10 * TOGETHER)
    assert single.stops.stands
    assert single.stops.due is None


def test_beside_a_coordinator_that_stays_dead_it_goes_on_after_a_grace(single: Standstill) -> None:
    single.inbox.welcomed = False
    single.stops.on_lost()
    single.pass_time(GRACE - 1)
    assert single.stops.stands
    single.pass_time(1)
    wait_until(lambda: state_of(single.main) == "S")
    assert single.said == ["job 1 goes on: there is no coordinator"]


def test_a_coordinator_that_is_back_in_time_finds_it_standing(single: Standstill) -> None:
    single.stops.on_lost()
    single.pass_time(GRACE)
    assert single.stops.stands
    assert single.stops.due is None


def test_one_over_which_nobody_could_watch_is_not_stopped(
    single: Standstill, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No process can be started: it goes on as if never asked."""
    single.stops.hear(GoOn(job=1, request=7))

    def fail(*_: object) -> None:
        raise OSError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(stopping, "Guard", fail)
    single.stops.hear(request(8))
    wait_until(lambda: state_of(single.main) == "S")
    refused = single.inbox.sent[-1]
    assert isinstance(refused, Refused)
    assert "Resource temporarily unavailable" in refused.text


# --- who is there


def below(pid: int) -> list[process.Process]:
    """The living processes below this one."""
    everything = list(process.every())
    found = [process for process in everything if process.pid == pid]
    for parent in found:
        found += [child for child in everything if child.parent == parent.pid]
    return [one for one in found[1:] if one.state != "Z"]


def names_below(pid: int) -> list[str]:
    return sorted(found.name for found in below(pid))


def kill(pids: list[int]) -> None:
    """What has left its launcher's process group, or has outlived it."""
    for pid in pids:
        os.kill(pid, signal.SIGKILL)


def states(pids: list[int]) -> set[str]:
    return {state_of(pid) for pid in pids if not is_gone(pid)}
