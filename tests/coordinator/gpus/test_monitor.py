"""The monitor's thread, through its eventfd."""

import itertools
import select
import threading
import time
from collections.abc import Callable, Iterator, Sequence

import pytest
from tests.coordinator.gpus.helpers import DEADLINE, own, wait_until

from gpurun.coordinator.core.sample import DeviceSample, OwnProcess
from gpurun.coordinator.gpus.devices import DevicesError
from gpurun.coordinator.gpus.monitor import Monitor, Round

LONG = 3600.0
"""An interval that no test waits for."""
DEVICE = DeviceSample(index=0, uuid="GPU-1", name="One", total=2, free=1, utilization=0.0)


class Scripted:
    """Devices that do in each call what a test put there."""

    about = "scripted devices"

    def __init__(self) -> None:
        self.sleepy = False
        self.opens: list[Exception] = []
        self.samples: list[Exception] = []
        self.gate = threading.Event()
        self.gate.set()
        self.calls: list[str] = []
        self.own: list[Sequence[OwnProcess]] = []

    def open(self) -> None:
        """Raise what is put there."""
        self.calls.append("open")
        if self.opens:
            raise self.opens.pop(0)

    def sample(self, own: Sequence[OwnProcess]) -> tuple[DeviceSample, ...]:
        """Give one device as soon as the gate is open."""
        self.calls.append("sample")
        self.own.append(own)
        assert self.gate.wait(DEADLINE)
        if self.samples:
            raise self.samples.pop(0)
        return (DEVICE,)

    def close(self) -> None:
        """Be closed."""
        self.calls.append("close")


def rounds(monitor: Monitor) -> list[Round]:
    """Wait for the eventfd and take what is there."""
    assert select.select([monitor], [], [], DEADLINE)[0], "no round"
    return monitor.take()


def boottime() -> float:
    """Give the monitor's clock."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@pytest.fixture
def devices() -> Scripted:
    """Give devices that work."""
    return Scripted()


@pytest.fixture
def start(devices: Scripted) -> Iterator[Callable[..., Monitor]]:
    """Start monitors that are stopped when the test ends."""
    started: list[Monitor] = []

    def begin(interval: float = LONG, **options: float) -> Monitor:
        monitor = Monitor(devices, interval, **options)
        monitor.start()
        started.append(monitor)
        return monitor

    yield begin
    devices.gate.set()
    for monitor in started:
        assert monitor.stop(DEADLINE)


def test_a_round_comes_at_once(start: Callable[..., Monitor], devices: Scripted) -> None:
    """The first one needs no request, and bears the time of its start."""
    before = boottime()
    (first,) = rounds(start())
    assert before <= first.taken <= boottime()
    assert (first.devices, first.problem) == ((DEVICE,), "")
    assert devices.calls == ["open", "sample"]


def test_a_request_does_not_wait_for_the_interval(start: Callable[..., Monitor]) -> None:
    """Each is answered by a round that began after it, through the eventfd, in milliseconds."""
    monitor = start()
    rounds(monitor)
    waits = []
    for _ in range(20):
        before = boottime()
        monitor.request(())
        (answer,) = rounds(monitor)
        waits.append(boottime() - before)
        assert answer.taken >= before
    assert sorted(waits)[10] < 0.05


def test_the_interval_needs_no_request(start: Callable[..., Monitor], devices: Scripted) -> None:
    """Rounds go on by themselves, with the own processes of the last request."""
    monitor = start(0.005)
    monitor.request([own(1, 1)])
    wait_until(lambda: len(devices.own) >= 5)
    assert [root.job for root in devices.own[-1]] == [1]
    assert devices.calls.count("open") == 1


def test_requests_during_a_round_make_one_more(
    start: Callable[..., Monitor], devices: Scripted
) -> None:
    """It begins after them and uses the newest own processes."""
    devices.gate.clear()
    monitor = start()
    wait_until(lambda: len(devices.own) == 1)
    for number in range(5):
        monitor.request([own(number, 1)])
    devices.gate.set()
    taken: list[Round] = []
    while len(taken) < 2:
        taken += rounds(monitor)
    assert not select.select([monitor], [], [], 0.05)[0]
    assert [root.job for root in devices.own[1]] == [4]
    assert len(devices.own) == 2


def test_taking_never_waits_and_takes_all(start: Callable[..., Monitor], devices: Scripted) -> None:
    """With nothing there it is empty; what was taken is not given again."""
    monitor = start()
    rounds(monitor)
    assert monitor.take() == []
    for count in (2, 3):
        monitor.request(())
        wait_until(lambda count=count: len(devices.own) == count)  # type: ignore[misc]
    monitor.request(())
    taken: list[Round] = []
    while len(taken) < 3:
        taken += rounds(monitor)
    assert taken == sorted(taken, key=lambda one: one.taken)
    assert all(one.taken > taken[-1].taken for one in monitor.take())


def test_devices_that_cannot_be_opened_are_a_problem(
    start: Callable[..., Monitor], devices: Scripted
) -> None:
    """Its words come through; they are opened again later, and then all is well."""
    devices.opens = [DevicesError("no driver; install it")]
    monitor = start(0.005)
    first = rounds(monitor)[0]
    assert (first.devices, first.problem) == ((), "no driver; install it")
    wait_until(lambda: "sample" in devices.calls)
    assert devices.calls[:4] == ["open", "close", "open", "sample"]


def test_an_error_in_a_round_is_a_problem_and_not_the_end(
    start: Callable[..., Monitor], devices: Scripted
) -> None:
    """Whatever the driver raises is said, and the devices are opened anew."""
    devices.samples = [RuntimeError("a surprise")]
    monitor = start(0.005)
    first = rounds(monitor)[0]
    assert first.devices == ()
    assert "a surprise" in first.problem
    assert "\n" not in first.problem
    assert rounds(monitor)[0].devices == (DEVICE,)
    assert devices.calls[:5] == ["open", "sample", "close", "open", "sample"]


def test_problems_are_tried_again_at_longer_and_longer_times(
    start: Callable[..., Monitor], devices: Scripted
) -> None:
    """The wait doubles, and requests do not shorten it: a failing driver is not hammered."""
    devices.opens = [DevicesError("no")] * 5
    monitor = start(0.01)
    taken: list[Round] = []
    while len(taken) < 5:
        taken += rounds(monitor)
        monitor.request(())
    gaps = [after.taken - before.taken for before, after in itertools.pairwise(taken)]
    expected = [0.02, 0.04, 0.08, 0.16]
    assert all(gap >= least * 0.9 for gap, least in zip(gaps, expected, strict=False))


def test_devices_that_can_sleep_are_let_go_of_while_there_is_no_job(
    start: Callable[..., Monitor], devices: Scripted
) -> None:
    """The next job wakes them at once, with a round that it need not ask for."""
    devices.sleepy = True
    monitor = start(0.01)
    wait_until(lambda: "sample" in devices.calls)
    monitor.rest(True)
    wait_until(lambda: devices.calls[-1] == "close")
    asleep = devices.calls.copy()
    monitor.take()
    monitor.request(())
    wait_until(lambda: any("may sleep" in one.problem for one in monitor.take()))
    assert set(devices.calls[len(asleep) :]) <= {"close"}
    monitor.rest(False)
    wait_until(lambda: any(one.devices for one in monitor.take()))


def test_devices_that_cannot_sleep_are_watched_with_no_job_too(
    start: Callable[..., Monitor], devices: Scripted
) -> None:
    """Somebody asks for their status."""
    monitor = start(0.005)
    monitor.rest(True)
    wait_until(lambda: devices.calls.count("sample") >= 3)
    assert "close" not in devices.calls


def test_a_round_that_hangs_is_overdue(start: Callable[..., Monitor], devices: Scripted) -> None:
    """The loop can tell, without waiting for the thread; when the round has come it is not."""
    devices.gate.clear()
    monitor = start(deadline=5.0)
    wait_until(lambda: len(devices.own) == 1)
    assert not monitor.overdue(boottime() + 4)
    assert monitor.overdue(boottime() + 5.1)
    devices.gate.set()
    rounds(monitor)
    assert not monitor.overdue(boottime() + LONG)


def test_stopping_closes_the_devices_once(devices: Scripted) -> None:
    """On the thread that used them, after the round that was under way."""
    monitor = Monitor(devices, LONG)
    monitor.start()
    rounds(monitor)
    assert monitor.stop(DEADLINE)
    assert devices.calls == ["open", "sample", "close"]


def test_stopping_does_not_wait_for_a_hanging_driver(devices: Scripted) -> None:
    """After its deadline it says that the thread still hangs, and nothing was closed under it."""
    devices.gate.clear()
    monitor = Monitor(devices, LONG)
    monitor.start()
    wait_until(lambda: len(devices.own) == 1)
    assert not monitor.stop(0.01)
    assert "close" not in devices.calls
    devices.gate.set()
    assert monitor.stop(DEADLINE)
