"""Signals as things to read, with the kernel's word on who sent them; signalfd(2).

While signals are blocked none can fall between a check and the act that it allows: that is how a
lease is checked and used in one piece, and how a child cannot be reaped twice.
"""

import os
import signal
import sys

import msgspec

ENDING = (
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGUSR1,
    signal.SIGUSR2,
)
"""They end a launcher that waits, and are for the job once it runs."""
STOPS = (signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU)
"""The stops of job control."""
RESTORED = (signal.SIGPIPE, signal.SIGXFSZ)
"""Python ignores these from its start; a program that it spawns must not."""

_FROM_KERNEL = 0x80
"""SI_KERNEL: the terminal sent it, to the whole foreground group; sigaction(2)."""
_RECORD = 128
"""Bytes of struct signalfd_siginfo."""


class Signal(msgspec.Struct, frozen=True):
    """One signal that has arrived."""

    number: int
    code: int
    sender: int

    @property
    def from_terminal(self) -> bool:
        """Whether the job in the same process group has got it too.

        A hangup goes to the leader of the session alone, which the launcher is under `ssh -t`.
        """
        to_leader = self.number == signal.SIGHUP and os.getsid(0) == os.getpid()
        return self.code == _FROM_KERNEL and not to_leader


class Signals:
    """All that the launcher reacts to, blocked; `fd` is readable when one has arrived."""

    def __init__(self) -> None:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # ignored, it would lose the exit codes
        wanted = (*ENDING, signal.SIGTSTP, signal.SIGCONT)
        # One that the caller ignores stays ignored, here and in the job: that is what nohup does.
        heeded = {s for s in wanted if signal.getsignal(s) != signal.SIG_IGN}
        self._heeded = heeded | {signal.SIGCHLD}
        self.original = signal.pthread_sigmask(signal.SIG_BLOCK, self._heeded)
        self._fd = -1

    @property
    def fd(self) -> int:
        """Made at first use: ctypes costs 3 ms, which pass while the coordinator works."""
        if self._fd < 0:
            self._fd = _signalfd(self._heeded)
        return self._fd

    def read(self) -> list[Signal]:
        """Every signal that has arrived."""
        try:
            data = os.read(self.fd, 64 * _RECORD)
        except BlockingIOError:
            return []
        return [_parse(data[at : at + _RECORD]) for at in range(0, len(data), _RECORD)]

    def obey(self, number: int) -> None:
        """Let the signal do to this process what it does by default."""
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
        os.kill(os.getpid(), number)
        signal.pthread_sigmask(signal.SIG_BLOCK, {number})

    def release(self) -> None:
        """As the caller had them."""
        signal.pthread_sigmask(signal.SIG_SETMASK, self.original)

    def hold(self) -> None:
        """Block them again."""
        signal.pthread_sigmask(signal.SIG_BLOCK, self._heeded)


def _parse(record: bytes) -> Signal:
    """ssi_signo, ssi_code and ssi_pid lie at 0, 8 and 12, four bytes each."""
    number, code, sender = (
        int.from_bytes(record[at : at + 4], sys.byteorder, signed=True) for at in (0, 8, 12)
    )
    return Signal(number, code, sender)


def _signalfd(numbers: set[signal.Signals]) -> int:
    import ctypes

    mask = sum(1 << (number - 1) for number in numbers).to_bytes(128, sys.byteorder)
    libc = ctypes.CDLL(None, use_errno=True)
    fd: int = libc.signalfd(-1, mask, os.O_NONBLOCK | os.O_CLOEXEC)
    if fd < 0:
        raise OSError(ctypes.get_errno(), "signalfd")
    return fd
