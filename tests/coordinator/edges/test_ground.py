"""What a coordinator stands on: folders that are its own, one lock, enough descriptors."""

import fcntl
import os
import resource
import subprocess
import sys
from collections.abc import Iterator

import pytest
from tests.coordinator.edges.parts import DEADLINE

from gpurun.coordinator.ground import GroundError, TakenError, prepare
from gpurun.protocol.paths import Paths

NOBODY = 65534
root = pytest.mark.skipif(os.getuid() != 0, reason="only root can give a folder away")


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """`prepare` changes the process; the tests after this one are not to notice."""
    mask = os.umask(0o022)
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, limit)
    os.umask(mask)


def places(folder: str, runtime: str = "r", state: str = "s") -> Paths:
    return Paths(f"{folder}/{runtime}", f"{folder}/{state}", f"{folder}/config.toml")


def problem(paths: Paths, kind: type[GroundError] = GroundError) -> str:
    """The one line with which it refuses."""
    with pytest.raises(kind) as error:
        prepare(paths)
    text = str(error.value)
    assert type(error.value) is kind
    assert len(text.splitlines()) == 1
    return text


def release(locks: tuple[int, int]) -> None:
    for lock in locks:
        os.close(lock)


def test_what_it_makes_nobody_else_may_read(folder: str) -> None:
    paths = places(folder)
    release(prepare(paths))
    for path in (paths.runtime, paths.state):
        assert os.stat(path).st_mode & 0o777 == 0o700
    assert os.stat(paths.lock).st_mode & 0o777 == 0o600
    assert os.umask(0o077) == 0o077


def test_it_has_as_many_descriptors_as_the_system_gives(folder: str) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
    release(prepare(places(folder)))
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)


def test_the_lock_is_held_until_its_descriptor_is_closed_and_names_the_holder(folder: str) -> None:
    paths = places(folder)
    locks = prepare(paths)
    assert f"(pid {os.getpid()})" in problem(paths, TakenError)
    release(locks)
    release(prepare(paths))


def test_two_runtime_folders_never_share_a_database(
    folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shell with XDG_RUNTIME_DIR and one without (cron, sudo) have two of them."""
    monkeypatch.setattr("gpurun.coordinator.ground._HANDOVER", 0.1)
    locks = prepare(places(folder))
    other = places(folder, runtime="other")
    assert f"another coordinator (pid {os.getpid()}) uses {other.state}" in problem(other)
    release(locks)
    release(prepare(other))


def test_a_lock_is_not_inherited_by_programs(folder: str) -> None:
    locks = prepare(places(folder))
    assert not any(os.get_inheritable(lock) for lock in locks)
    release(locks)


def test_what_an_older_holder_wrote_is_gone(folder: str) -> None:
    paths = places(folder)
    os.makedirs(paths.runtime, mode=0o700)
    with open(paths.lock, "w", encoding="ascii") as file:
        file.write("99999999999999\nmore")
    locks = prepare(paths)
    with open(paths.lock, encoding="ascii") as file:
        assert file.read() == f"{os.getpid()}\n"
    release(locks)


def test_a_lock_that_cannot_be_opened_is_named(folder: str) -> None:
    paths = places(folder)
    os.makedirs(paths.lock, mode=0o700)
    os.chmod(paths.runtime, 0o700)
    assert paths.lock in problem(paths)


@pytest.mark.parametrize("which", ["runtime", "state"])
def test_a_file_in_the_place_of_a_folder_is_named_with_the_way_out(folder: str, which: str) -> None:
    paths = places(folder)
    path = getattr(paths, which)
    with open(path, "w", encoding="ascii"):
        pass
    text = problem(paths)
    assert path in text
    assert f"set GPURUN_{which.upper()}_DIR to another folder" in text


def test_a_folder_that_cannot_be_made_is_named(folder: str) -> None:
    assert "/proc/none" in problem(places(folder, runtime="../../proc/none"))


def test_a_link_in_the_place_of_the_runtime_folder_is_refused(folder: str) -> None:
    """Whoever made it could turn it elsewhere later."""
    os.makedirs(f"{folder}/real", mode=0o700)
    os.symlink(f"{folder}/real", f"{folder}/r")
    assert "is not a folder" in problem(places(folder))


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o1777])
def test_a_runtime_folder_in_which_others_may_write_is_refused(folder: str, mode: int) -> None:
    paths = places(folder)
    os.mkdir(paths.runtime)
    os.chmod(paths.runtime, mode)
    assert "chmod 700" in problem(paths)


@root
def test_a_runtime_folder_of_somebody_else_is_refused(folder: str) -> None:
    paths = places(folder)
    os.mkdir(paths.runtime, mode=0o700)
    os.chown(paths.runtime, NOBODY, NOBODY)
    assert "set GPURUN_RUNTIME_DIR" in problem(paths)


@root
def test_a_folder_that_may_not_be_written_is_named_to_its_user(folder: str) -> None:
    """In a process of that user: root may write everywhere."""
    os.chmod(folder, 0o711)  # noqa: S103
    os.mkdir(f"{folder}/r", mode=0o555)
    os.chown(f"{folder}/r", NOBODY, NOBODY)
    program = (
        "import os, sys\n"
        "from gpurun.coordinator.ground import GroundError, prepare\n"
        "from gpurun.protocol.paths import Paths\n"
        f"os.setgid({NOBODY}); os.setuid({NOBODY})\n"
        "try:\n prepare(Paths(sys.argv[1] + '/r', sys.argv[1] + '/s', ''))\n"
        "except GroundError as error:\n print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, folder], capture_output=True, text=True, timeout=DEADLINE
    )
    assert done.stdout.startswith(f"the folder {folder}/r cannot be written"), done.stderr


def test_a_lock_taken_by_another_process_is_taken(folder: str) -> None:
    paths = places(folder)
    os.makedirs(paths.runtime, mode=0o700)
    with open(paths.lock, "w", encoding="ascii") as file:
        file.write("4711\n")
        file.flush()
        fcntl.flock(file, fcntl.LOCK_EX)
        assert "(pid 4711)" in problem(paths, TakenError)
