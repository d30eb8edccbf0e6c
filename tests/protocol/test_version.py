"""What is said when two versions meet."""

import importlib.metadata

from gpurun.protocol.version import PROTOCOL, VERSION, disagreement


def test_an_older_coordinator_is_to_be_stopped() -> None:
    sentence = disagreement(mine=1, theirs=2)
    assert "coordinator speaks protocol 1 and this program speaks 2" in sentence
    assert "gpurun coordinator stop" in sentence


def test_an_older_program_is_to_be_installed_anew() -> None:
    sentence = disagreement(mine=3, theirs=2)
    assert "coordinator speaks protocol 3 and this program speaks 2" in sentence
    assert "install the same gpurun-scheduler here" in sentence


def test_the_version_is_that_of_the_distribution() -> None:
    assert importlib.metadata.version("gpurun-scheduler") == VERSION
    assert PROTOCOL == 1
