"""Where a training waits between its answer to a request and the word to go on."""

import time
from collections.abc import Callable
from typing import Any, TypeVar

from msgspec.structs import replace

from gpurun.protocol import messages as m
from gpurun.sdk.link import Link
from gpurun.sdk.say import say

GRACE = 10.0
"""Seconds for which a training stands still beside a dead coordinator."""

Answer = dict[str, Any]
"""What each answer to one request begins with."""
T = TypeVar("T")


def rest(link: Link, answer: m.Standing | m.Released | m.Durable) -> None:
    """Stand still until the process is ended, the request withdrawn, or GRACE over.

    One that is parked has nothing on the device to go on with, and waits for a coordinator.
    """
    with link.changed:
        if link.withdrawn == answer.request:
            link.send(m.Refused(**link.fields(), request=answer.request, text="withdrawn"))
            return
        link.resting = answer
        link.send(answer)
        try:
            _wait_for_word(link, answer)
        finally:
            link.resting = None


def _wait_for_word(link: Link, answer: m.Standing | m.Released | m.Durable) -> None:
    while link.withdrawn != answer.request:
        left = _time_left(link)
        if left == 0:
            if not isinstance(answer, m.Released):
                return
            say("parked, and there is no coordinator to let it go on; any gpurun starts one")
            left = None
        if link.request is not None:  # asked again: the answer was lost, or its number
            answer = replace(answer, request=link.request.request)
            link.request, link.resting = None, answer
            link.send(answer)
        link.changed.wait(left)


def _time_left(link: Link) -> float | None:
    """Seconds; None while the coordinator lives."""
    if link.dead_since is None:
        return None
    return max(0.0, link.dead_since + GRACE - time.monotonic())


def or_refused(link: Link, answer: Answer, work: Callable[[], T]) -> T | None:
    """What the work gives; None where it failed, which is said and costs the training nothing."""
    try:
        return work()
    except Exception as error:  # noqa: BLE001 - a save that fails in any way must cost nothing
        text = one_line(error)
        say(f"cannot pause: {text}")
        link.send(m.Refused(**answer, text=text))
        return None
    except BaseException as error:  # the training ends, but the request has its answer
        link.send(m.Refused(**answer, text=type(error).__name__))
        raise


def one_line(error: Exception) -> str:
    """Its text, or its name where it has none."""
    return " ".join(str(error).split()) or type(error).__name__
