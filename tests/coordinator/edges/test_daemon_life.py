"""The daemon killed, starved and lied to; its jobs go on."""

import os
import resource
import shutil
import signal
import sqlite3
import sys
from collections.abc import Callable

import msgspec
from tests.coordinator.edges.parts import DEADLINE, LAUNCHER, Client, Coordinator, submission
from tests.coordinator.gpus.helpers import Child, wait_until

from gpurun.protocol import messages as m
from gpurun.protocol.codec import decode_reply, encode
from gpurun.protocol.quantity import GIB

Connect = Callable[[], Client]
Start = Callable[..., Child]


def submit_from(child: Start, coordinator: Coordinator, uuid: str, memory: int = 2) -> Child:
    """A launcher that is a process of its own; its job is accepted."""
    words = encode(submission(uuid, memory)).hex()
    launcher = child(sys.executable, "-c", LAUNCHER, f"ipc://{coordinator.socket}", words)
    assert launcher.stdout is not None
    accepted = decode_reply(bytes.fromhex(launcher.stdout.readline().decode()))
    assert isinstance(accepted, m.Accepted)
    return launcher


def kill(process: Child) -> None:
    """End a process without a word, and reap it."""
    process.kill()
    process.wait(DEADLINE)


# --- being killed


def test_a_killed_one_leaves_every_job_to_the_next(
    coordinator: Coordinator, connect: Connect, child: Start
) -> None:
    """What runs is charged as before and is nobody's foreign program; what waits keeps its turn."""
    first = coordinator.start()
    client, waiter, process = connect(), connect(), child()
    running = client.submit("a", 12)
    held = client.start(running, process)
    waiting = waiter.submit("b", 20)
    waiter.expect(m.Waiting)
    kill(first)
    coordinator.start()
    again = connect()
    assert again.states() == {running: "running", waiting: "queued"}
    wait_until(lambda: again.status().status.devices[0].memory.used == 12 * GIB)
    (device,) = again.status().status.devices
    assert (device.memory.external, device.memory.reserved) == (0, 12 * GIB)
    assert waiter.submit("b", 20) == waiting
    assert again.submit("a", 12, held) == running
    kill(process)
    again.say(m.Exited(job=running, attempt=held.attempt, code=3))
    again.expect(m.Ended)
    assert waiter.expect(m.Grant).job == waiting
    assert again.submit("c", 1) > waiting


def test_what_ended_while_none_ran_is_found_out_by_the_next(
    coordinator: Coordinator, connect: Connect, child: Start
) -> None:
    first = coordinator.start()
    gone = submit_from(child, coordinator, "gone")
    stays = submit_from(child, coordinator, "stays")
    waits = submit_from(child, coordinator, "waits", 24)
    kill(first)
    kill(gone)
    kill(waits)
    coordinator.start()
    assert connect().states() == {1: "lost", 2: "starting", 3: "cancelled"}
    assert stays.poll() is None


def test_an_end_that_was_left_in_a_file_is_read_once(
    coordinator: Coordinator, connect: Connect, child: Start
) -> None:
    first = coordinator.start()
    client = connect()
    job = client.submit("a")
    held = client.start(job, child())
    wait_until(lambda: client.states() == {job: "running"})
    kill(first)
    spool = f"{coordinator.state}/ends"
    os.makedirs(spool)
    with open(f"{spool}/a.json", "wb") as file:
        file.write(msgspec.json.encode(m.Exited(job=job, attempt=held.attempt, code=7)))
    coordinator.start()
    (found,) = connect().status().status.jobs
    assert (found.state, found.exit_code) == ("failed", 7)
    assert not os.listdir(spool)


# --- running


def test_the_end_of_a_launcher_is_seen_at_once(
    coordinator: Coordinator, connect: Connect, child: Start
) -> None:
    """Nobody can say whether a lease was used; with a word in a file that word counts."""
    coordinator.start()
    client = connect()
    kill(submit_from(child, coordinator, "silent"))
    wait_until(lambda: client.states() == {1: "lost"})
    launcher = submit_from(child, coordinator, "told")
    spool = f"{coordinator.state}/ends"
    os.makedirs(spool)
    with open(f"{spool}/told.json", "wb") as file:
        file.write(msgspec.json.encode(m.SpawnFailed(job=2, attempt=1, code=127)))
    kill(launcher)
    wait_until(lambda: client.states()[2] == "failed")
    wait_until(lambda: not os.listdir(spool))


def test_a_process_that_nobody_can_have_is_not_believed(
    coordinator: Coordinator, connect: Connect
) -> None:
    """Whatever number a client names, the daemon goes on."""
    process = coordinator.start()
    for number, pid in enumerate([0, -1, 2**31, 2**40, 2**63]):
        client = connect()
        job = client.submit(f"u{number}", gpus=0)
        grant = client.expect(m.Grant)
        client.say(m.Spawned(job=job, attempt=grant.attempt, pid=pid, start_time=1))
        client.say(m.Exited(job=job, attempt=grant.attempt, code=0))
        assert client.expect(m.Ended).job == job
    assert process.poll() is None


def test_a_word_and_its_withdrawal_in_one_batch_are_both_heard(
    coordinator: Coordinator, connect: Connect
) -> None:
    """A grant is repeated to a launcher that says hello again, and leaves in the same breath."""
    process = coordinator.start()
    client = connect()
    job = client.submit("a")
    client.expect(m.Grant)
    process.send_signal(signal.SIGSTOP)
    client.say(submission("a"), m.Leave(job=job))
    process.send_signal(signal.SIGCONT)
    wait_until(lambda: client.states() == {job: "cancelled"})


def test_a_disk_that_is_full_admits_nothing_until_it_is_not(
    coordinator: Coordinator, connect: Connect
) -> None:
    """What cannot be written is not said; the log says why, and the same batch is tried again."""
    process = coordinator.start()
    client = connect()
    client.expect(m.Welcome)
    none = (4096, resource.getrlimit(resource.RLIMIT_FSIZE)[1])
    before = resource.prlimit(process.pid, resource.RLIMIT_FSIZE, none)
    client.say(submission("a"))
    wait_until(lambda: "nothing starts until it can be written" in coordinator.log())
    assert client.unread == []
    assert not client.socket.poll(0)
    late = connect()
    assert "nothing starts until it can be written" in late.ask(submission("b"), m.Problem).text
    assert late.status().status.coordinator.pid == process.pid, "questions are answered meanwhile"
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, before)
    assert client.expect(m.Accepted).job == 1
    assert client.expect(m.Grant).job == 1
    connection = sqlite3.connect(f"{coordinator.state}/jobs.sqlite")
    assert connection.execute("SELECT count(*) FROM jobs").fetchone() == (1,)
    connection.close()


def test_a_question_sees_what_was_said_before_it(
    coordinator: Coordinator, connect: Connect
) -> None:
    """A command and a question that come in one batch are taken in their order."""
    process = coordinator.start()
    client = connect()
    job = client.submit("a")
    process.send_signal(signal.SIGSTOP)
    client.say(m.Leave(job=job), m.AskStatus())
    process.send_signal(signal.SIGCONT)
    assert client.expect(m.StatusReply).status.jobs == ()


def test_it_can_be_ended_while_it_cannot_write(coordinator: Coordinator, connect: Connect) -> None:
    """An end that was left in a file stays there for the next one."""
    process = coordinator.start()
    client = connect()
    client.expect(m.Welcome)
    none = (4096, resource.getrlimit(resource.RLIMIT_FSIZE)[1])
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, none)
    client.say(submission("a"))
    wait_until(lambda: "nothing starts until it can be written" in coordinator.log())
    process.send_signal(signal.SIGTERM)
    assert process.wait(DEADLINE) == 0
    assert not client.socket.poll(0)


def test_a_program_occupies_a_simulated_device_for_its_life(
    coordinator: Coordinator, connect: Connect, child: Start
) -> None:
    """It is external: nobody submitted it."""
    coordinator.start()
    client = connect()
    load = m.SimulateLoad(memory=20 * GIB, utilization=0.5, pid=0)
    assert client.ask(load, m.Done).text.startswith("holding 20.0 GiB and 50 %")
    wait_until(lambda: client.status().status.devices[0].memory.external == 20 * GIB)
    refused = m.SimulateLoad(memory=-1, utilization=0.5, pid=0)
    assert client.ask(refused, m.Problem).code == 2


def test_a_coordinator_that_has_lost_its_socket_makes_room_for_another(
    coordinator: Coordinator, connect: Connect
) -> None:
    """Logging out removes the runtime folder; the next one has the same jobs."""
    process = coordinator.start()
    job = connect().submit("a")
    shutil.rmtree(coordinator.runtime)
    successor = coordinator.start()
    assert process.wait(DEADLINE) == 0
    assert successor.pid != process.pid
    assert job in connect().states()
