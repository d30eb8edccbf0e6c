"""Bad input gets one line on stderr that says what to do, and the contract's exit code."""

import os

import pytest
from tests.launcher.conftest import Start, ended, inside_job


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["--mem", "6x", "true"], 2, "'6x' is not a size like 6GiB, 6G or 6144MiB"),
        (["--util", "0", "true"], 2, "'0' is not a percentage from 1 to 100"),
        (["--priority", "urgent", "true"], 2, "'urgent' is not low, normal, high"),
        (["--time", "soon", "true"], 2, "'soon' is not a duration like 90s"),
        (["--gpus", "-1", "true"], 2, "'-1' is not a number of devices from 0 to 1024"),
        (["--gpus", "x", "true"], 2, "'x' is not a number of devices from 0 to 1024"),
        (["--name", " ", "true"], 2, "a name must not be empty"),
        (["--pause", "maybe", "true"], 2, "'maybe' is not one of"),
        (["--pause-signal", "USR3", "true"], 2, "'USR3' is not a signal; did you mean USR"),
        (["--pause-signal", "0", "true"], 2, "'0' is not a signal"),
        (["--pause-signal", "999", "true"], 2, "'999' is not a signal"),
        (["--pause-signal", "KILL", "true"], 2, "KILL ends a program before it can save"),
        (["--pause-signal", "9", "true"], 2, "KILL ends a program before it can save"),
        (["--pause-signal", "sigusr2", "true"], 2, "--pause-signal USR2 needs --pause-exit CODE"),
        (["--pause-exit", "85", "true"], 2, "--pause-exit needs --pause-signal SIG"),
        (
            ["--pause-signal=USR2", "--pause-exit=0", "true"],
            2,
            "0 says that a program has finished",
        ),
        (["--pause-signal=USR2", "--pause-exit=256", "true"], 2, "'256' is not an exit code"),
        (["--pause-signal=USR2", "--pause-exit=x", "true"], 2, "'x' is not an exit code from 1"),
        (["--pause-signal=SIGSTOP", "--pause-exit=85", "true"], 2, "leave --pause-exit out"),
        (["--pause-signal=19", "--pause-exit=85", "true"], 2, "--pause-signal STOP lets the"),
        (["--pause-signal=STOP", "--pause=never", "true"], 2, "--pause never contradicts"),
        (["--pause-signal=STOP", "--pause=exit", "true"], 2, "which means --pause stand; leave"),
        (
            ["--pause=park", "--pause-signal=12", "--pause-exit=85", "true"],
            2,
            "--pause park contradicts --pause-signal USR2, which means --pause exit; leave one",
        ),
        (["--zzz", "true"], 2, "no such option '--zzz'; gpurun --help shows what there is\n"),
        (["status", "--zzz"], 2, "'--zzz'; gpurun status --help shows what there is\n"),
        (["--mem"], 2, "'--mem' requires an argument; gpurun --help shows what there is\n"),
        (["--mem", "1", "true"], 2, "'1' is not a size like 6GiB, 6G or 6144MiB"),
        (["--name", "7", "true"], 2, "'7' would be taken for a job's number; add a letter\n"),
        (["--name", "a\x1b[2J", "true"], 2, "holds a control character; leave it out\n"),
        (["--mem", "6GiB"], 2, "no command to run; try gpurun train.py"),
        (["status", "extra"], 2, "unexpected extra argument"),
        (["pause"], 2, "missing argument 'JOB...'; gpurun pause --help shows what"),
        (
            ["pause", "--rehearse", "--no-wait", "3"],
            2,
            "waits for its outcome; leave --no-wait out",
        ),
        (
            ["coordinator", "xyz"],
            2,
            "no such command 'xyz'; gpurun coordinator --help shows",
        ),
        (["missing.py"], 127, "there is no script missing.py; check its path"),
        (["no-such-command"], 127, "there is no command no-such-command"),
        (["./no/such"], 127, "there is no command ./no/such"),
        (["/"], 126, "/ is not executable"),
        (["/etc/passwd"], 126, "/etc/passwd is not executable"),
        (["folder.py"], 126, "folder.py cannot be read as a script"),
        (["-q", "status"], 127, "there is no command status; check the name and your PATH"),
    ],
)
def test_a_mistake_is_one_line(
    start: Start, folder: str, words: list[str], code: int, text: str
) -> None:
    """Found before anything is submitted: no coordinator is needed for it."""
    os.mkdir(f"{folder}/folder.py")
    found, out, err = ended(start(*words))
    assert found == code
    assert out == ""
    assert err.startswith("gpurun: error: ")
    assert text in err
    assert err.count("\n") == 1
    assert not os.path.exists(f"{folder}/run")


def test_a_script_runs_with_python_first_on_the_callers_path(
    start: Start, folder: str, environment: dict[str, str]
) -> None:
    """Not with gpurun's own: the virtualenv that is active is the one that has torch."""
    bare = inside_job(os.getpid())
    for names in (["python3"], ["python3", "python"]):
        os.makedirs(f"{folder}/bin", exist_ok=True)
        for name in names:
            _write(f"{folder}/bin/{name}", f'#!/bin/sh\necho {name} "$@"\n', 0o755)
        _write(f"{folder}/x.py", "", 0o644)
        command = start("x.py", "--mem", "a", env=environment | bare | {"PATH": f"{folder}/bin"})
        assert ended(command)[:2] == (0, f"{names[-1]} x.py --mem a\n")


def test_a_path_without_python_says_so(
    start: Start, folder: str, environment: dict[str, str]
) -> None:
    _write(f"{folder}/x.py", "", 0o644)
    code, _, err = ended(start("x.py", env=environment | {"PATH": folder}))
    assert (code, err) == (
        127,
        "gpurun: error: there is no python on your PATH; activate an environment\n",
    )


def test_a_later_executable_on_the_path_wins_over_an_earlier_file_that_is_none(
    start: Start, folder: str, environment: dict[str, str]
) -> None:
    for name, mode in (("a", 0o644), ("b", 0o755)):
        os.mkdir(f"{folder}/{name}")
        _write(f"{folder}/{name}/tool", f"#!/bin/sh\necho {name}\n", mode)
    inside = environment | inside_job(os.getpid())
    both = {"PATH": f"{folder}/a:{folder}/b:/bin"}
    assert ended(start("tool", env=inside | both))[1] == "b\n"
    only = {"PATH": f"{folder}/a"}
    assert ended(start("tool", env=inside | only))[0] == 126


def test_a_socket_path_that_is_too_long_says_so(start: Start, environment: dict[str, str]) -> None:
    long = environment | {"GPURUN_RUNTIME_DIR": "/tmp/" + "x" * 120}  # noqa: S108 - never made
    code, _, err = ended(start("true", env=long))
    assert code == 2
    assert "bytes and the system allows 107; set GPURUN_RUNTIME_DIR" in err
    assert err.count("\n") == 1


def test_a_state_folder_that_cannot_be_written_says_so(
    start: Start, environment: dict[str, str]
) -> None:
    for words in (["true"], ["status"]):
        code, _, err = ended(start(*words, env=environment | {"GPURUN_STATE_DIR": "/proc/no"}))
        assert code == 125
        assert err.startswith("gpurun: error: cannot write /proc/no/")
        assert err.endswith("; set GPURUN_STATE_DIR to another folder\n")


def test_a_folder_that_is_gone_says_so(start: Start, folder: str) -> None:
    command = start(
        "-c", f"mkdir {folder}/d; cd {folder}/d; rmdir {folder}/d; gpurun true", program="sh"
    )
    code, _, err = ended(command)
    assert code == 125
    assert err.endswith("gpurun: error: the current folder is gone; change to another one\n")


@pytest.mark.parametrize("verb", ["run", "status", "why", "pause", "resume", "cancel", "sim"])
def test_every_verb_explains_itself(start: Start, verb: str) -> None:
    code, out, err = ended(start(verb, "--help"))
    assert (code, err) == (0, "")
    assert out.startswith(f"Usage: gpurun {verb} ")


def test_help_lists_the_options_and_the_verbs(start: Start) -> None:
    code, out, _ = ended(start("--help"))
    assert code == 0
    for word in ("--priority", "--mem SIZE", "--max-wait", "status", "coordinator", "SCRIPT.py"):
        assert word in out


def test_no_argument_at_all_is_a_mistake_that_is_answered_with_help(start: Start) -> None:
    code, out, err = ended(start())
    assert (code, out) == (2, "")
    assert err.startswith("Usage: gpurun [OPTIONS] SCRIPT.py")


def test_everything_after_the_command_is_the_commands(
    start: Start, environment: dict[str, str]
) -> None:
    """Also what looks like an option or a verb of gpurun's."""
    inside = environment | inside_job(os.getpid())
    for words in (
        ["-q", "echo", "--mem", "--", "status", "--help"],
        ["run", "-q", "echo", "--mem", "--", "status", "--help"],
        ["run", "-q", "--", "echo", "--mem", "--", "status", "--help"],
        ["-q", "--", "echo", "--mem", "--", "status", "--help"],
    ):
        assert ended(start(*words, env=inside)) == (0, "--mem -- status --help\n", "")


def _write(path: str, text: str, mode: int) -> None:
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(path, mode)


@pytest.mark.parametrize("verb", ["coordinator", "sim"])
def test_a_verb_that_needs_another_is_answered_with_help(start: Start, verb: str) -> None:
    code, out, err = ended(start(verb))
    assert (code, out) == (2, "")
    assert err.startswith(f"Usage: gpurun {verb} ")
    assert "\nCommands:\n" in err
