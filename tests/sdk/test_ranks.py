"""All ranks of a training stop at the same turn, whichever of them is asked, and come back."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from tests.sdk import coordinator_double
from tests.sdk.coordinator_double import JOB, Coordinator

from gpurun.protocol import messages as m
from gpurun.sdk.ranks import Ranks, is_alive

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
STEPS = 40


def free_port() -> int:
    """A port that nobody has at this instant."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def ranks(
    world: int, speaker: int, steps: int = STEPS, **environment: str
) -> Iterator["subprocess.Popen[str]"]:
    """So many processes of one training, and the one that has started them."""
    words = [str(word) for word in (world, steps, speaker)]
    address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.sdk.ranks_script", *words],
        cwd=ROOT,
        env={**os.environ, **address, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        end(process)
        process.communicate()


def end(process: "subprocess.Popen[str]") -> None:
    """Kill it with all its ranks."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def digests(said: str) -> dict[str, str]:
    """The last digest that each rank has printed."""
    return dict(line.split() for line in said.splitlines())


@pytest.mark.parametrize(("world", "speaker"), [pytest.param(2, 1, marks=pytest.mark.long), (4, 2)])
def test_pitfall_01_ranks_that_dawdle_stop_at_one_step_and_end_the_same(
    world: int, speaker: int, coordinator: Coordinator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every rank's part of the checkpoint is of one step; each ends as if never interrupted."""
    monkeypatch.setattr(coordinator_double, "PATIENCE", 60.0)  # they start slowly
    with ranks(world, speaker) as running:
        coordinator.wait_for(m.Attach)
        coordinator.pause(1)
        durable = coordinator.wait_for(m.Durable)
        assert running.poll() is None
        end(running)
        undisturbed = digests(running.communicate()[0])
    assert 0 < durable.step < STEPS
    parts = [f"{durable.checkpoint}/rank-{rank}/run.pt" for rank in range(world)]
    steps = [torch.load(part, weights_only=True)["step"] for part in parts]
    assert steps == [durable.step] * world
    with ranks(world, speaker, GPURUN_RESUME=durable.checkpoint) as running:
        said, errors = running.communicate(timeout=60)
    assert digests(said) == undisturbed, errors
    assert len(undisturbed) == world
    assert coordinator.wait_for(m.Resumed).step == durable.step
    assert len(coordinator.peers) == 2, "more than one rank has a link"


def test_ranks_stand_and_park_together_and_what_one_cannot_do_none_does(
    coordinator: Coordinator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are asked three times, and end as if they never had been."""
    monkeypatch.setattr(coordinator_double, "PATIENCE", 60.0)

    def go_on_and_ask(request: int, how: str) -> None:
        coordinator.say(m.GoOn(job=JOB, request=request))
        coordinator.pause(request + 1, how=how)

    coordinator.on(m.Standing, lambda heard: go_on_and_ask(heard.request, "park"))
    coordinator.on(m.Durable, lambda heard: go_on_and_ask(heard.request, "exit"))
    with ranks(2, 0, 400, FULL_DISK_OF="1") as running:
        coordinator.wait_for(m.Attach)
        coordinator.pause(1, how="stand")
        refused = coordinator.wait_for(m.Refused)
        out, errors = running.communicate(timeout=60)
    assert refused.request == 3
    assert refused.text.startswith("rank 1: [Errno 28] No space left on device")
    (durable,) = coordinator.of(m.Durable)
    (released,) = coordinator.of(m.Released)
    assert (released.request, durable.request) == (2, 2)
    assert sorted(os.listdir(durable.checkpoint))[1:3] == ["rank-0", "rank-1"]
    said = [line.split() for line in out.splitlines()]
    assert len(said) == 4, errors
    assert len({digest for rank, digest in said if rank == "0"}) == 1
    assert len({digest for rank, digest in said if rank == "1"}) == 1


def test_nobody_stops_before_a_target_is_agreed(folder: str) -> None:
    """Also not at turn 0, which is what the board says of a target that nobody has set."""
    first, second = (Ranks(folder, rank, 2, 1) for rank in range(2))
    assert not first.stops_at(0, asked=True)
    assert not second.stops_at(0)
    assert first.stops_at(1, asked=True)
    assert second.stops_at(1)
    first.leave()
    second.leave()


def test_what_an_earlier_attempt_has_left_on_the_board_does_not_count(folder: str) -> None:
    """Also where only some of its ranks had come, and whoever is the first now has the link."""
    for number in (0, 1):
        Ranks(folder, number, 3, life=1).stops_at(0, asked=True)
    ranks = [Ranks(folder, number, 3, life=2) for number in (2, 0, 1)]
    assert [rank.speaks for rank in ranks] == [True, False, False]
    assert not ranks[0].posted()
    assert all(ranks[0]._lives(number) for number in range(3))


def test_a_rank_that_nobody_has_waited_for_does_not_live() -> None:
    """Its parent may join the others first."""
    process = subprocess.Popen(["true"])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert not is_alive(process.pid)
    process.wait()
    assert not is_alive(process.pid)
    assert is_alive(os.getpid())
