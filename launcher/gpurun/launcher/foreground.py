"""Whose turn it is at a terminal; tcgetpgrp(3)."""

import os


def in_foreground(fd: int) -> bool:
    """Whether this process group may draw on the terminal and set it: only with one of its own.

    Under setsid(1) the terminal is another session's, and whoever asks gets ENOTTY.
    """
    try:
        return os.tcgetpgrp(fd) == os.getpgrp()
    except OSError:
        return False
