"""Pitfall 9: every scheduler of PyTorch gives the rates that it would have given."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from tests.sdk.asking import Hook, asks_before, go_on_when_durable
from tests.sdk.coordinator_double import Coordinator
from torch.optim import lr_scheduler as s

from gpurun import sdk
from gpurun.protocol import messages as m
from gpurun.sdk.link import Link

STEPS = 7
Make = Callable[[torch.optim.Optimizer], Any]
SCHEDULERS: dict[str, Make] = {
    "ChainedScheduler": lambda o: s.ChainedScheduler([s.ConstantLR(o), s.ExponentialLR(o, 0.9)]),
    "ConstantLR": lambda o: s.ConstantLR(o, total_iters=3),
    "CosineAnnealingLR": lambda o: s.CosineAnnealingLR(o, 4),
    "CosineAnnealingWarmRestarts": lambda o: s.CosineAnnealingWarmRestarts(o, 3),
    "CyclicLR": lambda o: s.CyclicLR(o, 0.01, 0.1, step_size_up=2),
    "ExponentialLR": lambda o: s.ExponentialLR(o, 0.9),
    "LambdaLR": lambda o: s.LambdaLR(o, lambda epoch: 0.95**epoch),
    "LinearLR": lambda o: s.LinearLR(o, total_iters=4),
    "MultiStepLR": lambda o: s.MultiStepLR(o, [2, 5]),
    "MultiplicativeLR": lambda o: s.MultiplicativeLR(o, lambda epoch: 0.9 + 0.01 * epoch),
    "OneCycleLR": lambda o: s.OneCycleLR(o, 0.1, total_steps=STEPS + 2),
    "PolynomialLR": lambda o: s.PolynomialLR(o, 5, 2.0),
    "ReduceLROnPlateau": lambda o: s.ReduceLROnPlateau(o, patience=1),
    "SequentialLR": lambda o: s.SequentialLR(o, [s.ConstantLR(o), s.StepLR(o, 2)], [3]),
    "StepLR": lambda o: s.StepLR(o, 2),
}
NONE = {"LRScheduler", "_LRScheduler"}
"""What others derive from."""


def test_no_scheduler_of_pytorch_is_left_out() -> None:
    """A new one is to be added above."""
    there = {name for name in s.__all__ if isinstance(getattr(s, name), type)}
    assert there - NONE == set(SCHEDULERS)


def rates(make: Make, hook: Hook) -> list[Any]:
    """The rate and the momentum of each step, as the optimizer has them."""
    weight = torch.nn.Parameter(torch.ones(1))
    optimizer = torch.optim.SGD([weight], lr=0.1, momentum=0.9)
    scheduler = make(optimizer)
    job = sdk.job(respawn=True, weight=weight, optimizer=optimizer, scheduler=scheduler, seen=[])
    for number in job.steps(STEPS):
        hook(number + 1)
        group = optimizer.param_groups[0]
        job.seen.append((group["lr"], group["momentum"]))
        weight.grad = torch.ones(1)
        optimizer.step()
        loss = (1.0 if number > 2 else 2.0 - number,)
        scheduler.step(*(loss if isinstance(scheduler, s.ReduceLROnPlateau) else ()))
    return [*job.seen, scheduler.get_last_lr(), weight.item()]


@pytest.mark.filterwarnings("ignore:.*epoch parameter:UserWarning")  # SequentialLR's own
@pytest.mark.parametrize("name", SCHEDULERS)
def test_pitfall_09_the_rates_are_the_same_behind_a_pause_at_each_step(
    name: str, coordinator: Coordinator, links: list[Link], monkeypatch: pytest.MonkeyPatch
) -> None:
    make = SCHEDULERS[name]
    with monkeypatch.context() as patch:
        patch.delenv("GPURUN_JOB")
        expected = rates(make, lambda _: None)
    go_on_when_durable(coordinator)
    for step in range(1, STEPS):
        assert rates(make, asks_before(step + 1, coordinator, links)) == expected
        durable = coordinator.wait_for(m.Durable, step)
        monkeypatch.setenv("GPURUN_RESUME", durable.checkpoint)
    assert rates(make, lambda _: None) == expected
    assert len({str(rate) for rate in expected[:STEPS]}) > 1, "it changes nothing"
