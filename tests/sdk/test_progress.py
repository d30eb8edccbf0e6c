"""How far a training is: said now and then, at no cost to it, whatever its metrics are."""

import os
import threading
import time
from typing import Any

import numpy
import pytest
import torch
from tests.sdk.coordinator_double import Coordinator, mortal_process, wait_until
from tests.sdk.test_link import about, opened_link, switches
from tests.sdk.trainings import Tiny

from gpurun import sdk
from gpurun.protocol import messages as m
from gpurun.sdk import progress as module
from gpurun.sdk.progress import Progress


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "EVERY", 0.05)


def said(metrics: object, step: int = 1, total: int = 0) -> dict[str, Any]:
    """What is said of a step with these metrics."""
    progress = Progress(os.eventfd(0), 0)
    progress.tell(step, total, metrics)
    news = progress.news()
    assert news is not None
    return news


@pytest.mark.parametrize(
    ("metrics", "text"),
    [
        ({"loss": 0.23149}, "loss 0.2315"),
        (
            {"loss": float("nan"), "epoch": 3, "phase": "warm-up"},
            "loss nan, epoch 3, phase warm-up",
        ),
        ({"loss": numpy.float32(0.5), "seen": numpy.int64(7)}, "loss 0.5, seen 7"),
        ({"loss": torch.tensor(0.5, requires_grad=True)}, "loss 0.5"),
        ({"loss": torch.tensor(0.5, device="meta"), "all": torch.zeros(3), "lr": 1.0}, "lr 1"),
        ({"model": object(), 3: 4, "list": [1.0]}, ""),
        ({str(number): number for number in range(9)}, "0 0, 1 1, 2 2, 3 3"),
        ({"name": "\udcff"}, "name ?"),
        ({"_runtime": 3.5, "loss": 1.0}, "loss 1"),
        ({"_private": 1, "": 2, "best": 0.5}, " 2, best 0.5"),
        ({"huge": 10**10_000, "lr": 1.0}, "lr 1"),
        (0.5, ""),
        (None, ""),
        (type("Own", (dict,), {"items": lambda _: 1 / 0})(loss=1.0), ""),
    ],
)
def test_figures_are_shown_and_whatever_else_there_is_harms_nobody(
    metrics: object, text: str
) -> None:
    """A device's tensor is not looked at, nor is a class asked that is not known."""
    assert said(metrics)["text"] == text


def test_what_is_said_fits_a_message() -> None:
    news = said({"text": "x" * 1000}, step=2**70, total=-1)
    assert len(news["text"]) == m.PROGRESS_TEXT
    assert (news["step"], news["total"]) == (2**63 - 1, 0)


def test_the_thread_sleeps_once_nothing_has_moved_and_is_woken_once(often: None) -> None:
    """It looks EVERY seconds while the last look found something new, and then not at all."""
    wake = os.eventfd(0, os.EFD_NONBLOCK)
    progress = Progress(wake, 0)
    assert progress.due() is None
    for step in range(1, 100):
        progress.tell(step, 100, {})
    assert os.eventfd_read(wake) == 1
    news, due = progress.news(), progress.due()
    assert news == {"step": 99, "total": 100, "text": ""}
    assert due is not None
    progress.tell(100, 100, {})
    assert progress.news() is None, "too soon"
    assert progress.due() == due
    wait_until(lambda: time.monotonic() >= due, "the next look")
    news = progress.news()
    assert news is not None
    assert news["step"] == 100
    wait_until(lambda: progress.news() is None and progress.due() is None, "its sleep")
    with pytest.raises(BlockingIOError):
        os.eventfd_read(wake)


def test_status_hears_of_a_training_and_of_its_end(often: None, coordinator: Coordinator) -> None:
    """From the first step on, in order, and at last all of it."""

    def hook(step: int) -> None:
        if step:
            coordinator.wait_for(m.Progress, step)

    sdk.run(Tiny, {"before_step": hook}, steps=4)
    coordinator.wait_for(m.Detach)
    heard = coordinator.of(m.Progress)
    assert [word.step for word in heard] == [1, 2, 3, 4]
    assert {word.total for word in heard} == {4}
    assert coordinator.heard.index(heard[-1]) < coordinator.heard.index(coordinator.of(m.Detach)[0])


def test_status_shows_a_jobs_values_and_nothing_of_its_own(
    often: None, coordinator: Coordinator
) -> None:
    """Also where there is no iteration, but turns."""
    job = sdk.job(best=0.5)
    with job:
        coordinator.wait_for(m.Attach)
        for _ in range(3):
            job.turn()
    coordinator.wait_for(m.Detach)
    assert {word.text for word in coordinator.of(m.Progress)} == {"best 0.5"}


def test_nothing_is_said_before_it_has_moved_and_seldom_then(coordinator: Coordinator) -> None:
    """A thousand steps in no time are one word, and the last."""
    link = opened_link()
    coordinator.wait_for(m.Attach)
    link.send(m.Cycled(**link.fields()))
    coordinator.wait_for(m.Cycled)
    assert not coordinator.of(m.Progress)
    for step in range(1, 1001):
        link.progress.tell(step, 0, None)
    coordinator.wait_for(m.Progress)
    link.progress.tell(1001, 0, None)
    link.close()
    coordinator.wait_for(m.Detach)
    assert len(coordinator.of(m.Progress)) == 2
    assert coordinator.of(m.Progress)[-1].step == 1001


def test_the_next_coordinator_hears_it_anew(often: None, under_gpurun: dict[str, str]) -> None:
    """Also where the training has not moved since."""
    with (
        mortal_process() as first,
        Coordinator(under_gpurun["GPURUN_SOCKET"], first.pid) as double,
    ):
        link = opened_link()
        wait_until(lambda: link.welcomed, "the welcome")
        link.progress.tell(5, 10, {})
        double.wait_for(m.Progress)
        double.pid = os.getpid()
        first.kill()
        assert double.wait_for(m.Progress, 2).step == 5
        link.close()


def test_a_training_that_stands_still_costs_no_processor(
    often: None, coordinator: Coordinator
) -> None:
    """After the look that finds nothing new the thread is not scheduled even once."""
    link = opened_link()
    wait_until(lambda: link.welcomed, "the welcome")
    link.progress.tell(1, 0, None)
    coordinator.wait_for(m.Progress)
    thread = next(thread for thread in threading.enumerate() if thread.name == "gpurun")
    asleep = lambda: link.progress.due() is None and "S (sleeping)" in about(thread)  # noqa: E731
    wait_until(asleep, "its sleep")
    before = switches(thread)
    threading.Event().wait(0.3)
    assert switches(thread) - before <= 1
    link.progress.tell(2, 0, None)
    assert coordinator.wait_for(m.Progress, 2).step == 2
    link.close()


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_neither_a_fork_nor_who_comes_after_the_end_wakes_anybody() -> None:
    wake = os.eventfd(0, os.EFD_NONBLOCK)
    progress = Progress(wake, 0)
    if (child := os.fork()) == 0:
        progress.tell(1, 0, None)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    progress.close()
    progress.tell(1, 0, None)
    with pytest.raises(BlockingIOError):
        os.eventfd_read(wake)
