"""How a test has a pause asked for just before a step."""

from collections.abc import Callable

from tests.sdk.coordinator_double import JOB, Coordinator, wait_until

from gpurun.protocol import messages as m
from gpurun.sdk.link import Link

Hook = Callable[[int], None]


def asks_before(
    step: int,
    coordinator: Coordinator,
    links: list[Link],
    seconds: float = 60,
    how: str = "exit",
) -> Hook:
    """A hook that has the request for a pause arrive before this step, but for the first."""

    def hook(now: int) -> None:
        if now == step - 1:
            wait_until(lambda: links[-1].welcomed, "the welcome")
            coordinator.pause(step + 1, seconds, how)
            wait_until(lambda: links[-1].request is not None, "the request")

    return hook


def go_on_when_durable(coordinator: Coordinator) -> None:
    """Withdraw each request as soon as its checkpoint is there."""
    coordinator.on(m.Durable, lambda heard: m.GoOn(job=JOB, request=heard.request))
