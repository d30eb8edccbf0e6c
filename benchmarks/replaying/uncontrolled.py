"""Everybody starts at once on the device that looks emptiest: what people do without a scheduler.

What does not fit beside those who are there fails, and is not tried again. Where all devices have
two jobs the next waits: nobody would in truth, but what three do to each other was not measured.
"""

from benchmarks.replaying.fcfs import FirstCome
from benchmarks.replaying.machine import MOST_TOGETHER


class Uncontrolled(FirstCome):
    """Two jobs a device, whatever they need."""

    name = "uncontrolled"
    together = MOST_TOGETHER
