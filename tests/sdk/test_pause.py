"""A pause at any step loses nothing, and one that cannot be carried out costs nothing."""

import os

import pytest
from tests.sdk.asking import asks_before, go_on_when_durable
from tests.sdk.coordinator_double import JOB, TOKEN, Coordinator, wait_until
from tests.sdk.trainings import Tiny

from gpurun import sdk
from gpurun.protocol import messages as m
from gpurun.sdk.link import Link

STEPS = 9


@pytest.fixture(scope="module")
def expected() -> str:
    """The digest of the training that nobody interrupts."""
    return sdk.run(Tiny, steps=STEPS).digest


@pytest.fixture(scope="module")
def expected_with_workers() -> str:
    """The same with two loader workers."""
    return sdk.run(Tiny, {"workers": 2}, steps=STEPS).digest


@pytest.mark.parametrize(
    ("step", "workers"), [(step, 0) for step in range(1, STEPS)] + [(2, 2), (4, 2), (5, 2)]
)
def test_pitfall_04_a_pause_at_any_step_loses_nothing(
    step: int,
    workers: int,
    expected: str,
    expected_with_workers: str,
    coordinator: Coordinator,
    links: list[Link],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The training that goes on, and the one that starts from the checkpoint, end the same."""
    go_on_when_durable(coordinator)
    config = {"workers": workers}
    undisturbed = expected_with_workers if workers else expected
    asks = asks_before(step, coordinator, links)
    assert sdk.run(Tiny, {**config, "before_step": asks}, steps=STEPS).digest == undisturbed
    durable = coordinator.wait_for(m.Durable)
    assert durable.step == step
    monkeypatch.setenv("GPURUN_RESUME", durable.checkpoint)

    def hook(now: int) -> None:
        if now == STEPS - 1:
            assert coordinator.wait_for(m.Resumed).step == step

    result = sdk.run(Tiny, {**config, "before_step": hook}, steps=STEPS)
    assert (result.digest, result.steps) == (undisturbed, STEPS)


def test_twice_in_one_epoch_and_before_the_first_step(
    expected: str, coordinator: Coordinator, links: list[Link], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second resume is exact too, also when no step lay between the two pauses."""
    go_on_when_durable(coordinator)
    really_open = Link.open

    def open_and_be_asked(link: Link) -> None:
        coordinator.on(m.Attach, lambda _: pause_request(len(links)))
        really_open(link)
        wait_until(lambda: link.request is not None, "the request")

    sdk.run(Tiny, {"before_step": asks_before(4, coordinator, links)}, steps=STEPS)
    with monkeypatch.context() as patched:
        patched.setattr(Link, "open", open_and_be_asked)
        for saved in (1, 2):
            patched.setenv("GPURUN_RESUME", coordinator.wait_for(m.Durable, saved).checkpoint)
            assert sdk.run(Tiny, steps=STEPS).digest == expected
    assert [durable.step for durable in coordinator.of(m.Durable)] == [4, 4, 4]
    monkeypatch.setenv("GPURUN_RESUME", coordinator.of(m.Durable)[-1].checkpoint)
    assert sdk.run(Tiny, steps=STEPS).digest == expected


def pause_request(number: int) -> m.PauseRequest:
    """A request that is never too late."""
    return m.PauseRequest(job=JOB, request=100 + number, deadline=float("inf"), how="exit")


def test_a_checkpoint_belongs_to_one_run_of_the_script(
    coordinator: Coordinator, links: list[Link], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A script that trains twice, paused in the second: the first is done again, from its start."""
    go_on_when_durable(coordinator)
    first = sdk.run(Tiny, steps=4).digest
    asks = asks_before(3, coordinator, links)
    second = sdk.run(Tiny, {"before_step": asks}, steps=STEPS).digest
    monkeypatch.setenv("GPURUN_RESUME", coordinator.wait_for(m.Durable).checkpoint)
    steps: list[int] = []
    assert sdk.run(Tiny, {"before_step": steps.append}, steps=4).digest == first
    assert sdk.run(Tiny, {"before_step": steps.append}, steps=STEPS).digest == second
    assert steps == [0, 1, 2, 3, *range(3, STEPS)]


def test_the_first_loop_ends_the_resuming_and_so_does_the_one_that_loads(
    coordinator: Coordinator, links: list[Link], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Resumed: step 0 by the first training of the script, and no word by those after its own."""
    go_on_when_durable(coordinator)
    sdk.run(Tiny, steps=1)
    sdk.run(Tiny, {"before_step": asks_before(3, coordinator, links)}, steps=STEPS)
    monkeypatch.setenv("GPURUN_RESUME", coordinator.wait_for(m.Durable).checkpoint)
    for attached in (1, 2, 3):
        coordinator.heard.clear()
        sdk.run(Tiny, {"before_step": lambda _: coordinator.wait_for(m.Attach)}, steps=STEPS)
        coordinator.wait_for(m.Detach)
        said = [resumed.step for resumed in coordinator.of(m.Resumed)]
        assert said == {1: [0], 2: [3], 3: []}[attached]


def test_the_conversation(coordinator: Coordinator, links: list[Link]) -> None:
    """Hello, Attach, Capturing, Durable, Detach: in this order, with the attempt's token."""
    go_on_when_durable(coordinator)
    sdk.run(Tiny, {"before_step": asks_before(1, coordinator, links)}, steps=3)
    coordinator.wait_for(m.Detach)
    kinds = [type(message).__name__ for message in coordinator.talk]
    assert kinds == ["Hello", "Attach", "Capturing", "Durable", "Detach"]
    attach, capturing, durable, detach = coordinator.talk[1:]
    assert isinstance(attach, m.Attach)
    assert (attach.pausable, attach.resting, attach.token) == (("stand", "park", "exit"), 0, TOKEN)
    assert detach == m.Detach(job=JOB, attempt=attach.attempt, token=TOKEN, pid=attach.pid)
    assert attach.pid == os.getpid()
    assert isinstance(capturing, m.Capturing)
    assert isinstance(durable, m.Durable)
    assert capturing.request == durable.request == 2
    files = [f"{at}/{name}" for at, _, names in os.walk(durable.checkpoint) for name in names]
    assert durable.size == sum(os.path.getsize(file) for file in files)
    assert 0 < durable.seconds < 20


def test_after_the_deadline_it_trains_on_until_asked_anew(
    expected: str, coordinator: Coordinator, links: list[Link]
) -> None:
    """Overdue is said once; the same request with a later deadline is carried out."""
    go_on_when_durable(coordinator)
    late, anew = asks_before(3, coordinator, links, seconds=-1), asks_before(3, coordinator, links)

    def hook(now: int) -> None:
        late(now)
        if now == 5:
            coordinator.wait_for(m.Overdue)
            anew(2)

    assert sdk.run(Tiny, {"before_step": hook}, steps=STEPS).digest == expected
    assert [overdue.request for overdue in coordinator.of(m.Overdue)] == [4]
    assert [(d.request, d.step) for d in coordinator.of(m.Durable)] == [(4, 6)]


def test_a_request_withdrawn_before_the_safe_point_is_forgotten(
    expected: str, coordinator: Coordinator, links: list[Link]
) -> None:
    """GoOn clears the flag, and nothing is written."""
    asks = asks_before(3, coordinator, links)

    def hook(now: int) -> None:
        asks(now)
        if now == 2:
            coordinator.say(m.GoOn(job=JOB, request=4))
            wait_until(lambda: links[-1].request is None, "the withdrawal")

    assert sdk.run(Tiny, {"before_step": hook}, steps=STEPS).digest == expected
    assert not coordinator.of(m.Capturing)
    assert not os.path.exists(os.environ["GPURUN_CHECKPOINT_DIR"])


def test_a_request_withdrawn_during_the_save_is_not_rested_for(
    expected: str, coordinator: Coordinator, links: list[Link]
) -> None:
    """GoOn that arrives while the checkpoint is written is answered with Refused."""

    class Slow(Tiny):
        def save_checkpoint(self, checkpoint_dir: str) -> None:
            super().save_checkpoint(checkpoint_dir)
            coordinator.say(m.GoOn(job=JOB, request=4))
            wait_until(lambda: links[-1].withdrawn == 4, "the withdrawal")

    asks = asks_before(3, coordinator, links)
    assert sdk.run(Slow, {"before_step": asks}, steps=STEPS).digest == expected
    assert coordinator.wait_for(m.Refused).text == "withdrawn"
    assert not coordinator.of(m.Durable)


def test_asked_again_while_it_rests_it_answers_again(
    expected: str, coordinator: Coordinator, links: list[Link]
) -> None:
    """A lost Durable is said again, and a new request gets the checkpoint that is there."""
    answers = iter([4, 9])

    def react(_: m.Durable) -> m.Message:
        number = next(answers, 0)
        if number:
            return m.PauseRequest(job=JOB, request=number, deadline=0.0, how="exit")
        return m.GoOn(job=JOB, request=9)

    coordinator.on(m.Durable, react)
    asks = asks_before(3, coordinator, links)
    assert sdk.run(Tiny, {"before_step": asks}, steps=STEPS).digest == expected
    said = coordinator.of(m.Durable)
    assert [durable.request for durable in said] == [4, 4, 9]
    assert len({durable.checkpoint for durable in said}) == 1
