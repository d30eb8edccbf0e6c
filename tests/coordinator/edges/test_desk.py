"""The desk: what a client must show before anything that it says is believed."""

import os
from collections.abc import Iterator

import pytest
from tests.coordinator.core.world import World
from tests.coordinator.edges.parts import submission
from tests.protocol.examples import REPLIES, REQUESTS, example

from gpurun.coordinator.core.events import MessageEvent
from gpurun.coordinator.core.job import Process
from gpurun.coordinator.core.state import State
from gpurun.coordinator.desk import Desk, Question, user_name
from gpurun.coordinator.gpus.simulated import SimulatedDevices
from gpurun.coordinator.processes import start_time
from gpurun.coordinator.queries import Queries
from gpurun.coordinator.server import Incoming
from gpurun.coordinator.store import Store
from gpurun.coordinator.tokens import is_token, token_of
from gpurun.protocol import messages as m
from gpurun.protocol.codec import encode
from gpurun.protocol.quantity import GIB
from gpurun.protocol.version import PROTOCOL, VERSION

SECRET, WATCHED = "secret", "sim:24GiB"
HELLO = m.Hello(protocol=PROTOCOL, version=VERSION, devices=WATCHED)
MISSING = m.Problem(text="this is not the token of job 1")


@pytest.fixture
def store(folder: str) -> Iterator[Store]:
    store = Store(f"{folder}/jobs.sqlite")
    yield store
    store.close()


@pytest.fixture
def world() -> World:
    """One job runs, number 1."""
    world = World(24 * GIB)
    world.start(6, 0.1, uuid="one")
    return world


@pytest.fixture
def desk(world: World) -> Desk:
    return Desk(world.scheduler.state, SECRET, WATCHED)


@pytest.fixture
def queries(world: World, store: Store, folder: str) -> Queries:
    devices = SimulatedDevices(1, 24 * GIB, f"{folder}/simulation.json")
    return Queries(world.scheduler.state, store, devices, lambda: None)


def say(message: m.Message, peer: bytes = b"p", uid: int | None = None, pid: int = 0) -> Incoming:
    return Incoming(peer, os.getuid() if uid is None else uid, pid, encode(message))


def attach(token: str, attempt: int = 1) -> m.Attach:
    return m.Attach(pid=4711, job=1, attempt=attempt, token=token, pausable=("exit",))


def ask(desk: Desk, queries: Queries, message: m.Message) -> m.Message:
    """Put a question as the daemon does: the desk takes it, the queries answer it."""
    question = desk.take(say(message))
    assert isinstance(question, Question)
    return queries.answer(question)


def test_hello_is_answered_with_who_serves(desk: Desk) -> None:
    assert desk.take(say(HELLO)) == m.Welcome(version=VERSION, pid=os.getpid())


def test_after_a_hello_of_another_protocol_nothing_is_believed(desk: Desk) -> None:
    """It is told why, once; and another connection is none the worse for it."""
    newer = m.Hello(protocol=PROTOCOL + 1, version="9")
    problem = desk.take(say(newer))
    assert isinstance(problem, m.Problem)
    assert f"speaks protocol {PROTOCOL} and this program speaks {PROTOCOL + 1}" in problem.text
    for message in (submission("a"), m.Pause(job="1"), m.AskStatus(), HELLO):
        assert desk.take(say(message)) is None
    assert isinstance(desk.take(say(submission("a"), peer=b"other")), MessageEvent)


def test_after_a_hello_for_other_devices_nothing_is_believed(desk: Desk) -> None:
    other = m.Hello(protocol=PROTOCOL, version=VERSION, devices="nvml")
    problem = desk.take(say(other))
    assert isinstance(problem, m.Problem)
    assert "watches sim:24GiB, not nvml; gpurun coordinator stop" in problem.text
    assert desk.take(say(submission("a"))) is None


def test_who_names_no_devices_takes_those_that_are_watched(desk: Desk) -> None:
    hello = m.Hello(protocol=PROTOCOL, version=VERSION)
    assert isinstance(desk.take(say(hello)), m.Welcome)


def test_the_refused_are_remembered_up_to_a_number(desk: Desk) -> None:
    """A thousand of them; the memory of a daemon is not for strangers to fill."""
    newer = m.Hello(protocol=PROTOCOL + 1, version="9")
    for number in range(1100):
        desk.take(say(newer, peer=b"%d" % number))
    assert len(desk._refused) == 1000
    assert desk.take(say(HELLO, peer=b"1099")) is None


def test_another_user_is_told_whom_it_serves_and_nothing_else(desk: Desk) -> None:
    for message in (HELLO, submission("a"), m.AskStatus(), m.Pause(job="1")):
        answer = desk.take(say(message, uid=os.getuid() + 12345))
        assert answer == m.Problem(text=f"this coordinator serves {user_name(os.getuid())} only")


def test_root_is_served(desk: Desk) -> None:
    assert isinstance(desk.take(say(HELLO, uid=0)), m.Welcome)


@pytest.mark.parametrize("data", [b"", b"\xff", b"GET / HTTP/1.1\r\n\r\n", b"\x80" * 100])
def test_garbage_is_answered_with_a_problem(desk: Desk, data: bytes) -> None:
    answer = desk.take(Incoming(b"p", os.getuid(), 0, data))
    assert isinstance(answer, m.Problem)
    assert len(answer.text.splitlines()) == 1


@pytest.mark.parametrize("kind", REPLIES)
def test_what_only_a_coordinator_says_is_garbage_from_a_client(
    desk: Desk, kind: type[m.Message]
) -> None:
    assert isinstance(desk.take(say(example(kind))), m.Problem)


@pytest.mark.parametrize("kind", REQUESTS)
def test_every_request_is_answered_or_decided_and_none_stops_the_desk(
    desk: Desk, queries: Queries, kind: type[m.Message]
) -> None:
    answer = desk.take(say(example(kind)))
    if isinstance(answer, Question):
        answer = queries.answer(answer)
    assert isinstance(answer, m.Message | MessageEvent)


def test_a_training_is_heard_with_the_token_of_its_attempt(desk: Desk) -> None:
    message = attach(token_of(SECRET, "one", 1))
    event = desk.take(say(message))
    assert isinstance(event, MessageEvent)
    assert (event.message, event.uid, event.peer) == (message, os.getuid(), b"p")


@pytest.mark.parametrize(
    "message",
    [
        attach(""),
        attach("é"),
        attach(token_of(SECRET, "one", 2)),
        attach(token_of(SECRET, "two", 1)),
        attach(token_of("another", "one", 1)),
        attach(token_of(SECRET, "one", 1), attempt=2),
    ],
    ids=["none", "not ascii", "attempt", "job", "secret", "other attempt"],
)
def test_a_training_with_another_token_is_refused(desk: Desk, message: m.Attach) -> None:
    assert desk.take(say(message)) == MISSING


@pytest.mark.parametrize("kind", [k for k in REQUESTS if "token" in k.__struct_fields__])
def test_everything_that_a_training_says_needs_the_token(desk: Desk, kind: type[m.Message]) -> None:
    assert isinstance(desk.take(say(example(kind))), m.Problem)


def test_a_token_is_none_without_the_secret() -> None:
    token = token_of(SECRET, "u", 1)
    assert len(bytes.fromhex(token)) == 32
    assert is_token(token, SECRET, "u", 1)
    assert not is_token(token.upper(), SECRET, "u", 1)
    assert token_of(SECRET, "u1", 1) != token_of(SECRET, "u", 11)


def test_a_launcher_is_known_by_its_process(desk: Desk) -> None:
    """By the pid that the kernel names, with its start time; none in another pid namespace."""
    mine = desk.take(say(submission("a"), pid=os.getpid()))
    assert isinstance(mine, MessageEvent)
    assert mine.sender == Process(os.getpid(), start_time(os.getpid()) or 0)
    elsewhere = desk.take(say(submission("a"), pid=0))
    assert isinstance(elsewhere, MessageEvent)
    assert elsewhere.sender is None
    command = desk.take(say(m.Pause(job="1"), pid=os.getpid()))
    assert isinstance(command, MessageEvent)
    assert command.sender is None


def test_a_user_without_a_name_is_a_number() -> None:
    assert user_name(4_000_000_123) == "4000000123"


def test_why_is_asked_by_number_or_by_a_name_that_is_unique(
    desk: Desk, queries: Queries, world: World
) -> None:
    name = world.job(1).spec.name
    for reference in ("1", name):
        answer = ask(desk, queries, m.AskWhy(job=reference))
        assert isinstance(answer, m.WhyReply)
        assert answer.story.job.id == 1
    for reference in ("2", "", "99999999999999999999", "none"):
        assert isinstance(ask(desk, queries, m.AskWhy(job=reference)), m.Problem)


def test_why_is_answered_when_the_device_is_not_known_any_more(
    desk: Desk, queries: Queries, world: World
) -> None:
    """A coordinator that came back to a dead driver knows its jobs, not its devices."""
    state: State = world.scheduler.state
    state.devices.clear()
    answer = ask(desk, queries, m.AskWhy(job="1"))
    assert isinstance(answer, m.WhyReply)
    assert "holds 6.0 GiB and 10 % of GPU-0" in answer.text


def test_status_shows_what_lives_and_on_request_what_has_ended(
    desk: Desk, queries: Queries, world: World
) -> None:
    world.exit(1)
    world.submit(1, 0.1)
    shown = {}
    for everything in (False, True):
        answer = ask(desk, queries, m.AskStatus(everything=everything))
        assert isinstance(answer, m.StatusReply)
        shown[everything] = [job.id for job in answer.status.jobs]
    assert shown == {False: [2], True: [1, 2]}


def test_the_desk_decides_nothing(desk: Desk, world: World) -> None:
    """Nothing that the desk takes changes a job by itself."""
    before = dict(world.scheduler.state.jobs)
    for kind in REQUESTS:
        desk.take(say(example(kind)))
    assert world.scheduler.state.jobs == before


def test_devices_that_cannot_be_read_are_no_disagreement(desk: Desk) -> None:
    hello = m.Hello(protocol=PROTOCOL, version=VERSION, devices="sim:24")
    problem = desk.take(say(hello))
    assert isinstance(problem, m.Problem)
    assert problem.text.startswith("GPURUN_DEVICES='sim:24' is not known")
    assert "watches" not in problem.text
