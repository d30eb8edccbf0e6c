"""Signals as people write them."""

import signal

import pytest

from gpurun.launcher.pause_signal import number_of, read_signal


@pytest.mark.parametrize("text", ["USR2", "SIGUSR2", "sigusr2", " usr2 ", str(int(signal.SIGUSR2))])
def test_a_signal_has_one_name_however_it_is_written(text: str) -> None:
    assert read_signal(text) == "USR2"
    assert number_of("USR2") == signal.SIGUSR2


def test_a_signal_with_no_name_keeps_its_number() -> None:
    number = signal.SIGRTMIN + 3
    assert read_signal(str(number)) == str(number)
    assert number_of(str(number)) == number
