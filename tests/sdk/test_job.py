"""A job's link is there while its loop is, and what cannot be saved or found again is said."""

import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from tests.sdk import loops
from tests.sdk.asking import Hook, asks_before, go_on_when_durable
from tests.sdk.coordinator_double import JOB, Coordinator, wait_until
from torch.utils.data import DataLoader, IterableDataset

from gpurun import sdk
from gpurun.protocol import messages as m
from gpurun.sdk.link import Link
from gpurun.sdk.loop import Job

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def comings_and_goings(coordinator: Coordinator) -> list[str]:
    """Attach and Detach, in their order."""
    return [
        type(said).__name__ for said in coordinator.talk if isinstance(said, m.Attach | m.Detach)
    ]


def welcomed(links: list[Link]) -> None:
    """Wait until the coordinator has answered."""
    wait_until(lambda: links[-1].welcomed, "the welcome")


# --- its beginning and its end


def _to_its_end(job: Job) -> None:
    for _ in job.steps(3):
        pass


def _broken_off(job: Job) -> None:
    for _ in job.epochs(3):
        for _ in job.batches([1, 2]):
            return


def _in_with(job: Job) -> None:
    with job:
        for _ in job.steps(3):
            pass


@pytest.mark.parametrize("loop", [_to_its_end, _broken_off, _in_with])
def test_it_is_detached_when_its_outermost_iteration_is_over(
    loop: Callable[[Job], None], coordinator: Coordinator, links: list[Link]
) -> None:
    """However it ends; what the script does then is no training that could be paused."""
    job = sdk.job(x=1)
    welcomed(links)
    loop(job)
    coordinator.wait_for(m.Detach)
    assert comings_and_goings(coordinator) == ["Attach", "Detach"]
    assert job.x == 1


def test_it_attaches_again_where_another_loop_follows(
    coordinator: Coordinator, links: list[Link]
) -> None:
    """And a job that nobody knows any more is closed."""
    job = sdk.job()
    welcomed(links)
    for _ in range(2):
        for _ in job.steps(2):
            pass
    del job
    coordinator.wait_for(m.Detach, 2)
    assert comings_and_goings(coordinator) == ["Attach", "Detach"] * 2
    wait_until(lambda: not links[-1]._thread.is_alive(), "the end of the thread")


def test_what_was_asked_of_an_earlier_loop_is_void(
    coordinator: Coordinator, links: list[Link]
) -> None:
    """The coordinator asks again, if it still wants it."""
    job = sdk.job()
    welcomed(links)
    for _ in job.steps(1):
        coordinator.pause(1)
        wait_until(lambda: links[-1].request is not None, "the request")
    for _ in job.steps(2):
        pass
    del job
    coordinator.wait_for(m.Detach, 2)
    assert not coordinator.of(m.Capturing)


SCRIPT = """
import sys, time
from gpurun import sdk
class OutOfMemoryError(RuntimeError): pass
job = sdk.job(x=1)
while not job._link.welcomed:
    time.sleep(0.001)
for _ in job.steps(3):
    {body}
job.turn()
{end}
"""


@pytest.mark.parametrize(
    ("body", "end", "code", "told"),
    [
        ("pass", "sys.exit(3)", 3, False),
        ("raise OutOfMemoryError('Tried to allocate 2.50 GiB.')", "", 1, True),
    ],
)
def test_the_interpreters_end_closes_it_in_order(
    body: str, end: str, code: int, told: bool, coordinator: Coordinator
) -> None:
    """Without `with`: the coordinator hears of the end, and of memory that was lacking."""
    script = SCRIPT.format(body=body, end=end)
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, timeout=60
    )
    assert done.returncode == code, done.stderr
    assert done.stderr.count("Traceback") == (code == 1)
    coordinator.wait_for(m.Detach)
    wait_until(lambda: comings_and_goings(coordinator)[-1] == "Detach")
    assert [said.needed for said in coordinator.of(m.OutOfMemory)] == [int(2.5 * 2**30)] * told


def test_with_tells_of_memory_that_was_lacking(coordinator: Coordinator) -> None:
    with pytest.raises(torch.OutOfMemoryError), sdk.job() as job:
        for _ in job.steps(1):
            raise torch.OutOfMemoryError("Tried to allocate 2.50 GiB.")
    assert coordinator.wait_for(m.OutOfMemory).needed == int(2.5 * 2**30)


def test_how_far_it_is_is_told_with_the_numbers_that_were_set_on_it(
    coordinator: Coordinator, links: list[Link]
) -> None:
    """Also the total, where the loader has a length."""
    job = sdk.job(loss=0.5, history=[])
    welcomed(links)
    for _ in job.epochs(3):
        for _ in job.batches([1, 2]):
            job.loss = 0.25
    coordinator.wait_for(m.Detach)
    wait_until(lambda: bool(coordinator.of(m.Progress)), "a word")
    said = coordinator.of(m.Progress)[-1]
    assert (said.total, said.text) == (6, "loss 0.25")
    for _ in job.steps(4):
        pass
    del job
    wait_until(lambda: coordinator.of(m.Progress)[-1].step == 10, "the last word")
    assert coordinator.of(m.Progress)[-1].total == 10


# --- what it says


def test_one_that_is_not_known_to_survive_a_respawn_says_so(
    coordinator: Coordinator, links: list[Link]
) -> None:
    """It can do it all the same, where the person says so (--pause exit)."""
    words: list[str] = []
    for respawn in (False, True):
        job = sdk.job(respawn=respawn)
        welcomed(links)
        words.append(coordinator.wait_for(m.Attach, len(words) + 1).no_respawn)
        del job
    assert "sdk.job(respawn=True)" in words[0]
    assert words[1] == ""
    assert coordinator.of(m.Attach)[0].pausable == ("stand", "park", "exit")


@pytest.mark.parametrize("name", ["epoch", "batches", "turn", "_route"])
def test_a_name_that_is_the_jobs_own_is_refused(name: str) -> None:
    values: dict[str, Any] = {name: 1}
    with pytest.raises(TypeError, match=f"job.{name} is the job's own; give the value another"):
        sdk.job(**values)


class Odd:
    """Neither data nor anything with a state_dict."""

    def __init__(self) -> None:
        self.count = 0


def test_what_cannot_be_saved_is_named_and_costs_nothing(
    coordinator: Coordinator, links: list[Link], capsys: pytest.CaptureFixture[str]
) -> None:
    """One that has not changed since is no obstacle."""
    odd = Odd()
    job = sdk.job(odd=odd, constant=Odd())
    asks = asks_before(2, coordinator, links)
    for number in job.steps(3):
        odd.count += 1
        asks(number)
    assert "odd is a Odd that may have changed" in coordinator.wait_for(m.Refused).text
    assert "odd is a Odd" in capsys.readouterr().err


def paused(loop: Callable[[Hook], Any], coordinator: Coordinator, links: list[Link]) -> str:
    """The checkpoint of a loop that was paused behind its second turn."""
    go_on_when_durable(coordinator)
    loop(asks_before(3, coordinator, links))
    return coordinator.wait_for(m.Durable).checkpoint


def test_a_loop_that_does_not_come_to_its_place_says_so(
    coordinator: Coordinator,
    links: list[Link],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The script has been changed meanwhile; it is not paused then."""

    def loop(hook: Hook) -> None:
        job = sdk.job(respawn=True)
        for _ in job.steps(3):
            hook(job.step)

    monkeypatch.setenv("GPURUN_RESUME", paused(loop, coordinator, links))
    with sdk.job(respawn=True) as job:
        job.turn()
    assert "never came to the place" in capsys.readouterr().err


class Stream(IterableDataset[int]):
    """Numbers from somewhere that cannot be asked again."""

    def __init__(self) -> None:
        self.left = list(range(20))

    def __iter__(self) -> Iterator[int]:
        while self.left:
            yield self.left.pop(0)


def _streaming(hook: Hook, resume: str, seen: list[Any]) -> None:
    random.seed(1)
    job = sdk.job(respawn=True)
    stream = DataLoader(Stream(), batch_size=2)
    for _ in job.epochs(1):
        for x in job.batches(stream, resume):
            hook(job.step)
            seen.append((job.step, x[0].item()))
            if len(seen) >= 4:
                break


def test_data_that_cannot_return_stand_in_the_way_of_an_exit(
    coordinator: Coordinator, links: list[Link], capsys: pytest.CaptureFixture[str]
) -> None:
    """One line names the place in the script."""
    _streaming(lambda _: welcomed(links), "exact", [])
    wait_until(lambda: any(a.pausable == ("stand", "park") for a in coordinator.of(m.Attach)))
    (line,) = capsys.readouterr().err.splitlines()
    assert "but not exit: the data of " in line
    assert "test_job.py:" in line
    assert "see resume in sdk.batches" in line


@pytest.mark.parametrize(
    ("resume", "first"), [("skip", (3, 4)), ("epoch", (3, 0)), ("fresh", (3, 0))]
)
def test_unless_it_is_said_how_they_go_on(
    resume: str,
    first: tuple[int, int],
    coordinator: Coordinator,
    links: list[Link],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Behind the second batch, read again up to there; or from the beginning."""
    path = paused(lambda hook: _streaming(hook, resume, []), coordinator, links)
    monkeypatch.setenv("GPURUN_RESUME", path)
    seen: list[Any] = []
    _streaming(lambda _: None, resume, seen)
    assert seen[0] == first


def test_batches_that_are_asked_for_in_two_places_stand_in_the_way_of_an_exit(
    coordinator: Coordinator, capsys: pytest.CaptureFixture[str]
) -> None:
    """A local carries one over the turn, and a script that is run again would lose it."""
    job = sdk.job(respawn=True)
    stream = iter(job.batches([1, 2, 3]))
    x = next(stream)
    for then in stream:
        x = then
    assert x == 3
    wait_until(lambda: any(a.pausable == ("stand", "park") for a in coordinator.of(m.Attach)))
    assert "set what is carried on the job" in capsys.readouterr().err


# --- evaluation


@pytest.mark.parametrize("how", ["stand", "park"])
def test_an_evaluation_stands_and_parks_where_it_is(
    how: str, coordinator: Coordinator, links: list[Link], releases: list[int]
) -> None:
    """One that parks says that there is no checkpoint that it could come back to."""
    coordinator.on(m.Standing, lambda heard: m.GoOn(job=JOB, request=heard.request))
    coordinator.on(m.Released, lambda heard: m.GoOn(job=JOB, request=heard.request))
    expected = loops.accumulating(lambda _: None)
    seen = 0
    job = sdk.job(respawn=True)
    welcomed(links)
    for _ in job.epochs(1):
        for x in job.watch([1, 2, 3]):
            seen += x
            if x == 1:
                coordinator.pause(1, how=how)
                wait_until(lambda: links[-1].request is not None, "the request")
            else:
                assert links[-1].request is None
    assert seen == 6
    assert len(coordinator.of(m.Standing)) + len(coordinator.of(m.Released)) == 1
    assert [said.text for said in coordinator.of(m.Unsaved)] == (
        ["it is in an evaluation, to which it could not come back"] if how == "park" else []
    )
    assert not coordinator.of(m.Durable)
    assert expected == loops.accumulating(lambda _: None)


def test_an_evaluation_is_not_left_for_an_exit(coordinator: Coordinator, links: list[Link]) -> None:
    """The request waits for the next turn."""
    go_on_when_durable(coordinator)
    job = sdk.job(respawn=True)
    welcomed(links)
    for _ in job.epochs(2):
        for x in job.watch([1, 2, 3]):
            if x == 1 and not coordinator.of(m.Durable):
                coordinator.pause(1)
                wait_until(lambda: links[-1].request is not None, "the request")
            elif not coordinator.of(m.Durable):
                assert links[-1].request is not None
    assert coordinator.wait_for(m.Durable).step == 0


# --- outside gpurun, and at any moment


PLAIN = """
import sys
sys.modules.update(torch=None, numpy=None, zmq=None, msgspec=None, click=None)
from gpurun import sdk
job = sdk.job(total=0)
for number in job.steps(3):
    job.total += number
with job:
    for epoch in job.epochs(2):
        for x in job.batches([1, 2]):
            job.total += 10 * sum(job.watch([x]))
    job.turn()
print(job.total, job.epoch, job.batch, job.step)
"""


def test_outside_gpurun_it_is_a_plain_loop_that_needs_nothing() -> None:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GPURUN_")}
    done = subprocess.run(
        [sys.executable, "-c", PLAIN], capture_output=True, text=True, env=environment
    )
    assert (done.stdout, done.stderr) == ("63 1 0 8\n", "")


@pytest.mark.parametrize("requests", [200, pytest.param(1000, marks=pytest.mark.long)])
def test_pitfall_05_requests_at_any_moment_are_answered_at_a_boundary(
    requests: int, coordinator: Coordinator, links: list[Link], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pitfall 5: two values that are equal between two steps only are so in every checkpoint."""
    found: list[tuple[int, float, float]] = []
    job = sdk.job(respawn=True, done=0, weights=torch.zeros(3))

    def look(heard: m.Durable) -> m.Message:
        nodes = torch.load(f"{heard.checkpoint}/rank-0/state/state.pt", weights_only=True)
        values = nodes["values"]
        found.append((heard.step, values["done"], values["weights"]["data"].sum().item() / 3))
        return m.GoOn(job=JOB, request=heard.request)

    coordinator.on(m.Durable, look)
    welcomed(links)
    monkeypatch.setattr(os, "fsync", lambda _: None)
    ended = threading.Event()

    def ask() -> None:
        request = 0
        while not ended.is_set():
            request += 1
            coordinator.pause(request)
            deadline = time.monotonic() + 5
            while len(found) < request and not ended.is_set() and time.monotonic() < deadline:
                ended.wait(abs(random.gauss(0, 0.001)))

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        for _ in job.steps(10**9):
            job.done += 1
            for index in range(3):
                job.weights[index] += 1
            if len(found) >= requests:
                break
    finally:
        ended.set()
        asking.join()
    assert len({step for step, _, _ in found}) > requests / 2
    assert all(step == done == weight for step, done, weight in found)
