"""A job that is admitted, runs and ends: nothing of it is changed by the launcher."""

import os
import stat
import subprocess
from uuid import UUID

import msgspec
import pytest
from tests.launcher.conftest import GPURUN, Start, ended, inside_job
from tests.launcher.coordinator_double import CoordinatorDouble, boottime, grant

from gpurun.protocol.messages import (
    AskAgain,
    Ended,
    Exited,
    Hello,
    Problem,
    Spawned,
    SpawnFailed,
    Submit,
    Terminate,
)


@pytest.mark.parametrize(
    ("script", "code"), [("exit 0", 0), ("exit 3", 3), ("kill -9 $$", 137), ("kill -TERM $$", 143)]
)
def test_the_exit_code_is_the_jobs_own_and_128_plus_n_after_a_signal(
    start: Start, coordinator: CoordinatorDouble, script: str, code: int
) -> None:
    command = start("sh", "-c", script)
    coordinator.admit()
    assert coordinator.end().code == code
    assert ended(command)[0] == code


def test_stdin_and_stdout_are_the_jobs_and_gpurun_speaks_on_stderr_only(
    start: Start, coordinator: CoordinatorDouble
) -> None:
    command = start("cat", stdin=-1)
    coordinator.admit()
    assert command.stdin
    command.stdin.write("through\n")
    command.stdin.close()
    command.stdin = None
    coordinator.end(text="peak 1 GiB")
    assert ended(command) == (
        0,
        "through\n",
        "gpurun: job 1 starts on GPU 0 (Simulated 24.0 GiB): "
        "6.0 GiB and 40 % reserved, as told\n"
        "gpurun: job 1 ended: peak 1 GiB\n",
    )


def test_quiet_hides_all_of_gpuruns_own_lines(start: Start, coordinator: CoordinatorDouble) -> None:
    command = start("-q", "true")
    coordinator.admit()
    coordinator.end(text="peak 1 GiB")
    assert ended(command) == (0, "", "")


def test_a_reservation_of_all_that_is_left_says_that_nothing_was_told(
    start: Start, coordinator: CoordinatorDouble
) -> None:
    command = start("true")
    coordinator.admit(basis="unknown")
    coordinator.end()
    assert "all that is left, since nothing was told" in ended(command)[2]


def test_the_job_gets_the_callers_environment_and_what_the_contract_adds(
    start: Start, coordinator: CoordinatorDouble, environment: dict[str, str]
) -> None:
    command = start(
        "env",
        "-0",
        env=environment | {"MINE": "a b", "GPURUN_RESUME": "stale", "GPURUN_MEMORY_LIMIT": "1"},
    )
    launcher = inside_job(command.pid)["GPURUN_LAUNCHER"]
    submit = coordinator.admit(devices=("GPU-a", "GPU-b"), attempt=2)
    coordinator.end()
    lines = ended(command)[1].rstrip("\0").split("\0")
    seen = dict(line.split("=", 1) for line in lines)
    checkpoints = seen.pop("GPURUN_CHECKPOINT_DIR")
    assert seen.pop("GPURUN_LAUNCHER") == launcher
    assert checkpoints.endswith(f"/checkpoints/{submit.uuid}")
    assert seen == environment | {
        "MINE": "a b",
        "PYTHONHASHSEED": str(UUID(submit.uuid).int % 2**32),
        "CUDA_VISIBLE_DEVICES": "GPU-a,GPU-b",
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
        "GPURUN_JOB": "1",
        "GPURUN_SOCKET": coordinator.path,
        "GPURUN_TOKEN": "secret",
        "GPURUN_ATTEMPT": "2",
    }


def test_a_job_without_a_device_sees_none(
    start: Start, coordinator: CoordinatorDouble, environment: dict[str, str]
) -> None:
    """An empty CUDA_VISIBLE_DEVICES hides every device; an unset one would show them all."""
    for visible in ({}, {"CUDA_VISIBLE_DEVICES": "1, 3"}):
        words = ("--gpus", "0", "sh", "-c", "echo =${CUDA_VISIBLE_DEVICES-unset}=")
        command = start(*words, env=environment | visible)
        submit = coordinator.admit(devices=(), memory=0)
        coordinator.end()
        assert submit.spec.gpus == 0
        assert submit.spec.only == (("1", "3") if visible else None)
        assert ended(command)[1] == "==\n"


def test_the_checkpoint_folder_is_private_and_goes_when_nothing_lies_in_it(
    start: Start, coordinator: CoordinatorDouble
) -> None:
    command = start("sh", "-c", "stat -c %a $GPURUN_CHECKPOINT_DIR; echo $GPURUN_CHECKPOINT_DIR")
    coordinator.admit()
    coordinator.end()
    mode, folder = ended(command)[1].split()
    assert mode == "700"
    assert not os.path.exists(folder)
    assert os.path.isdir(os.path.dirname(folder))


@pytest.mark.parametrize(("code", "left"), [(0, []), (3, ["x"])])
def test_checkpoints_go_with_a_job_that_has_finished_and_outlive_one_that_has_failed(
    start: Start,
    coordinator: CoordinatorDouble,
    environment: dict[str, str],
    code: int,
    left: list[str],
) -> None:
    command = start("sh", "-c", f"touch $GPURUN_CHECKPOINT_DIR/x; exit {code}")
    submit = coordinator.admit()
    coordinator.end()
    assert ended(command)[0] == code
    assert checkpoints(environment, submit) == left


def test_checkpoints_outlive_a_cancelled_job_whatever_its_exit_code(
    start: Start, coordinator: CoordinatorDouble, environment: dict[str, str]
) -> None:
    """One that saves at SIGTERM ends with 0, and its owner may want to go on from there."""
    script = "trap 'exit 0' TERM; touch $GPURUN_CHECKPOINT_DIR/x; echo go; while :; do read x; done"
    command = start("sh", "-c", script)
    submit = coordinator.admit()
    assert command.stdout
    assert command.stdout.readline() == "go\n"
    coordinator.send(Terminate(job=1, grace=10.0))
    assert coordinator.end().code == 0
    ended(command)
    assert checkpoints(environment, submit) == ["x"]


def checkpoints(environment: dict[str, str], submit: Submit) -> list[str]:
    """What lies in the job's folder, empty where there is none."""
    folder = f"{environment['GPURUN_STATE_DIR']}/{os.uname().nodename}/checkpoints/{submit.uuid}"
    return os.listdir(folder) if os.path.exists(folder) else []


def test_what_is_spawned_is_named_by_pid_and_start_time(
    start: Start, coordinator: CoordinatorDouble
) -> None:
    command = start("sh", "-c", "echo $$; cut -d' ' -f22 /proc/$$/stat")
    coordinator.admit(attempt=4)
    spawned = coordinator.expect(Spawned)
    coordinator.end()
    assert ended(command)[1] == f"{spawned.pid}\n{spawned.start_time}\n"
    assert (spawned.job, spawned.attempt) == (1, 4)


def test_a_lease_that_has_run_out_is_not_used(
    start: Start, coordinator: CoordinatorDouble, folder: str
) -> None:
    command = start("touch", "spawned")
    coordinator.admit(deadline=boottime(-0.01))
    assert coordinator.expect(AskAgain) == AskAgain(job=1, attempt=1)
    assert not os.path.exists(f"{folder}/spawned")
    coordinator.send(grant(attempt=2))
    assert coordinator.expect(Spawned).attempt == 2
    coordinator.end()
    assert ended(command)[0] == 0


def test_a_repeated_grant_of_a_running_attempt_spawns_nothing_new(
    start: Start, coordinator: CoordinatorDouble, folder: str
) -> None:
    command = start("sh", "-c", "echo x >> started; read line", stdin=-1)
    coordinator.admit()
    first = coordinator.expect(Spawned)
    coordinator.send(grant())
    assert coordinator.expect(Spawned) == first
    assert command.stdin
    command.stdin.write("\n")
    command.stdin.flush()
    coordinator.end()
    ended(command)
    with open(f"{folder}/started", encoding="utf-8") as file:
        assert file.read() == "x\n"


def test_a_process_that_outlives_its_job_is_reported_and_named(
    start: Start, coordinator: CoordinatorDouble, folder: str
) -> None:
    """Its parent is gone, so it has come to the launcher, which is its subreaper."""
    script = """
        (setsid sleep 60 </dev/null >/dev/null 2>&1 & echo $! > pid)
        until grep -q sleep /proc/$(cat pid)/comm; do :; done
    """
    command = start("sh", "-c", script)
    coordinator.admit()
    exited = coordinator.end()
    _, _, err = ended(command)
    with open(f"{folder}/pid", encoding="utf-8") as file:
        pid = int(file.read())
    os.kill(pid, 9)
    assert exited.survivors == (pid,)
    assert f"job 1 left processes behind: {pid} (sleep)" in err


def test_children_that_the_caller_had_before_are_no_part_of_the_job(
    start: Start, coordinator: CoordinatorDouble
) -> None:
    """`exec gpurun` in a shell makes the shell's children ours."""
    script = f"sleep 60 </dev/null >/dev/null 2>&1 & echo $!; exec {GPURUN} true"
    command = start("-c", script, program="sh")
    coordinator.admit()
    assert coordinator.end().survivors == ()
    os.kill(int(ended(command)[1]), 9)


def test_a_script_without_a_shebang_runs_as_in_a_shell(
    start: Start, coordinator: CoordinatorDouble, folder: str
) -> None:
    path = f"{folder}/plain"
    with open(path, "w", encoding="utf-8") as file:
        file.write("exit $1\n")
    os.chmod(path, stat.S_IRWXU)
    command = start("./plain", "9")
    coordinator.admit()
    assert coordinator.end().code == 9
    assert ended(command)[0] == 9


def test_a_program_that_cannot_be_started_after_all_ends_the_job_with_126(
    start: Start, coordinator: CoordinatorDouble, folder: str
) -> None:
    with open(f"{folder}/broken", "w", encoding="utf-8") as file:
        file.write("#!/no/such/interpreter\n")
    os.chmod(f"{folder}/broken", stat.S_IRWXU)
    command = start("./broken")
    coordinator.admit()
    failed = coordinator.expect(SpawnFailed)
    coordinator.send(Ended(job=1))
    code, _, err = ended(command)
    assert code == failed.code == 126
    assert err == (
        "gpurun: error: cannot start ./broken: "
        "its first line names an interpreter that is not there\n"
    )


def test_a_job_starts_with_the_signals_that_it_has_without_gpurun(
    start: Start, coordinator: CoordinatorDouble
) -> None:
    """Nothing more is blocked or ignored; Python, which the launcher is, ignores SIGPIPE."""
    words = ("grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status")
    bare = subprocess.run(words, capture_output=True, text=True).stdout
    command = start(*words)
    coordinator.admit()
    coordinator.end()
    assert masks(ended(command)[1]) == masks(bare)


def masks(status: str) -> list[int]:
    """Signal masks without 32 and 33, which are the C library's own."""
    return [int(line.split()[1], 16) & ~(0b11 << 31) for line in status.splitlines()]


def test_no_descriptor_of_the_launcher_reaches_the_job(
    start: Start, coordinator: CoordinatorDouble
) -> None:
    command = start("ls", "/proc/self/fd")
    coordinator.admit()
    coordinator.end()
    assert ended(command)[1].split() == ["0", "1", "2", "3"]  # 3 is the folder that ls reads


def test_the_end_is_spooled_when_nobody_confirms_it(
    start: Start, coordinator: CoordinatorDouble, environment: dict[str, str]
) -> None:
    command = start("sh", "-c", "exit 4")
    submit = coordinator.admit()
    exited = coordinator.expect(Exited)
    assert ended(command)[0] == 4
    folder = f"{environment['GPURUN_STATE_DIR']}/{os.uname().nodename}/ends"
    with open(f"{folder}/{submit.uuid}.json", "rb") as file:
        assert msgspec.json.decode(file.read(), type=Exited) == exited
    assert os.listdir(folder) == [f"{submit.uuid}.json"]


def test_a_submission_says_what_was_asked_for(
    start: Start, coordinator: CoordinatorDouble, folder: str
) -> None:
    options = "--priority=high --mem=6GiB --util=40% --gpus=2 --time=20min --pause=exit --name=mine"
    command = start(*options.split(), "true", "--mem", "\udcff", "-q")
    spec = coordinator.expect(Submit).spec
    assert (spec.priority, spec.memory, spec.memory_share, spec.utilization) == (
        50,
        6 * 1024**3,
        None,
        0.4,
    )
    assert (spec.gpus, spec.time, spec.pause, spec.name) == (2, 1200.0, "exit", "mine")
    assert spec.command == ("true", "--mem", "�", "-q")
    assert (spec.cwd, spec.only, spec.pid) == (folder, None, command.pid)


@pytest.mark.parametrize(
    ("stdin", "reason"), [("null", ""), ("file", ""), ("pipe", "its stdin is a pipe")]
)
def test_a_command_that_eats_a_pipe_cannot_be_run_again(
    start: Start, coordinator: CoordinatorDouble, folder: str, stdin: str, reason: str
) -> None:
    with open(f"{folder}/input", "w+", encoding="utf-8") as file:
        start("true", stdin={"null": -3, "pipe": -1, "file": file}[stdin])
        assert coordinator.expect(Submit).spec.no_respawn == reason


def test_a_command_line_of_megabytes_is_shown_cut(
    start: Start, coordinator: CoordinatorDouble
) -> None:
    start("true", *["x" * 1000] * 1500)
    command = coordinator.expect(Submit).spec.command
    assert command[-1] == "…"
    assert sum(map(len, command)) < 20_000


@pytest.mark.parametrize(
    ("said", "devices"), [(None, "nvml"), ("", "nvml"), ("sim:24GiB", "sim:24GiB")]
)
def test_a_job_is_for_real_devices_unless_others_are_named(
    start: Start,
    coordinator: CoordinatorDouble,
    environment: dict[str, str],
    said: str | None,
    devices: str,
) -> None:
    """A training must not land on the simulated device of a coordinator that happens to run."""
    start("true", env=environment | ({} if said is None else {"GPURUN_DEVICES": said}))
    coordinator.expect(Submit)
    assert isinstance(hello := coordinator.heard[0], Hello)
    assert hello.devices == devices


@pytest.mark.parametrize("quiet", [False, True])
def test_a_refusal_is_said_once_beside_a_running_job_and_not_to_who_wants_quiet(
    start: Start, coordinator: CoordinatorDouble, quiet: bool
) -> None:
    """A coordinator of another version refuses each new connection."""
    command = start(*["-q"][: int(quiet)], "sh", "-c", "read line", stdin=-1)
    coordinator.admit()
    coordinator.expect(Spawned)
    coordinator.send(Problem(text="other devices"), Problem(text="other version"))
    coordinator.send(Problem(text="other devices"), grant())  # answered when all were read
    coordinator.expect(Spawned)
    assert command.stdin
    command.stdin.write("\n")
    command.stdin.flush()
    coordinator.end()
    errors = [line for line in ended(command)[2].splitlines() if "error" in line]
    both = ["gpurun: error: other devices", "gpurun: error: other version"]
    assert errors == ([] if quiet else both)


def test_a_limit_is_handed_on_to_the_sdk(start: Start, coordinator: CoordinatorDouble) -> None:
    """`[limits] enforce`; bytes of each device."""
    command = start("-q", "sh", "-c", "echo $GPURUN_MEMORY_LIMIT")
    coordinator.admit(limit=6 << 30)
    coordinator.end()
    assert ended(command)[1] == f"{6 << 30}\n"
