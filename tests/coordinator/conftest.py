"""What all tests of the coordinator stand on."""

import os

import pytest

from gpurun.coordinator import processes


@pytest.fixture(scope="session", autouse=True)
def a_group_that_is_led() -> None:
    """A detached run may be in a group whose leader has ended: that is what a job's looks like.

    Where the leader lives nothing changes, and Ctrl-C reaches the tests as ever.
    """
    leader = processes.stat(os.getpgrp())
    if leader is None or leader.ended:
        os.setpgrp()
