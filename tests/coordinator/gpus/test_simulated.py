"""Simulated devices, held by real processes."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.coordinator.gpus.helpers import Child, number, own, python, wait_until

from gpurun.coordinator.core.sample import HEALTHY, OwnProcess
from gpurun.coordinator.gpus.loads import SimulationError
from gpurun.coordinator.gpus.simulated import SimulatedDevices, SimulatedOutOfMemoryError
from gpurun.coordinator.processes import start_time
from gpurun.protocol.quantity import GIB

Start = Callable[..., Child]
FIRST, SECOND = (f"SIM-00000000-0000-0000-0000-00000000000{index}" for index in range(2))


class Machine:
    """Two simulated devices of 24 GiB, and their file."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "simulation.json"
        self.devices = self.again()

    def again(self) -> SimulatedDevices:
        """Give the devices as a coordinator sees them that has just started."""
        return SimulatedDevices(2, 24 * GIB, str(self.file))

    def occupy(
        self,
        process: Child | int,
        gigabytes: float,
        device: str = "",
        utilization: float = 0.25,
        own: Sequence[OwnProcess] = (),
    ) -> str:
        """Register a load of a process; give the UUID that it lies on."""
        pid = process if isinstance(process, int) else process.pid
        memory = int(gigabytes * GIB)
        began = start_time(pid) or 0
        return self.devices.occupy(pid, began, device, memory, utilization, own).uuid

    def free(self, *roots: OwnProcess) -> list[float]:
        """Give what is left on each device, in GiB."""
        return [(device.free or 0) / GIB for device in self.devices.sample(roots)]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """An idle machine."""
    return Machine(tmp_path)


def job(process: Child, gigabytes: float = 6, number: int = 1, device: str = FIRST) -> OwnProcess:
    """Describe a job that reserved so much, and 30 % of the time."""
    memory = int(gigabytes * GIB)
    return own(number, process.pid, devices=(device,), memory=memory, utilization=0.3)


def test_idle_devices_are_whole(machine: Machine) -> None:
    """They have an index, a UUID and a name, and nobody on them."""
    first, second = machine.devices.sample(())
    assert (first.index, first.uuid, first.name) == (0, FIRST, "Simulated 24.0 GiB")
    assert (second.index, second.uuid) == (1, SECOND)
    assert (first.total, first.free, first.utilization) == (24 * GIB, 24 * GIB, 0.0)
    assert first.processes == ()
    assert first.health == HEALTHY


def test_a_job_uses_what_it_reserved_while_it_runs(machine: Machine, child: Start) -> None:
    """From the sample after its start to the one after its end."""
    main = child()
    root = job(main)
    first, second = machine.devices.sample([root])
    (process,) = first.processes
    assert (process.pid, process.start_time, process.job) == (main.pid, root.start_time, 1)
    assert (process.memory, process.utilization) == (6 * GIB, 0.3)
    assert (first.free, first.utilization, second.free) == (18 * GIB, 0.3, 24 * GIB)
    main.kill()
    wait_until(lambda: machine.free(root) == [24, 24])


def test_a_job_uses_what_it_reserved_on_each_of_its_devices(machine: Machine, child: Start) -> None:
    """A gang holds as much on every one."""
    main = child()
    root = own(1, main.pid, devices=(FIRST, SECOND), memory=GIB, utilization=0.1)
    assert machine.free(root) == [23, 23]


def test_a_parked_job_uses_nothing(machine: Machine, child: Start) -> None:
    """Whose reservation is nothing is not on the device, although its process lives."""
    parked = own(1, child().pid, devices=(FIRST,))
    assert machine.devices.sample([parked])[0].processes == ()


def test_a_job_that_stands_keeps_its_memory(machine: Machine, child: Start) -> None:
    """It reserves memory and no time, and so it uses that."""
    standing = own(1, child().pid, devices=(FIRST,), memory=GIB)
    device = machine.devices.sample([standing])[0]
    assert (device.free, device.utilization) == (23 * GIB, 0.0)


def test_a_load_from_outside_is_an_external_process(machine: Machine, child: Start) -> None:
    """It holds what it said, on the first device, until it ends."""
    process = child()
    assert machine.occupy(process, 4) == FIRST
    (held,) = machine.devices.sample(())[0].processes
    assert (held.pid, held.memory, held.utilization) == (process.pid, 4 * GIB, 0.25)
    assert held.job is None
    assert held.command == "cat"
    assert machine.free() == [20, 24]
    process.kill()
    wait_until(lambda: machine.free() == [24, 24])


def test_a_device_is_named_by_index_or_uuid(machine: Machine, child: Start) -> None:
    """Any other name is refused in one line."""
    process = child()
    assert machine.occupy(process, 1, "1") == machine.occupy(process, 1, SECOND) == SECOND
    for unknown in ("2", "-1", "GPU-0", "first"):
        with pytest.raises(SimulationError, match=f"no simulated device '{unknown}'"):
            machine.occupy(process, 1, unknown)


def test_saying_it_again_replaces_it(machine: Machine, child: Start) -> None:
    """A message may arrive twice; on another device it is another load."""
    process = child()
    machine.occupy(process, 20)
    machine.occupy(process, 22)
    machine.occupy(process, 1, "1")
    assert machine.free() == [2, 23]


def test_what_a_job_registers_replaces_what_it_reserved(machine: Machine, child: Start) -> None:
    """Also from a process below its main one, and on the job's own device."""
    main = child(
        *python(
            "import subprocess, sys\n"
            "child = subprocess.Popen(['cat'], stdin=subprocess.PIPE)\n"
            "print(child.pid, flush=True)\n"
            "sys.stdin.read()"
        )
    )
    below = number(main)
    root = job(main, 20, device=SECOND)
    assert machine.free(root) == [24, 4]
    assert machine.occupy(below, 2, own=[root]) == SECOND
    (held,) = machine.devices.sample([root])[1].processes
    assert (held.pid, held.memory, held.job) == (below, 2 * GIB, 1)


def test_a_job_that_told_its_use_uses_nothing_more_afterwards(
    machine: Machine, child: Start
) -> None:
    """When its load has ended the job does not fall back on its reservation."""
    main = child(
        *python(
            "import subprocess, sys\n"
            "child = subprocess.Popen(['cat'], stdin=subprocess.PIPE)\n"
            "print(child.pid, flush=True)\n"
            "sys.stdin.readline()\nchild.kill()\nchild.wait()\n"
            "sys.stdin.read()"
        )
    )
    below = number(main)
    root = job(main)
    machine.occupy(below, 2, own=[root])
    assert machine.free(root) == [22, 24]
    assert main.stdin is not None
    main.stdin.write(b"\n")
    main.stdin.flush()
    wait_until(lambda: machine.free(root) != [22, 24])
    assert machine.free(root) == [24, 24]
    assert Machine(machine.file.parent).free(root) == [24, 24]


def test_a_load_that_comes_before_word_of_its_job_counts_once(
    machine: Machine, child: Start
) -> None:
    """Registered while its job was not known yet, it is the job's as soon as that is."""
    main = child()
    machine.occupy(main, 2)
    root = job(main)
    (held,) = machine.devices.sample([root])[0].processes
    assert (held.memory, held.job) == (2 * GIB, 1)


def test_room_is_never_less_than_none(machine: Machine, child: Start) -> None:
    """Also where a job reserved what somebody else holds already."""
    machine.occupy(child(), 20)
    assert machine.free(job(child(), 6)) == [0, 24]


def test_loads_that_come_together_never_count_on_the_same_room(
    machine: Machine, child: Start
) -> None:
    """Threads may register and look at once; four times six is all of it."""
    children = [child() for _ in range(8)]

    def fits(process: Child) -> bool:
        try:
            machine.occupy(process, 6)
        except SimulatedOutOfMemoryError:
            return False
        assert min(machine.free()) >= 0
        return True

    with ThreadPoolExecutor(len(children)) as pool:
        assert sum(pool.map(fits, children)) == 4
    machine.devices = machine.again()
    assert machine.free() == [0, 24]


def test_what_does_not_fit_is_out_of_memory(machine: Machine, child: Start) -> None:
    """Other loads and what other jobs reserved count; the line says what is left."""
    other, main = child(), child()
    machine.occupy(other, 10)
    root = job(main, 8)
    with pytest.raises(SimulatedOutOfMemoryError) as error:
        machine.occupy(child(), 7, own=[root])
    assert "device 0: 7.0 GiB asked for, 6.0 GiB of 24.0 GiB left" in str(error.value)
    assert machine.free(root) == [6, 24]
    machine.occupy(child(), 6, own=[root])
    assert machine.free(root) == [0, 24]


def test_a_job_does_not_stand_in_its_own_way(machine: Machine, child: Start) -> None:
    """What it reserved does not count against what it registers; what it registered does."""
    main = child()
    root = job(main, 20)
    machine.occupy(main, 23, own=[root])
    assert machine.free(root) == [1, 24]
    with pytest.raises(SimulatedOutOfMemoryError):
        machine.occupy(child(), 2, own=[root])
    with pytest.raises(SimulatedOutOfMemoryError):
        machine.occupy(main, 25, own=[root])
    assert machine.free(root) == [1, 24]


def test_time_adds_up_to_no_more_than_all_of_it(machine: Machine, child: Start) -> None:
    """A duty cycle has an end; who holds how much of it stays told."""
    machine.occupy(child(), 1, utilization=0.7)
    machine.occupy(child(), 1, utilization=0.7)
    device = machine.devices.sample(())[0]
    assert device.utilization == 1.0
    assert [process.utilization for process in device.processes] == [0.7, 0.7]


def test_loads_outlive_a_killed_coordinator(machine: Machine, child: Start) -> None:
    """As real memory does; those whose process has ended meanwhile are gone."""
    ended = child()
    machine.occupy(child(), 3)
    machine.occupy(ended, 5)
    ended.kill()
    ended.wait()
    machine.devices = machine.again()
    assert machine.free() == [21, 24]


def test_another_process_under_the_pid_holds_nothing(machine: Machine, child: Start) -> None:
    """A load is its process's, by pid and start time."""
    process = child()
    machine.devices.occupy(process.pid, 1, "", GIB, 0.5, ())
    assert machine.free() == [24, 24]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"boot": "x", "loads": [{"pid": 1}]}', "\xff"])
def test_a_file_that_cannot_be_read_is_an_empty_one(
    machine: Machine, child: Start, text: str
) -> None:
    """The next load makes it whole again."""
    machine.file.write_bytes(text.encode("latin-1"))
    machine.devices = machine.again()
    assert machine.free() == [24, 24]
    machine.occupy(child(), 1)
    machine.devices = machine.again()
    assert machine.free() == [23, 24]


def test_loads_of_another_run_of_the_machine_are_void(machine: Machine, child: Start) -> None:
    """Pids and start times begin anew with it."""
    machine.occupy(child(), 1)
    text = machine.file.read_text()
    machine.file.write_text(text.replace(text[9:45], "00000000-0000-0000-0000-000000000000"))
    machine.devices = machine.again()
    assert machine.free() == [24, 24]


def test_a_load_that_cannot_be_written_does_not_count(tmp_path: Path, child: Start) -> None:
    """Else it would be forgotten by the next coordinator."""
    machine = Machine(tmp_path / "missing")
    with pytest.raises(SimulationError, match="cannot write"):
        machine.occupy(child(), 1)
    assert machine.free() == [24, 24]
