"""The folders are the contract's, and both sides find the same ones."""

import pytest

from gpurun.protocol.paths import SOCKET_PATH_LIMIT, Paths


def paths(**environment: str) -> Paths:
    return Paths.of(environment, uid=1000, hostname="box", home="/home/ada")


def test_with_no_environment_the_folders_are_private_ones_of_the_user() -> None:
    found = paths()
    assert found.runtime == "/tmp/gpurun-1000"  # noqa: S108
    assert found.state == "/home/ada/.local/state/gpurun/box"
    assert found.config == "/home/ada/.config/gpurun/config.toml"


def test_the_temporary_folder_is_the_users_own_where_there_is_one() -> None:
    assert paths(TMPDIR="/scratch/ada").runtime == "/scratch/ada/gpurun-1000"


def test_xdg_folders_come_before_the_defaults() -> None:
    found = paths(XDG_RUNTIME_DIR="/run/1", XDG_STATE_HOME="/s", XDG_CONFIG_HOME="/c")
    assert found.runtime == "/run/1/gpurun"
    assert found.state == "/s/gpurun/box"
    assert found.config == "/c/gpurun/config.toml"


def test_gpuruns_own_variables_come_before_all() -> None:
    found = paths(
        GPURUN_RUNTIME_DIR="/r",
        GPURUN_STATE_DIR="/state",
        GPURUN_CONFIG="/my.toml",
        XDG_RUNTIME_DIR="/run/1",
        XDG_STATE_HOME="/s",
        XDG_CONFIG_HOME="/c",
    )
    assert (found.runtime, found.state, found.config) == ("/r", "/state/box", "/my.toml")


def test_an_empty_variable_is_none() -> None:
    empty = dict.fromkeys(("GPURUN_RUNTIME_DIR", "GPURUN_STATE_DIR", "GPURUN_CONFIG", "TMPDIR"), "")
    assert paths(**empty, XDG_RUNTIME_DIR="", XDG_STATE_HOME="", XDG_CONFIG_HOME="") == paths()


def test_a_relative_xdg_folder_is_ignored_as_the_specification_asks() -> None:
    assert paths(XDG_RUNTIME_DIR="run", XDG_STATE_HOME="s", XDG_CONFIG_HOME="./c") == paths()


@pytest.mark.parametrize("name", ["GPURUN_RUNTIME_DIR", "GPURUN_STATE_DIR", "GPURUN_CONFIG"])
def test_a_relative_folder_would_be_another_for_each_program_and_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name}=here is not an absolute path"):
        paths(**{name: "here"})


def test_everything_lies_in_its_folder() -> None:
    found = paths(GPURUN_RUNTIME_DIR="/r", GPURUN_STATE_DIR="/s")
    assert found.socket == "/r/coordinator.sock"
    assert found.endpoint == "ipc:///r/coordinator.sock"
    assert found.lock == "/r/coordinator.lock"
    assert found.simulation == "/r/simulation.json"
    assert found.database == "/s/box/jobs.sqlite"
    assert found.log == "/s/box/coordinator.log"
    assert found.spool == "/s/box/ends"
    assert found.checkpoints("1234") == "/s/box/checkpoints/1234"
    assert found.order("1234") == "/s/box/orders/1234"


@pytest.mark.parametrize("letter", ["x", "é"], ids=["ascii", "utf-8"])
def test_the_socket_path_is_counted_in_bytes_and_may_have_107(letter: str) -> None:
    """sun_path holds 108 bytes with its closing zero."""
    room = SOCKET_PATH_LIMIT - len("/a/coordinator.sock")
    letters, rest = divmod(room, len(letter.encode()))
    fits = "/a" + "y" * rest + letter * letters
    assert len(paths(GPURUN_RUNTIME_DIR=fits).socket.encode()) == 107
    with pytest.raises(ValueError, match="has 108 bytes and the system allows 107") as error:
        paths(GPURUN_RUNTIME_DIR=fits + "y")
    assert "set GPURUN_RUNTIME_DIR to a shorter folder" in str(error.value)


def test_a_path_that_is_not_utf8_is_counted_as_the_system_has_it() -> None:
    assert paths(GPURUN_RUNTIME_DIR="/\udcff").socket == "/\udcff/coordinator.sock"
