"""The ranks of Lightning's DDP stop at one batch and go on from it."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from tests.sdk import coordinator_double
from tests.sdk.coordinator_double import Coordinator

from gpurun.protocol import messages as m

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))


@contextmanager
def script(go: str, **environment: str) -> Iterator["subprocess.Popen[str]"]:
    """The training, with the rank that it starts; neither outlives the test."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.sdk.lightning.ranks_script", go],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def digests(process: "subprocess.Popen[str]") -> list[str]:
    """What its ranks print at the end."""
    output, errors = process.communicate(timeout=100)
    assert process.returncode == 0, errors
    return sorted(line for line in output.splitlines() if line.startswith("rank "))


@pytest.mark.long
def test_both_ranks_stop_at_one_batch_and_end_as_if_they_had_not(
    folder: str, coordinator: Coordinator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each rank has a part of the checkpoint: the random states and the data are its own.

    Only every third batch ends with a step of the optimizer: there alone they may stop.
    """
    monkeypatch.setattr(coordinator_double, "PATIENCE", 60.0)  # they start slowly
    go = f"{folder}/go"
    with script(go) as running:
        coordinator.wait_for(m.Attach)
        coordinator.pause(1)
        durable = coordinator.wait_for(m.Durable)
        assert len(coordinator.of(m.Attach)) == 1
        assert running.poll() is None
    assert {"rank-0", "rank-1"} <= {*os.listdir(durable.checkpoint)}
    with open(go, "wb"):
        pass
    with (
        script(go, GPURUN_RESUME=durable.checkpoint) as resumed,
        script(go, GPURUN_JOB="") as undisturbed,
    ):
        said = digests(resumed)
        assert len(said) == 2
        assert digests(undisturbed) == said
    assert coordinator.wait_for(m.Resumed).step == durable.step
