"""The thread that looks at the devices, and how its rounds reach the coordinator's loop.

A driver may hang, and then only this thread does: the loop asks, is woken through an eventfd, and
sees from `overdue` that nothing has come.
"""

import contextlib
import os
import threading
import time
from collections import deque
from collections.abc import Sequence

import msgspec

from gpurun.coordinator.core.sample import DeviceSample, OwnProcess
from gpurun.coordinator.gpus.devices import Devices, DevicesError

_LONGEST_WAIT = 30.0
"""Seconds between two tries at devices that cannot be read."""
ASLEEP = "no job is known, and the GPU may sleep; the next job wakes it"
_KEPT = 256
"""Rounds that wait for a loop that does not take them."""


class Round(msgspec.Struct, frozen=True, kw_only=True):
    """One look at all devices."""

    taken: float
    """Seconds on CLOCK_BOOTTIME at its start: what happened later it may not have seen."""
    devices: tuple[DeviceSample, ...] = ()
    problem: str = ""
    """Why no device could be read, in one line for people."""


class Monitor:
    """One thread that owns the devices: it opens, samples and closes them, and nobody else."""

    def __init__(self, devices: Devices, interval: float, deadline: float = 10.0) -> None:
        self._devices, self._interval, self._deadline = devices, interval, deadline
        self._ready = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._thread = threading.Thread(target=self._run, name="monitor", daemon=True)
        self._opened = self._asleep = False
        self._wait = 0.0
        # What follows belongs to both threads, under this condition.
        self._changed = threading.Condition()
        self._rounds: deque[Round] = deque(maxlen=_KEPT)
        self._own: Sequence[OwnProcess] = ()
        self._wanted = False
        self._stopping = False
        self._resting = False
        self._began: float | None = None

    def start(self) -> None:
        """Begin with a first round."""
        self._thread.start()

    def request(self, own: Sequence[OwnProcess]) -> None:
        """Ask for a round that begins after this call, with these as our own processes.

        Requests during a round make one more round; after a problem the next try has its time.
        """
        with self._changed:
            self._own, self._wanted = own, True
            self._changed.notify()

    def rest(self, resting: bool) -> None:
        """Say whether no job is known: devices that can sleep are let go of until there is one."""
        with self._changed:
            woken, self._resting = self._resting and not resting, resting
            if woken:
                self._wanted = True
                self._changed.notify()

    def fileno(self) -> int:
        """Give the descriptor that is readable while rounds are there to be taken."""
        return self._ready

    def take(self) -> list[Round]:
        """Give the rounds that nobody has taken, oldest first; never wait."""
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._ready)
        with self._changed:
            rounds = list(self._rounds)
            self._rounds.clear()
        return rounds

    def overdue(self, now: float) -> bool:
        """Whether the present round has been under way for longer than its deadline.

        `now` is on CLOCK_BOOTTIME. Then the state of the devices is unknown.
        """
        with self._changed:
            return self._began is not None and now - self._began > self._deadline

    def stop(self, deadline: float) -> bool:
        """End the thread; give False where it still hangs in the driver after these seconds."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        self._thread.join(deadline)
        if self._thread.is_alive():
            return False  # it may yet write to the eventfd: leave that to the end of the process
        os.close(self._ready)
        return True

    def _run(self) -> None:
        while (own := self._next()) is not None:
            found = self._look(own)
            self._back_off(found)
            self._finish(found)
        self._close()

    def _next(self) -> Sequence[OwnProcess] | None:
        """Wait until a round is due; give the newest own processes, or None at the end."""
        with self._changed:
            self._changed.wait_for(self._due, self._wait)
            if self._stopping:
                return None
            self._wanted, self._began = False, _now()
            return self._own

    def _due(self) -> bool:
        return self._stopping or (self._wanted and (self._opened or self._asleep))

    def _look(self, own: Sequence[OwnProcess]) -> Round:
        self._asleep = self._resting and self._devices.sleepy
        if self._asleep:
            self._close()
            return Round(taken=_now(), problem=ASLEEP)
        try:
            if not self._opened:
                self._devices.open()
                self._opened = True
            taken = _now()
            return Round(taken=taken, devices=self._devices.sample(own))
        except DevicesError as error:
            return Round(taken=_now(), problem=str(error))
        except Exception as error:  # noqa: BLE001 - this thread outlives whatever a driver does
            return Round(
                taken=_now(), problem=f"the devices cannot be read: {error!r}; trying again"
            )

    def _back_off(self, found: Round) -> None:
        """After a problem open the devices anew, each time a longer while later."""
        if self._asleep:
            self._wait = _LONGEST_WAIT
        elif found.problem:
            self._close()
            self._wait = min(max(self._wait, self._interval) * 2, _LONGEST_WAIT)
        else:
            self._wait = self._interval

    def _finish(self, found: Round) -> None:
        with self._changed:
            self._rounds.append(found)
            self._began = None
            os.eventfd_write(self._ready, 1)  # under the lock: nobody takes it before it is told

    def _close(self) -> None:
        self._opened = False
        with contextlib.suppress(Exception):
            self._devices.close()


def _now() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)
