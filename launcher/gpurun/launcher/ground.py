"""What stays while attempts come and go: the job's process tree, its terminal and its stdin."""

import os
import stat
from typing import Any

from gpurun.launcher.foreground import in_foreground
from gpurun.launcher.tree import Tree, adopt_orphans


class Ground:
    """Looked at before the first start; put back before each next one."""

    def __init__(self) -> None:
        self.tree = Tree()
        self._offset = _stdin_offset()
        self._terminal = _terminal_attributes()

    def prepare(self) -> None:
        """From here on no grandchild can lose its job by losing its parent."""
        adopt_orphans(True)

    def restore(self) -> None:
        """Undo what an ended tree left behind: a terminal in raw mode, a file half read.

        A coordinator that is started now must not become our child, so orphans go by again.
        """
        adopt_orphans(False)
        if self._offset is not None:
            os.lseek(0, self._offset, os.SEEK_SET)
        if self._terminal is not None and in_foreground(0):
            _set_terminal(self._terminal)


def why_not_again() -> str:
    """Why the command cannot be run again from its first line: it has eaten its stdin."""
    try:
        mode = os.fstat(0).st_mode
    except OSError:
        return ""
    if stat.S_ISREG(mode) or os.isatty(0) or _is_null():
        return ""
    kinds = {stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
    return f"its stdin is {kinds.get(stat.S_IFMT(mode), 'a device')}"


def _is_null() -> bool:
    return os.fstat(0).st_rdev == os.stat(os.devnull).st_rdev


def _stdin_offset() -> int | None:
    try:
        return os.lseek(0, 0, os.SEEK_CUR) if stat.S_ISREG(os.fstat(0).st_mode) else None
    except OSError:
        return None


def _terminal_attributes() -> list[Any] | None:
    if not os.isatty(0):
        return None
    import termios

    try:
        return termios.tcgetattr(0)
    except termios.error:  # it was hung up just now
        return None


def _set_terminal(attributes: list[Any]) -> None:
    import termios

    try:
        termios.tcsetattr(0, termios.TCSADRAIN, attributes)
    except termios.error:  # it was hung up: nobody misses its attributes
        return
