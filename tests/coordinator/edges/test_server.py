"""The socket: who speaks by the kernel's word, and what a flood or garbage does to others."""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
import zmq
from tests.coordinator.edges.parts import DEADLINE, gathered

from gpurun.coordinator.server import Incoming, Server, ServerError
from gpurun.protocol import messages as m
from gpurun.protocol.codec import MAX_MESSAGE, decode_reply

MILLISECONDS = 15_000
Context = zmq.Context[zmq.Socket[bytes]]


@pytest.fixture
def server(folder: str) -> Iterator[Server]:
    server = Server(f"ipc://{folder}/s")
    yield server
    server.close()


@pytest.fixture
def dealer(folder: str, context: Context) -> Iterator["zmq.Socket[bytes]"]:
    socket = context.socket(zmq.DEALER)
    socket.connect(f"ipc://{folder}/s")
    yield socket
    socket.close(linger=0)


def received(server: Server, count: int = 1) -> list[Incoming]:
    """Wait for so many frames."""
    return gathered(server.receive, count)


def test_a_sender_is_who_the_kernel_says(server: Server, folder: str) -> None:
    """Another process cannot choose its uid and pid."""
    program = (
        "import sys, zmq\ns = zmq.Context.instance().socket(zmq.DEALER)\n"
        "s.connect(sys.argv[1])\ns.send(b'localhost:1:1:1')\nsys.stdin.read()"
    )
    command = [sys.executable, "-c", program, f"ipc://{folder}/s"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        (incoming,) = received(server)
        assert (incoming.uid, incoming.pid) == (os.getuid(), process.pid)
        assert incoming.data == b"localhost:1:1:1"
        process.communicate(timeout=DEADLINE)


def test_an_answer_reaches_who_asked(
    server: Server, dealer: "zmq.Socket[bytes]", context: Context, folder: str
) -> None:
    with context.socket(zmq.DEALER) as other:
        other.connect(f"ipc://{folder}/s")
        other.send(b"other")
        dealer.send(b"mine")
        peers = {incoming.data: incoming.peer for incoming in received(server, 2)}
        server.send(peers[b"mine"], m.Problem(text="for you"))
        assert dealer.poll(MILLISECONDS)
        assert decode_reply(dealer.recv()) == m.Problem(text="for you")
        assert not other.poll(0)


def test_a_message_of_the_greatest_size_arrives(
    server: Server, dealer: "zmq.Socket[bytes]"
) -> None:
    dealer.send(bytes(MAX_MESSAGE))
    assert len(received(server)[0].data) == MAX_MESSAGE


def test_one_that_is_too_long_never_arrives_and_closes_only_its_sender(
    server: Server, dealer: "zmq.Socket[bytes]", context: Context, folder: str
) -> None:
    with context.socket(zmq.DEALER) as other:
        other.connect(f"ipc://{folder}/s")
        other.send(b"before")
        received(server)
        monitor = dealer.get_monitor_socket(zmq.EVENT_DISCONNECTED)
        dealer.send(bytes(MAX_MESSAGE + 1))
        assert monitor.poll(MILLISECONDS)
        dealer.disable_monitor()
        monitor.close()
        other.send(b"after")
        assert [incoming.data for incoming in received(server)] == [b"after"]


def test_a_message_of_many_parts_is_dropped_and_the_next_is_heard(
    server: Server, dealer: "zmq.Socket[bytes]"
) -> None:
    dealer.send_multipart([b"one", b"two"])
    dealer.send_multipart([b"x"] * 1000)
    dealer.send(b"whole")
    assert [incoming.data for incoming in received(server)] == [b"whole"]


def test_a_peer_that_is_unknown_or_gone_misses_what_is_said(
    server: Server, context: Context, folder: str
) -> None:
    """That is no error: it says hello again when it is back."""
    server.send(b"nobody", m.Problem(text="x"))
    with context.socket(zmq.DEALER) as leaver:
        leaver.connect(f"ipc://{folder}/s")
        leaver.send(b"hello")
        (incoming,) = received(server)
    server.send(incoming.peer, m.Problem(text="x"))


def test_a_peer_that_does_not_read_holds_nobody_up(
    server: Server, dealer: "zmq.Socket[bytes]"
) -> None:
    dealer.rcvhwm = 1
    dealer.send(b"hello")
    (incoming,) = received(server)
    for _ in range(5000):
        server.send(incoming.peer, m.Problem(text="x" * 1000))


def test_a_turn_reads_no_more_than_a_batch(server: Server, dealer: "zmq.Socket[bytes]") -> None:
    """A flood leaves the loop time for everything else, and nothing of it is lost."""
    for _ in range(500):
        dealer.send(b"x")
    turns: list[int] = []

    def turn() -> list[Incoming]:
        frames = list(server.receive())
        turns.append(len(frames))
        return frames

    gathered(turn, 500)
    assert max(turns) <= 200


def test_an_endpoint_that_cannot_be_had_is_named(folder: str) -> None:
    with pytest.raises(ServerError, match="cannot listen on ipc://") as error:
        Server(f"ipc://{folder}/none/s")
    assert len(str(error.value).splitlines()) == 1


def test_after_it_is_closed_the_endpoint_is_free(folder: str) -> None:
    for _ in range(2):
        Server(f"ipc://{folder}/s").close()
