"""The whole of a pause by exit: a real process is killed while it rests, and started again."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from tests.sdk.coordinator_double import Coordinator
from tests.sdk.saved import load, save
from tests.sdk.trainings import Tiny

from gpurun import sdk
from gpurun.protocol import messages as m
from gpurun.sdk import state

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
STEPS = 1500


@contextmanager
def script(**environment: str) -> Iterator["subprocess.Popen[str]"]:
    """The training, in a process of its own that does not outlive the test."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.sdk.pausable_script", str(STEPS)],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_pitfall_06_killed_while_it_rests_and_started_again_it_ends_the_same(
    coordinator: Coordinator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No line behind the training runs before it is done, and then the digest is the same."""
    with script() as process:
        coordinator.wait_for(m.Attach)
        coordinator.pause(1)
        durable = coordinator.wait_for(m.Durable)
        assert process.poll() is None
        process.kill()
        assert process.communicate(timeout=60) == ("", "")
    assert 0 < durable.step < STEPS
    with script(GPURUN_RESUME=durable.checkpoint) as process:
        output, errors = process.communicate(timeout=60)
    assert coordinator.wait_for(m.Resumed).step == durable.step
    monkeypatch.delenv("GPURUN_JOB")
    assert (output, errors) == (f"digest {sdk.run(Tiny, steps=STEPS).digest}\n", "")


def test_a_damaged_checkpoint_gives_way_to_the_one_before_and_is_named(
    folder: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line on stderr, and the step of the older one."""
    trainable = Tiny()
    trainable.setup({})
    state.remember(trainable)
    older, newest = (save(trainable, folder, step).path for step in (4, 8))
    os.truncate(f"{newest}/rank-0/run.pt", 10)
    assert load(trainable, newest) == 4
    assert capsys.readouterr().err == f"gpurun: {newest} is damaged; going on from {older}\n"


def test_no_checkpoint_left_is_one_line_and_125(
    under_gpurun: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Nothing is trained from the start in place of what was to go on."""
    monkeypatch.setenv("GPURUN_RESUME", f"{under_gpurun['GPURUN_CHECKPOINT_DIR']}/000001-step-5")
    with pytest.raises(SystemExit) as ended:
        sdk.run(Tiny, steps=10)
    assert ended.value.code == 125
    errors = capsys.readouterr().err
    assert errors.startswith("gpurun: error: no complete checkpoint is left in ")
    assert errors.count("\n") == 1
