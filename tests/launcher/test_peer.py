"""The socket's other end is asked for by the kernel's word before anything is said to it."""

import os
import socket

import pytest
from tests.launcher.conftest import Start, ended

NOBODY = 65534


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be somebody else")
def test_another_users_socket_is_refused(
    start: Start, folder: str, environment: dict[str, str]
) -> None:
    """It may lie in a shared temp folder, put there to read command lines."""
    path = f"{folder}/run/coordinator.sock"
    os.mkdir(f"{folder}/run")
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(path)
        os.seteuid(NOBODY)  # the kernel notes who listens
        try:
            other.listen()
        finally:
            os.seteuid(0)
        for words in (["true"], ["status"], ["coordinator", "stop"]):
            assert ended(start(*words)) == (
                125,
                "",
                f"gpurun: error: the socket {path} belongs to user {NOBODY}; "
                "set GPURUN_RUNTIME_DIR to a folder of your own\n",
            )


def test_a_socket_that_cannot_be_reached_says_so(start: Start, folder: str) -> None:
    with open(f"{folder}/run", "w", encoding="utf-8"):
        code, _, err = ended(start("true"))
    assert code == 125
    assert err.startswith(f"gpurun: error: cannot reach the coordinator at {folder}/run/")
    assert err.endswith("; set GPURUN_RUNTIME_DIR to a folder of your own\n")


def test_a_socket_that_nobody_listens_on_any_more_is_as_none(
    start: Start, environment: dict[str, str]
) -> None:
    """A coordinator that was killed leaves it behind."""
    os.mkdir(environment["GPURUN_RUNTIME_DIR"])
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(f"{environment['GPURUN_RUNTIME_DIR']}/coordinator.sock")
    command = start("coordinator", "status")
    assert ended(command) == (1, "no coordinator runs\n", "")
