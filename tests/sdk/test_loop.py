"""An existing loop is paused at any turn, and ends as if it had not been."""

import os
from collections.abc import Callable, Iterable

import pytest
from tests.sdk import loops
from tests.sdk.asking import Hook, asks_before, go_on_when_durable
from tests.sdk.coordinator_double import Coordinator, wait_until

from gpurun.protocol import messages as m
from gpurun.sdk.link import Link

Loop = Callable[[Hook], str]


def nobody(step: int) -> None:
    """Do nothing before a step."""


def links_are_welcomed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have each link that is opened from now on wait for its coordinator."""
    really_open = Link.open

    def open_and_wait(link: Link) -> None:
        really_open(link)
        wait_until(lambda: link.welcomed, "the welcome")

    monkeypatch.setattr(Link, "open", open_and_wait)


@pytest.fixture
def stands_all_pauses(
    coordinator: Coordinator, links: list[Link], monkeypatch: pytest.MonkeyPatch
) -> Callable[[Loop, Iterable[int]], None]:
    """Pause a loop behind each of these turns, in attempts that begin where the one before paused.

    Each attempt goes on to the end as well, as after a request that was withdrawn.
    """
    go_on_when_durable(coordinator)

    def check(loop: Loop, turns: Iterable[int]) -> None:
        with monkeypatch.context() as patch:
            patch.delenv("GPURUN_JOB")
            expected = loop(nobody)
        for count, turn in enumerate(turns, 1):
            assert loop(asks_before(turn + 1, coordinator, links)) == expected, f"paused at {turn}"
            durable = coordinator.wait_for(m.Durable, count)
            assert durable.step == turn
            monkeypatch.setenv("GPURUN_RESUME", durable.checkpoint)
        links_are_welcomed(monkeypatch)  # it may have no turn left to wait at
        assert loop(nobody) == expected, "run again"
        coordinator.wait_for(m.Detach, count + 1)
        assert coordinator.of(m.Resumed)[-1].step == durable.step

    return check


LOOPS: dict[str, tuple[Loop, Iterable[int]]] = {
    "accumulating": (loops.accumulating, range(1, loops.TURNS + 1)),
    "workers": (loops.noisy(2), (1, 2, 6)),
    "workers that persist": (loops.noisy(2, persistent_workers=True), (3, 6)),
    "a loader that knows its place": (loops.placed(0), (1, 4, 6, 9)),
    "workers that know it": (loops.placed(2), (1, 6)),
    "adversarial": (loops.gan, range(1, 9)),
    "agent": (loops.agent, range(1, 8)),
    "mixed precision": (loops.mixed, range(1, 8)),
    "turns at the bottom": (loops.at_the_bottom, range(1, 7)),
    **{name: (loops.logged(body), turns) for name, (body, turns) in loops.LOGGED.items()},
}


SLOW = ("workers that persist", "workers that know it")


@pytest.mark.filterwarnings("ignore:'set_vital' is deprecated:UserWarning")  # torchdata's
@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.long] * (name in SLOW)) for name in LOOPS],
)
def test_pitfall_16_a_loop_paused_at_any_turn_ends_the_same(
    name: str, stands_all_pauses: Callable[[Loop, Iterable[int]], None]
) -> None:
    """The one that goes on, and the one that is run again from its first line, time and again."""
    stands_all_pauses(*LOOPS[name])


@pytest.mark.parametrize("turn", range(1, 5))
def test_one_turn_is_not_taken_for_another(
    turn: int, stands_all_pauses: Callable[[Loop, Iterable[int]], None]
) -> None:
    """Of two in each round."""
    stands_all_pauses(loops.two_turns, [turn])


@pytest.mark.parametrize("once", [False, True])
def test_of_several_trainings_the_one_that_was_paused_goes_on(
    once: bool,
    coordinator: Coordinator,
    links: list[Link],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Those before it run again from their beginning; where sdk.once has their value, not at all.

    Each is detached before the next one begins.
    """
    with monkeypatch.context() as patch:
        patch.delenv("GPURUN_JOB")
        expected = loops.folds(nobody, once=once)
    go_on_when_durable(coordinator)
    asks = asks_before(106, coordinator, links)

    def attached(step: int) -> None:
        if step % 100 == 1:
            coordinator.wait_for(m.Attach, 1 + step // 100)
        asks(step)

    assert loops.folds(attached, once=once) == expected
    coordinator.wait_for(m.Detach, 3)
    durable = coordinator.wait_for(m.Durable)
    assert durable.step == 5
    kinds = [type(said) for said in coordinator.talk if isinstance(said, m.Attach | m.Detach)]
    assert kinds == [m.Attach, m.Detach] * (len(kinds) // 2)
    monkeypatch.setenv("GPURUN_RESUME", durable.checkpoint)
    if once:  # as after an exit in the midst of the second
        forget("fold 1")
        forget("fold 2")
    begun: list[int] = []
    assert loops.folds(begun.append, once=once) == expected
    assert begun == [*(() if once else range(1, 9)), *range(106, 109), *range(201, 209)]


def forget(name: str) -> None:
    """Take back what the first attempt has kept."""
    os.unlink(f"{os.environ['GPURUN_CHECKPOINT_DIR']}/first/once-{name.encode().hex()}")
