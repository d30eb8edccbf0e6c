"""The first command starts the coordinator; the real one is told what to do by the test."""

import os
import signal
from collections.abc import Callable, Iterator

import pytest
from tests.launcher.conftest import Start, ended, is_gone, wait_until
from tests.launcher.coordinator_double import CoordinatorDouble

import gpurun_entry
from gpurun.launcher import process

PRELUDE = """
import os, sys, time
sys.path.insert(0, {root!r})
from tests.launcher.coordinator_double import CoordinatorDouble, waiting
ready = int(sys.argv[-1])
def say(text):
    os.write(ready, text.encode()); os.close(ready)
"""

SERVE = """
double = CoordinatorDouble(os.environ["GPURUN_RUNTIME_DIR"])
with open({folder!r} + "/facts.new", "w") as file:
    print(os.getpid(), os.getppid(), os.getsid(0), os.getcwd(), *sys.argv[1:], file=file)
    print(*(os.readlink("/proc/self/fd/%d" % n) for n in range(3)), file=file)
    files = [os.path.join("/proc/self/fd", n) for n in os.listdir("/proc/self/fd")]
    print(*(os.readlink(f) for f in files if os.path.exists(f)), file=file)
os.replace({folder!r} + "/facts.new", {folder!r} + "/facts")
say("ready\\n")
"""

Write = Callable[[str], None]


@pytest.fixture
def coordinator_main(folder: str, environment: dict[str, str]) -> Iterator[Write]:
    """Write what `python -m gpurun.coordinator` does; whatever it started is killed."""
    package = f"{folder}/fake/gpurun/coordinator"
    os.makedirs(package)
    launcher = os.path.dirname(gpurun_entry.__file__)
    environment["PYTHONPATH"] = f"{folder}/fake:{launcher}"
    root = os.path.dirname(launcher)

    def write(body: str) -> None:
        with open(f"{package}/__main__.py", "w", encoding="utf-8") as file:
            file.write(PRELUDE.format(root=root) + body.replace("{folder!r}", repr(folder)))

    yield write
    if os.path.exists(f"{folder}/facts"):
        pid = int(facts(folder)[0][0])
        if not is_gone(pid):
            os.kill(pid, signal.SIGKILL)


def facts(folder: str) -> list[list[str]]:
    with open(f"{folder}/facts", encoding="utf-8") as file:
        return [line.split() for line in file.read().splitlines()]


def test_it_is_started_detached_and_keeps_nothing_of_the_callers(
    start: Start, coordinator_main: Write, folder: str
) -> None:
    """Not its terminal, folder or session, nor a file, in which a lock may lie."""
    coordinator_main(SERVE + "double.admit(); double.end()")
    command = start("-c", "exec 3>lock-3 9>lock-9; exec gpurun true", program="sh")
    assert ended(command)[0] == 0
    (pid, parent, session, cwd, *arguments), standard, files = facts(folder)
    assert (arguments[:-1], cwd) == (["--idle-exit", "600", "--ready-fd"], "/")
    assert session not in (pid, str(command.pid))
    assert parent != str(command.pid)
    assert standard[:2] == ["/dev/null", "/dev/null"]
    assert standard[2].endswith("/coordinator.log")
    assert not any("lock-" in name for name in files)


def test_what_it_cannot_do_is_said_in_its_own_words(start: Start, coordinator_main: Write) -> None:
    coordinator_main("say('error: no NVIDIA driver; try GPURUN_DEVICES=sim:24GiB\\n')")
    for words in (["true"], ["status"], ["coordinator", "start"]):
        assert ended(start(*words)) == (
            125,
            "",
            "gpurun: error: no NVIDIA driver; try GPURUN_DEVICES=sim:24GiB\n",
        )


def test_a_crash_shows_the_last_line_of_its_log(start: Start, coordinator_main: Write) -> None:
    coordinator_main("raise RuntimeError('broken disk')")
    code, _, err = ended(start("true"))
    assert code == 125
    assert err.startswith(
        "gpurun: error: the coordinator did not start: RuntimeError: broken disk; see /"
    )
    assert err.count("\n") == 1


def test_one_that_was_slower_than_another_leaves_the_field_to_it(
    start: Start, coordinator_main: Write, environment: dict[str, str], folder: str
) -> None:
    """It closes the descriptor without a word, and the other is not ready yet."""
    coordinator_main("open({folder!r} + '/lost', 'w').close()")
    command = start("true")
    wait_until(lambda: os.path.exists(f"{folder}/lost"))
    other = CoordinatorDouble(environment["GPURUN_RUNTIME_DIR"])
    other.admit()
    other.end()
    assert ended(command)[0] == 0
    other.close()


def test_a_waiting_launcher_starts_another_when_it_dies(
    start: Start, coordinator_main: Write, folder: str
) -> None:
    coordinator_main(SERVE + "double.accept(); double.send(waiting('needs more')); time.sleep(60)")
    command = start("sh", "-c", "exit 3")
    assert command.stderr
    assert "needs more" in command.stderr.readline()
    coordinator_main(SERVE + "double.admit(); double.end()")
    os.kill(int(facts(folder)[0][0]), signal.SIGKILL)
    assert ended(command)[0] == 3


def test_ctrl_c_ends_a_launcher_that_starts_another(
    start: Start, coordinator_main: Write, folder: str
) -> None:
    """Signals are held back while it waits, but not while nobody reads them."""
    coordinator_main(SERVE + "double.accept(); double.send(waiting('needs more')); time.sleep(60)")
    command = start("true")
    assert command.stderr
    assert "needs more" in command.stderr.readline()
    hang = "open({folder!r} + '/facts.new', 'w').write(str(os.getpid()))\n"
    hang += "os.replace({folder!r} + '/facts.new', {folder!r} + '/facts'); time.sleep(60)"
    dead = facts(folder)[0][0]
    coordinator_main(hang)
    os.kill(int(dead), signal.SIGKILL)
    wait_until(lambda: facts(folder)[0][0] != dead)
    os.kill(command.pid, signal.SIGINT)
    assert ended(command)[0] == 130


def test_one_that_is_started_during_a_pause_does_not_become_part_of_the_job(
    start: Start, coordinator_main: Write, folder: str
) -> None:
    """The launcher adopts orphans while its job runs, and only then."""
    imports = "from gpurun.protocol.messages import EndTree, Exited, Spawned\n"
    pause = "double.admit(); double.expect(Spawned)\n"
    pause += "double.send(EndTree(job=1, attempt=1, request=5)); double.expect(Exited)\n"
    coordinator_main(imports + SERVE + pause + "double.send(waiting('paused')); time.sleep(60)")
    command = start("sh", "-c", "exec sleep 60")
    assert command.stderr
    command.stderr.readline()
    assert "paused" in command.stderr.readline()
    coordinator_main(SERVE + "double.accept(); time.sleep(60)")
    dead = facts(folder)[0][0]
    os.kill(int(dead), signal.SIGKILL)
    wait_until(lambda: facts(folder)[0][0] != dead)
    wait_until(lambda: parent_of(facts(folder)[0][0]) != parent_at_start(folder))
    assert parent_of(facts(folder)[0][0]) != command.pid


def parent_at_start(folder: str) -> int:
    """The guard, which has gone once the launcher has found its child ready."""
    return int(facts(folder)[0][1])


def parent_of(pid: str) -> int:
    found = process.read(int(pid))
    return found.parent if found else 0


def test_a_running_launcher_starts_none_when_it_dies(
    start: Start, coordinator_main: Write, folder: str
) -> None:
    """Its job needs none."""
    coordinator_main(SERVE + "double.admit(); time.sleep(60)")
    command = start("sh", "-c", "echo go; read line; exit 3", stdin=-1)
    assert command.stdout
    assert command.stdout.readline() == "go\n"
    dead = int(facts(folder)[0][0])
    os.kill(dead, signal.SIGKILL)
    wait_until(lambda: is_gone(dead))
    command.communicate("\n", timeout=10)
    assert command.returncode == 3
    assert int(facts(folder)[0][0]) == dead


def test_one_that_says_nothing_in_time_is_not_waited_for_any_longer(
    start: Start, coordinator_main: Write, folder: str, environment: dict[str, str]
) -> None:
    """It lives on; the next command may find it ready."""
    coordinator_main("open({folder!r} + '/pid', 'w').write(str(os.getpid())); time.sleep(60)")
    path = f"{folder}/fake/sitecustomize.py"
    with open(path, "w", encoding="utf-8") as file:
        file.write("import gpurun.launcher.coordinator_start as s; s.START_DEADLINE = 0.5")
    code, _, err = ended(start("true"))
    with open(f"{folder}/pid", encoding="utf-8") as file:
        os.kill(int(file.read()), signal.SIGKILL)
    assert code == 125
    assert err.startswith("gpurun: error: the coordinator did not start in time; see /")


def test_coordinator_start_status_and_stop(
    start: Start, coordinator_main: Write, folder: str
) -> None:
    coordinator_main(SERVE + "time.sleep(60)")
    assert ended(start("coordinator", "status")) == (1, "no coordinator runs\n", "")
    assert ended(start("coordinator", "stop")) == (0, "no coordinator runs\n", "")
    code, out, _ = ended(start("coordinator", "start"))
    pid = facts(folder)[0][0]
    assert (code, out) == (0, f"{pid}\n")
    assert ended(start("coordinator", "start"))[1] == f"{pid}\n"
    assert ended(start("coordinator", "stop")) == (0, f"stopped {pid}\n", "")
    assert is_gone(int(pid))


def test_coordinator_run_is_the_daemon_in_the_foreground(
    start: Start, coordinator_main: Write
) -> None:
    coordinator_main("")
    command = start("coordinator", "run")
    assert "ready = int(sys.argv[-1])" in ended(command)[2]  # which it is not given here
