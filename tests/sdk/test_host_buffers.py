"""The host memory of a training's pauses: taken once, used again, and never while it is read.

The CPU stands for the device.
"""

import os
import threading
from collections.abc import Callable
from typing import Any

import pytest
import torch
from tests.sdk.asking import asks_before
from tests.sdk.coordinator_double import JOB, Coordinator
from tests.sdk.saved import load
from tests.sdk.trainings import Tiny

from gpurun import sdk
from gpurun.protocol import messages as m
from gpurun.sdk import checkpoint, device_memory, say
from gpurun.sdk.host_buffers import HostBuffers
from gpurun.sdk.link import Link
from gpurun.sdk.parking import Parking
from gpurun.sdk.saver import Saver

STEPS = 9
PINNED = "parking through memory that could not be pinned, which is slower: CUDA error 2"


pytestmark = pytest.mark.usefixtures("releases")


def parked(buffers: HostBuffers, *tensors: torch.Tensor) -> list[int]:
    """Park and return; the addresses of the copies."""
    parking = Parking(buffers)
    parking.copy({"tensors": tensors})
    addresses = [parking.host(tensor).data_ptr() for tensor in tensors]
    parking.empty()
    parking.fill()
    return addresses


def test_each_pause_uses_the_memory_of_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """No more is asked for, however little there is left by then."""
    buffers = HostBuffers()
    tensors = torch.arange(5.0), torch.arange(1000.0), torch.zeros(3, 3)
    first = parked(buffers, *tensors)
    monkeypatch.setattr(device_memory, "host_free", lambda: 0)
    for _ in range(20):
        assert parked(buffers, *tensors) == first
    assert torch.equal(tensors[1], torch.arange(1000.0))


def test_a_state_that_has_grown_takes_only_what_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Such as by the moments of an optimizer that had made no step."""
    buffers = HostBuffers()
    parked(buffers, torch.zeros(1000))
    monkeypatch.setattr(device_memory, "host_free", lambda: 4032)
    grown = torch.arange(1000.0), torch.arange(1000.0)
    parked(buffers, *grown)
    assert torch.equal(grown[1], torch.arange(1000.0))


@pytest.mark.parametrize("closes", [True, False])
def test_one_memory_for_all_and_pinned_once(closes: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is rounded up but to the next 64 bytes; the end lets go of it, once."""
    calls: list[tuple[str, int]] = []

    def pin(address: int, size: int) -> str:
        calls.append(("pin", size))
        pinned.append(address)
        return ""

    pinned: list[int] = []
    monkeypatch.setattr(device_memory, "pin", pin)
    monkeypatch.setattr(device_memory, "unpin", lambda address: calls.append(("unpin", address)))
    buffers = HostBuffers()
    for _ in range(2):
        addresses = parked(buffers, torch.zeros(1), torch.zeros(1), torch.zeros(1000))
    if closes:
        buffers.close()
    del buffers
    assert addresses == [pinned[0], pinned[0] + 64, pinned[0] + 128]
    assert calls == [("pin", 64 + 64 + 4032), ("unpin", pinned[0])]


def test_memory_that_cannot_be_pinned_serves_all_the_same(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With one line that says so; what was not pinned is not let go of."""
    monkeypatch.setattr(say, "_said", set())
    monkeypatch.setattr(device_memory, "pin", lambda *_: "CUDA error 2")
    monkeypatch.setattr(device_memory, "unpin", lambda _: pytest.fail("it never was"))
    buffers = HostBuffers()
    kept = torch.arange(4.0)
    for _ in range(2):
        parked(buffers, kept)
    buffers.close()
    assert torch.equal(kept, torch.arange(4.0))
    assert capsys.readouterr().err.count(PINNED) == 1


def test_a_forked_process_has_none_of_it() -> None:
    """Copy-on-write would part the pages of the training from those that the device knows."""
    buffers = HostBuffers()
    buffers.reserve([4096])
    address = buffers.take(4096).data_ptr()
    pid = os.fork()
    if pid == 0:
        os._exit(any(begins <= address < ends for begins, ends in _mapped()))
    assert any(begins <= address < ends for begins, ends in _mapped())
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def _mapped() -> list[tuple[int, int]]:
    """Where this process has memory, proc_pid_maps(5)."""
    with open("/proc/self/maps", encoding="ascii") as maps:
        ranges = [line.split()[0].split("-") for line in maps]
    return [(int(begins, 16), int(ends, 16)) for begins, ends in ranges]


def test_it_is_given_back_when_the_training_ends(
    coordinator: Coordinator, links: list[Link], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And not before its last checkpoint has been written from it."""
    done: list[str] = []
    write, close = checkpoint.write, HostBuffers.close

    def slow(*arguments: Any) -> checkpoint.Written:
        assert trained.wait(20)
        written = write(*arguments)
        done.append("written")
        return written

    def closed(buffers: HostBuffers) -> None:
        done.append("given back")
        close(buffers)

    class Ends(Tiny):
        not_saved = ("before_step",)

        def step(self) -> dict[str, Any]:
            metrics = super().step()
            if len(self.losses) == STEPS:
                trained.set()
            return metrics

    trained = threading.Event()
    monkeypatch.setattr(checkpoint, "write", slow)
    monkeypatch.setattr(HostBuffers, "close", closed)
    coordinator.on(m.Released, lambda heard: m.GoOn(job=JOB, request=heard.request))
    hook = asks_before(4, coordinator, links, how="park")
    sdk.run(Ends, {"before_step": hook}, steps=STEPS)
    assert done == ["written", "given back"]


@pytest.fixture(scope="module")
def expected() -> str:
    """The digest of the training that nobody interrupts."""
    return sdk.run(Tiny, steps=STEPS).digest


def test_a_checkpoint_under_way_keeps_the_copies_that_it_is_written_from(
    expected: str,
    coordinator: Coordinator,
    links: list[Link],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The next pause, which uses the same memory, waits for it."""
    write, wait, gate = checkpoint.write, Saver.wait, threading.Event()

    def slow(*arguments: Any) -> checkpoint.Written:
        assert gate.wait(20)
        return write(*arguments)

    def waited_for(saver: Saver) -> None:
        if saver._thread is not None:
            gate.set()
        wait(saver)

    monkeypatch.setattr(checkpoint, "write", slow)
    monkeypatch.setattr(Saver, "wait", waited_for)
    coordinator.on(m.Released, lambda heard: m.GoOn(job=JOB, request=heard.request))
    hook = _both(*(asks_before(step, coordinator, links, how="park") for step in (3, 6)))
    sdk.run(Tiny, {"before_step": hook}, steps=STEPS)
    first = coordinator.wait_for(m.Durable)
    again = Tiny()
    again.setup({})
    assert load(again, first.checkpoint) == first.step == 3
    for _ in range(first.step, STEPS):
        again.step()
    assert sdk.digest(again) == expected


def _both(*hooks: Callable[[int], None]) -> Callable[[int], None]:
    def hook(now: int) -> None:
        for each in hooks:
            each(now)

    return hook
