"""Bad input gets one clear line and the exit code of the contract; never a traceback."""

import os
import socket
import threading
from collections.abc import Iterator

import pytest
import zmq
from tests.e2e.conftest import MakeMachine
from tests.e2e.machine import Machine, one_error

DRIVER = "/proc/driver/nvidia/version"
NOT_A_FOLDER = "/dev/null/gpurun"
"""Root, too, cannot write there."""
OLD_ZEROMQ = b"\x01\x00" + b"\x05\x00word"
"""A greeting and a message of ZMTP 1: with it comes no word of the kernel for who speaks."""


@pytest.mark.parametrize(
    ("command", "code", "words"),
    [
        ("pause 99", 2, "there is no job 99; gpurun status lists the jobs"),
        ("resume nobody", 2, "there is no job named 'nobody'; gpurun status lists the jobs"),
        ("cancel 99", 2, "there is no job 99; gpurun status lists the jobs"),
        ("why 99", 2, "there is no job 99"),
        ("--mem 6GiBs true", 2, "is not a size like 6GiB, 6G or 6144MiB"),
        ("--mem 101% true", 2, "is not a percentage from 1 to 100"),
        ("--util 0 true", 2, "is not a percentage from 1 to 100"),
        ("--priority urgent true", 2, "is not low, normal, high or a number from -100 to 100"),
        ("--time soon true", 2, "is not a duration like 90s, 10min or 1.5h"),
        ("--gpus 2 true", 2, "--gpus 2 is more than this machine has (1); ask for fewer"),
        ("--mem 25GiB true", 2, "25.0 GiB"),
        ("--nonsense true", 2, "--nonsense"),
        ("--", 2, "no command to run"),
        ("nothere.py", 127, "there is no script nothere.py; check its path"),
        ("nothere", 127, "there is no command nothere; check the name and your PATH"),
        ("./nothere", 127, "there is no command ./nothere"),
        ("./config.toml", 126, "./config.toml is not executable; chmod +x it"),
        ("sim load --mem 25GiB --seconds 1", 1, "out of memory on device 0"),
    ],
)
def test_a_wrong_command_line(machine: Machine, command: str, code: int, words: str) -> None:
    done = machine.run(*command.split())
    assert (done.returncode, done.stdout) == (code, "")
    assert words in one_error(done.stderr)


@pytest.mark.parametrize(
    ("variable", "value", "code", "words"),
    [
        ("GPURUN_RUNTIME_DIR", NOT_A_FOLDER, 125, "GPURUN_RUNTIME_DIR to "),
        ("GPURUN_STATE_DIR", NOT_A_FOLDER, 125, "GPURUN_STATE_DIR to another folder"),
        ("GPURUN_RUNTIME_DIR", "/" + "long" * 25, 2, "set GPURUN_RUNTIME_DIR to a shorter"),
        ("GPURUN_RUNTIME_DIR", "run", 2, "is not an absolute path; begin it with /"),
        ("GPURUN_DEVICES", "sim:24", 125, "use nvml, or a simulated device like sim:24GiB"),
        ("GPURUN_DEVICES", "cuda", 125, "use nvml, or a simulated device like sim:24GiB"),
    ],
)
@pytest.mark.parametrize("command", ["true", "status"])
def test_a_wrong_environment(
    machine: Machine, command: str, variable: str, value: str, code: int, words: str
) -> None:
    refused = machine.start(command, **{variable: value})
    assert (refused.end(), refused.out) == (code, [])
    assert words in one_error(refused.said)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ("[limits]\nmemroy = 0.8\n", "[limits] memroy is not known; did you mean memory?"),
        ("[limits]\nmemory = 80\n", "must be a share over 0 and up to 1, like 0.9"),
        ("[limits\n", "is not TOML"),
    ],
)
def test_a_wrong_configuration(make_machine: MakeMachine, config: str, words: str) -> None:
    done = make_machine(config=config).run("true")
    assert (done.returncode, done.stdout) == (125, "")
    assert words in one_error(done.stderr)


@pytest.mark.skipif(os.path.exists(DRIVER), reason="this machine has an NVIDIA driver")
def test_no_nvidia_driver_is_said_with_the_way_to_try_a_simulated_device(
    make_machine: MakeMachine,
) -> None:
    done = make_machine(devices="nvml").run("--mem=1GiB", "--", "true")
    assert done.returncode == 125
    assert "GPURUN_DEVICES=sim:24GiB" in one_error(done.stderr)


def test_another_distribution_named_gpurun(machine: Machine) -> None:
    """Its package is what `import gpurun` finds, so nothing of ours can be used."""
    other = machine.write_script("other/gpurun/__init__.py", "")
    path = f"{machine.folder}/other:{machine.environment['PYTHONPATH']}"
    done = machine.run("true", PYTHONPATH=path)
    assert (done.returncode, done.stdout) == (125, "")
    error = one_error(done.stderr)
    assert f"another distribution named gpurun ({other}) shadows gpurun-scheduler" in error
    assert "pip uninstall gpurun" in error


def test_garbage_on_the_socket_does_not_disturb_the_coordinator(machine: Machine) -> None:
    """Neither bytes that are not ZeroMQ's, nor frames that are not messages."""
    job = machine.start_gated()
    pid = machine.coordinator
    for garbage in (OLD_ZEROMQ, os.urandom(4096)):
        with socket.socket(socket.AF_UNIX) as raw:
            raw.connect(f"{machine.runtime}/coordinator.sock")
            raw.sendall(garbage)
    with zmq.Context() as context, context.socket(zmq.DEALER) as dealer:
        dealer.linger = 0
        dealer.connect(f"ipc://{machine.runtime}/coordinator.sock")
        for frames in ([b""], [os.urandom(100)], [b"a", b"b"], [b"\xc1" * 1000]):
            dealer.send_multipart(frames)
        assert dealer.poll(5000)  # it says what is wrong with them
    assert [one["state"] for one in machine.status()["jobs"]] == ["running"]
    assert machine.coordinator == pid
    machine.open_gate()
    assert job.end() == 0


@pytest.fixture
def babbler(machine: Machine) -> Iterator[None]:
    """Something else that listens on the coordinator's socket, and answers with garbage."""
    os.makedirs(machine.runtime, mode=0o700)
    context = zmq.Context()
    router = context.socket(zmq.ROUTER)
    router.bind(f"ipc://{machine.runtime}/coordinator.sock")
    stop = threading.Event()

    def babble() -> None:
        while not stop.is_set():
            if router.poll(50):
                peer, *_ = router.recv_multipart()
                router.send_multipart([peer, b"\x00garbage\n\x1b[31m"])

    thread = threading.Thread(target=babble)
    thread.start()
    yield
    stop.set()
    thread.join()
    context.destroy(linger=0)


@pytest.mark.usefixtures("babbler")
@pytest.mark.parametrize("command", ["true", "status"])
def test_a_coordinator_that_answers_with_garbage(machine: Machine, command: str) -> None:
    done = machine.run(command)
    assert (done.returncode, done.stdout) == (125, "")
    assert "not a message of this protocol" in one_error(done.stderr)
