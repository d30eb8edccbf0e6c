"""A driver that hangs: the loop goes on, admits nothing, and says so."""

import signal
import threading
from collections.abc import Iterator, Sequence

import pytest
from tests.coordinator.gpus.helpers import wait_until

from gpurun.coordinator import clock
from gpurun.coordinator.core.events import SampleEvent
from gpurun.coordinator.core.sample import DeviceSample, OwnProcess
from gpurun.coordinator.core.scheduler import Scheduler
from gpurun.coordinator.core.settings import Settings
from gpurun.coordinator.daemon import _REST_AFTER, Daemon
from gpurun.coordinator.desk import Desk
from gpurun.coordinator.gpus.monitor import Monitor
from gpurun.coordinator.queries import Queries
from gpurun.coordinator.server import Server
from gpurun.coordinator.store import Store
from gpurun.protocol.paths import Paths


class HangingDevices:
    """A driver that answers when it is let."""

    sleepy = False
    about = "hanging devices"

    def __init__(self) -> None:
        self.answers = threading.Event()

    def open(self) -> None:
        pass

    def close(self) -> None:
        pass

    def sample(self, own: Sequence[OwnProcess]) -> tuple[DeviceSample, ...]:
        self.answers.wait(30)
        return ()


@pytest.fixture
def driver() -> Iterator[HangingDevices]:
    driver = HangingDevices()
    yield driver
    driver.answers.set()


@pytest.fixture
def daemon(folder: str, driver: HangingDevices) -> Iterator[Daemon]:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    paths = Paths(f"{folder}/r", f"{folder}/s", f"{folder}/config.toml")
    scheduler, store = Scheduler(Settings()), Store(f"{folder}/jobs.sqlite")
    monitor = Monitor(driver, interval=0.1, deadline=0.05)
    server = Server(f"ipc://{folder}/socket")
    queries = Queries(scheduler.state, store, driver, lambda: None)
    desk = Desk(scheduler.state, store.secret(), "nvml")
    daemon = Daemon(paths, scheduler, store, server, desk, queries, monitor, idle_exit=60.0)
    monitor.start()
    wait_until(lambda: monitor.overdue(clock.now().boot))
    yield daemon
    driver.answers.set()
    daemon.close()
    signal.set_wakeup_fd(-1)
    for number, handler in before.items():
        signal.signal(number, handler)


def test_a_driver_that_hangs_is_said_once_and_again_only_after_it_has_answered(
    daemon: Daemon, driver: HangingDevices
) -> None:
    (said,) = daemon._hang()
    assert isinstance(said, SampleEvent)
    assert "does not answer" in said.problem
    assert said.devices == ()
    assert not list(daemon._hang())
    driver.answers.set()
    wait_until(lambda: bool(daemon._monitor.take()))
    assert not list(daemon._hang())


def test_the_monitor_may_rest_when_no_job_has_been_known_for_a_while(daemon: Daemon) -> None:
    """Between two jobs it goes on; what can sleep does so only after that."""
    daemon._watch_idleness()
    assert not daemon._monitor._resting
    daemon._idle_since -= _REST_AFTER
    daemon._watch_idleness()
    assert daemon._monitor._resting
