"""A short folder, coordinators in it, and clients of theirs."""

import shutil
import tempfile
from collections.abc import Callable, Iterator

import pytest
import zmq
from tests.coordinator.edges.parts import Client, Coordinator
from tests.coordinator.gpus.helpers import Child, programs


@pytest.fixture
def folder() -> Iterator[str]:
    """Short, because a socket's path is."""
    path = tempfile.mkdtemp(prefix="gc-")
    yield path
    shutil.rmtree(path)


@pytest.fixture
def coordinator(folder: str) -> Iterator[Coordinator]:
    """No daemon runs yet; whatever runs at the end is killed."""
    parts = Coordinator(folder)
    yield parts
    parts.close()


@pytest.fixture
def context() -> Iterator["zmq.Context[zmq.Socket[bytes]]"]:
    """Whatever sockets it has are closed at the end."""
    context = zmq.Context()
    yield context
    context.destroy(linger=0)


@pytest.fixture
def connect(
    coordinator: Coordinator, context: "zmq.Context[zmq.Socket[bytes]]"
) -> Iterator[Callable[[], Client]]:
    """Open connections of one's own."""
    clients: list[Client] = []

    def open_one() -> Client:
        clients.append(Client(context, coordinator.socket))
        return clients[-1]

    yield open_one
    for client in clients:
        client.socket.close()


@pytest.fixture
def child() -> Iterator[Callable[..., Child]]:
    """Start programs that are gone when the test is."""
    with programs() as start:
        yield start
