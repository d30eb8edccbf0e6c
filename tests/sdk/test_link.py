"""Nothing that the coordinator does or fails to do disturbs the training."""

import multiprocessing
import os
import threading
import time
from collections.abc import Callable

import pytest
import zmq
from tests.sdk.coordinator_double import JOB, Coordinator, mortal_process, replaced_at, wait_until
from tests.sdk.trainings import Tiny

from gpurun import sdk
from gpurun.protocol import messages as m
from gpurun.protocol.codec import encode
from gpurun.protocol.version import PROTOCOL, disagreement
from gpurun.sdk import connection, resting
from gpurun.sdk import link as link_module
from gpurun.sdk.attempt import attempt
from gpurun.sdk.link import Link

STEPS = 6


@pytest.fixture(scope="module")
def expected() -> str:
    """The digest of the training that nobody interrupts."""
    return sdk.run(Tiny, steps=STEPS).digest


def test_without_a_coordinator_it_trains(
    expected: str, under_gpurun: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody listens at the socket: the same result, and not a word."""
    assert sdk.run(Tiny, steps=STEPS).digest == expected
    assert capsys.readouterr().err == ""


def test_without_gpurun_there_is_no_thread(expected: str, links: list[Link]) -> None:
    """The link exists only under gpurun."""
    assert sdk.run(Tiny, steps=STEPS).digest == expected
    assert links == []


def test_a_coordinator_of_another_version_is_named_once(
    expected: str,
    coordinator: Coordinator,
    links: list[Link],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Problem in place of Welcome: one line though it asks again, and the training goes on."""
    monkeypatch.setattr(connection, "PATIENCE_MIN", 0.02)
    words = disagreement(PROTOCOL + 1, PROTOCOL)
    coordinator.welcome = lambda _: m.Problem(text=words)

    def hook(step: int) -> None:
        if step == 2:
            coordinator.wait_for(m.Hello, 3)

    assert sdk.run(Tiny, {"before_step": hook}, steps=STEPS).digest == expected
    lines = capsys.readouterr().err.splitlines()
    assert [line for line in lines if words in line] == lines
    assert len(lines) == 1


def test_noise_on_the_socket_is_ignored(
    expected: str, coordinator: Coordinator, links: list[Link]
) -> None:
    """Bytes of no message, messages for another job, and unknown answers change nothing."""
    coordinator.on(m.Durable, lambda heard: m.GoOn(job=JOB, request=heard.request))

    def hook(step: int) -> None:
        if step == 2:
            coordinator.wait_for(m.Attach)
            coordinator.say_bytes(b"\xc1 not a message")
            coordinator.say(
                m.PauseRequest(job=JOB + 1, request=1, deadline=float("inf"), how="exit")
            )
            coordinator.say(m.Done(job=JOB, text="what?"))
            coordinator.say(m.GoOn(job=JOB, request=99))
            wait_until(lambda: links[-1].withdrawn == 99, "the last of it")

    assert sdk.run(Tiny, {"before_step": hook}, steps=STEPS).digest == expected
    assert not coordinator.of(m.Capturing)


def test_it_greets_the_next_coordinator(
    expected: str, under_gpurun: dict[str, str], links: list[Link]
) -> None:
    """The end of a coordinator is seen at once; the next one hears Attach and can pause."""
    with (
        mortal_process() as first,
        Coordinator(under_gpurun["GPURUN_SOCKET"], first.pid) as double,
    ):

        def hook(step: int) -> None:
            if step == 2:
                wait_until(lambda: links[-1].welcomed, "the welcome")
                double.pid = os.getpid()
                first.kill()
                assert double.wait_for(m.Attach, 2).resting == 0
                wait_until(lambda: links[-1].dead_since is None, "the second welcome")
                double.pause(5)
                wait_until(lambda: links[-1].request is not None, "the request")

        double.on(m.Durable, lambda heard: m.GoOn(job=JOB, request=heard.request))
        assert sdk.run(Tiny, {"before_step": hook}, steps=STEPS).digest == expected
        assert [durable.step for durable in double.of(m.Durable)] == [3]


def test_the_end_of_a_loop_is_said_also_after_an_error(coordinator: Coordinator) -> None:
    """Detach is on its way before the error reaches the script: a pause is not waited for."""

    def hook(_: int) -> None:
        coordinator.wait_for(m.Attach)
        raise ValueError("no data")

    with pytest.raises(ValueError, match="no data"):
        sdk.run(Tiny, {"before_step": hook}, steps=STEPS)
    assert coordinator.wait_for(m.Detach).pid == os.getpid()


def test_the_last_words_are_not_cut_off(coordinator: Coordinator) -> None:
    """What fills the socket just before the end arrives whole, and Detach behind it."""
    link = opened_link()
    coordinator.wait_for(m.Attach)
    fill_socket(link)
    link.close()
    coordinator.wait_for(m.Detach)
    assert len(coordinator.of(m.Refused)) == 50


def test_who_does_not_listen_cannot_hold_up_the_end(
    under_gpurun: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside a coordinator that reads nothing more the training ends after FAREWELL."""
    monkeypatch.setattr(link_module, "FAREWELL", 0.3)
    with zmq.Context() as context, context.socket(zmq.ROUTER) as socket:
        socket.linger, socket.rcvhwm = 0, 1
        socket.bind(f"ipc://{under_gpurun['GPURUN_SOCKET']}")
        link = opened_link()
        peer, _hello = socket.recv_multipart()
        socket.send_multipart([peer, encode(m.Welcome(version="deaf", pid=os.getpid()))])
        wait_until(lambda: link.welcomed, "the welcome")
        fill_socket(link)
        began = time.monotonic()
        link.close()
        assert 0.25 < time.monotonic() - began < 5


def opened_link() -> Link:
    """The link of the attempt in the environment."""
    found = attempt()
    assert found is not None
    link = Link(found, ("exit",), None)
    link.open()
    return link


def fill_socket(link: Link) -> None:
    """Say more than the kernel's buffers hold."""
    for request in range(50):
        link.send(m.Refused(**link.fields(), request=request, text="x" * 100_000))


def test_many_trainings_of_one_script_leave_nothing_open(coordinator: Coordinator) -> None:
    """A link gives back its descriptors and its thread."""

    def hook(_: int) -> None:
        coordinator.wait_for(m.Attach)

    def held() -> tuple[int, int]:
        return len(os.listdir("/proc/self/fd")), threading.active_count()

    sdk.run(Tiny, {"before_step": hook}, steps=1)
    before = held()
    for _ in range(3):
        sdk.run(Tiny, {"before_step": hook}, steps=1)
    wait_until(lambda: held() <= before, "the descriptors' return")


def test_a_coordinator_that_returns_hears_of_the_rest(
    expected: str, under_gpurun: dict[str, str], links: list[Link]
) -> None:
    """Attach says which request the training rests for and where its checkpoint is."""
    with replaced_at(m.Durable, under_gpurun["GPURUN_SOCKET"], "resting") as double:
        ask = pause_before(3, double, links)
        assert sdk.run(Tiny, {"before_step": ask}, steps=STEPS).digest == expected
        resting = double.of(m.Attach)[-1]
        assert resting.resting == 3
        assert resting.checkpoint == double.of(m.Durable)[0].checkpoint


def test_beside_a_dead_coordinator_it_rests_for_a_while_only(
    expected: str,
    under_gpurun: dict[str, str],
    links: list[Link],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """After GRACE it trains on, and says so to who comes later."""
    monkeypatch.setattr(resting, "GRACE", 0.3)
    with mortal_process() as process:
        double = Coordinator(under_gpurun["GPURUN_SOCKET"], process.pid)
        ask = pause_before(3, double, links)
        rested: list[float] = []

        def hook(step: int) -> None:
            ask(step)
            if step == 3:
                rested.append(time.monotonic())
                with Coordinator(under_gpurun["GPURUN_SOCKET"]) as second:
                    assert second.wait_for(m.Attach).resting == 0

        def die(_: m.Durable) -> None:
            double.stop()
            process.kill()
            rested.append(time.monotonic())

        double.on(m.Durable, die)
        with double:
            assert sdk.run(Tiny, {"before_step": hook}, steps=STEPS).digest == expected
    assert rested[1] - rested[0] >= 0.3


def pause_before(step: int, double: Coordinator, links: list[Link]) -> Callable[[int], None]:
    """A hook that has request number `step` arrive just before that step."""

    def hook(now: int) -> None:
        if now == step - 1:
            wait_until(lambda: links[-1].welcomed, "the welcome")
            double.pause(step)
            wait_until(lambda: links[-1].request is not None, "the request")

    return hook


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_fork_has_no_use_of_the_link(coordinator: Coordinator) -> None:
    """What a forked child tries to say or to end never reaches the parent's link."""
    link = opened_link()
    coordinator.wait_for(m.Attach)

    def misuse() -> None:
        link.send(m.Overdue(**link.fields(), request=1))
        link.close()

    thread = next(thread for thread in threading.enumerate() if thread.name == "gpurun")
    wait_until(lambda: link.welcomed and "S (sleeping)" in about(thread), "its sleep")
    before = switches(thread)
    child = multiprocessing.get_context("fork").Process(target=misuse)
    child.start()
    child.join(20)
    assert child.exitcode == 0
    assert switches(thread) == before, "the parent's thread was woken"
    link.send(m.Overdue(**link.fields(), request=2))
    assert coordinator.wait_for(m.Overdue).request == 2
    assert len(coordinator.peers) == 1
    link.close()


def test_pitfall_11_loader_workers_do_not_speak(coordinator: Coordinator) -> None:
    """A training with forked workers is one peer, which attaches once."""

    def hook(step: int) -> None:
        if step == 5:
            coordinator.wait_for(m.Attach)

    sdk.run(Tiny, {"workers": 2, "before_step": hook}, steps=STEPS)
    assert len(coordinator.peers) == len(coordinator.of(m.Attach)) == 1


def test_an_idle_link_uses_no_processor(coordinator: Coordinator) -> None:
    """Between messages its thread sleeps in poll: it is not scheduled even once."""
    link = opened_link()
    wait_until(lambda: link.welcomed, "the welcome")
    thread = next(thread for thread in threading.enumerate() if thread.name == "gpurun")
    wait_until(lambda: "S (sleeping)" in about(thread), "its sleep")
    before = switches(thread)
    threading.Event().wait(0.3)
    assert switches(thread) - before <= 1
    link.close()
    assert not thread.is_alive()


def about(thread: threading.Thread) -> str:
    """What the kernel says of a thread."""
    with open(f"/proc/self/task/{thread.native_id}/status", encoding="ascii") as file:
        return file.read()


def switches(thread: threading.Thread) -> int:
    """How often the thread was given a processor."""
    lines = about(thread).splitlines()
    return sum(int(line.split()[1]) for line in lines if "ctxt_switches" in line)
