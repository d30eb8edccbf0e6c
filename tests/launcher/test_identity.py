"""By what a program is recognised: the same command again, wherever it is written from."""

import os
from pathlib import Path

import pytest

from gpurun.launcher.identity import LONGEST, identify
from gpurun.launcher.program import Program, find_program
from gpurun.protocol.job import ProgramId


def told(*words: str) -> ProgramId:
    found = identify(words, find_program(words, os.environ), os.getcwd())
    assert found is not None
    return found


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    script = tmp_path / "train.py"
    script.write_text("print(1)\n")
    return script


def test_a_script_is_recognised_by_any_path_to_it(script: Path) -> None:
    (script.parent / "link.py").symlink_to(script)
    assert told("train.py", "--lr", "1") == told(str(script), "--lr", "1")
    assert told("./train.py") == told("link.py")


def test_a_script_is_the_same_program_with_its_interpreter_named(script: Path) -> None:
    named = told("python", "train.py", "-x")
    assert named == told("train.py", "-x")
    assert (named.path, named.arguments) == (str(script), ("-x",))
    assert os.path.basename(named.interpreter) == "python"


def test_words_before_the_script_are_arguments_too(script: Path) -> None:
    assert told("python", "-O", "train.py", "-x").arguments == ("-O", "-x")


def test_an_edit_changes_the_digest_alone(script: Path) -> None:
    before = told("train.py")
    script.write_text("print(2)\n")
    after = told("train.py")
    assert before.digest != after.digest
    assert (before.path, before.interpreter) == (after.path, after.interpreter)


def test_an_executable_belongs_to_its_folder(script: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`make train` is another program in another folder."""
    here = told("sh", "-c", "exit 0")
    assert here.path == os.path.realpath(find_program(("sh",), os.environ).path)
    assert (here.interpreter, here.digest) == ("", "")
    monkeypatch.chdir("/")
    assert told("sh", "-c", "exit 0") != here


def test_a_script_that_cannot_be_read_has_no_digest(script: Path) -> None:
    assert told("python", "missing.py").digest == ""


@pytest.mark.parametrize("word", ["x" * (LONGEST + 1), "\udcff"])
def test_what_cannot_be_compared_or_said_is_never_recognised(word: str) -> None:
    assert identify(("sh", word), Program("/bin/sh", ("sh", word)), "/") is None
