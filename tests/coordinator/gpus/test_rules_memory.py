"""The rules of NVML that concern memory, each by its number."""

import os
from collections.abc import Callable

import pytest
from tests.coordinator.gpus.helpers import Child, Driver, own
from tests.coordinator.gpus.scripts import (
    FIRST,
    GIB,
    NO_PERMISSION,
    NOT_SUPPORTED,
    UNKNOWN,
    gpu,
    mig,
)

from gpurun.coordinator.core.device import UNSEEN, Device
from gpurun.coordinator.core.job import Job, Reservation
from gpurun.coordinator.core.ledger import Load, load_of
from gpurun.coordinator.core.sample import DeviceSample
from gpurun.coordinator.gpus import memory
from gpurun.protocol.job import JobSpec

Start = Callable[..., Child]


def job(number: int, gigabytes: int) -> Job:
    """A job that reserved so much of the first device."""
    spec = JobSpec(command=("python",), cwd="/", name="python")
    held = Reservation(FIRST, gigabytes * GIB, 0.1)
    return Job(
        id=number,
        uuid=f"uuid-{number}",
        uid=0,
        user="root",
        spec=spec,
        submitted_at=0.0,
        since=0.0,
        reservations=(held,),
    )


def load(sample: DeviceSample, *jobs: Job) -> Load:
    """What the device is charged with, as of this one sample."""
    return load_of(Device(sample, 0.0), jobs, stale=False)


def test_rule_01_a_device_of_unknown_memory_takes_no_work(driver: Driver) -> None:
    """Not all of it is free, and not none of it is used: it is unknown."""
    (sample,) = driver.starts(gpu(FIRST, f"memory_code {NO_PERMISSION}")).sample()
    assert (sample.total, sample.free) == (None, None)
    assert not Device(sample, 0.0).healthy


def test_rule_01_unknown_memory_of_processes_degrades(driver: Driver, child: Start) -> None:
    """Own jobs are charged what they reserved; beside a foreigner all that is used is external."""
    mine, other = child(), child()
    alone = gpu(FIRST, f"compute {mine.pid} -1", used=7)
    roots = [own(1, mine.pid)]
    (sample,) = driver.starts(alone).sample(roots)
    assert sample.processes[0].memory is None
    found = load(sample, job(1, 5))
    assert (found.external_memory, found.charged_memory) == (2 * GIB, 5 * GIB)
    driver.plays(f"{alone}compute {other.pid} -1\n")
    (sample,) = driver.sample(roots)
    found = load(sample, job(1, 5))
    assert (found.external_memory, found.charged_memory) == (7 * GIB, 5 * GIB)
    assert found.foreign


def test_rule_01_a_list_that_is_not_told_is_not_an_empty_one(driver: Driver) -> None:
    """All that is used counts as other programs', and nobody is alone there."""
    (sample,) = driver.starts(gpu(FIRST, f"list_code {NOT_SUPPORTED}", used=7)).sample()
    assert not sample.processes_known
    found = load(sample, job(1, 5))
    assert (found.external_memory, found.foreign) == (7 * GIB, True)
    assert found.foreign_users == frozenset([None])
    assert any("does not tell who uses it" in note for note in sample.notes)


def test_rule_01_a_release_is_believed_when_used_memory_has_fallen(
    driver: Driver, child: Start
) -> None:
    """Where the job's own was never told; one that held nothing is believed after a while."""
    mine = child()
    (before,) = driver.starts(gpu(FIRST, f"compute {mine.pid} -1", used=7)).sample(
        [own(1, mine.pid)]
    )
    driver.plays(gpu(FIRST, used=7))
    (still,) = driver.sample()
    driver.plays(gpu(FIRST, used=2))
    (fallen,) = driver.sample()
    device = Device(before, 10.0)
    device.look(still, 11.0, window=10.0)
    assert not device.freed(1, left=10.5)
    device.look(fallen, 12.0, window=10.0)
    assert device.freed(1, left=10.5)
    device.look(still, 10.5 + UNSEEN, window=10.0)
    assert device.freed(1, left=10.5)


def test_rule_02_room_is_the_drivers_own_free(driver: Driver) -> None:
    """Total less used would make room of what the driver keeps for itself."""
    script = f"gpu {FIRST} Test\nmemory {24 * GIB} {20 * GIB} {3 * GIB}\n"
    (sample,) = driver.starts(script).sample()
    assert load(sample).free == 20 * GIB
    assert driver.calls("nvmlDeviceGetMemoryInfo") == 1


def test_rule_03_a_job_is_charged_before_it_has_allocated(driver: Driver, child: Start) -> None:
    """max(reserved, observed); external is what is used less what own jobs were seen to use."""
    mine, other = child(), child()
    lines = f"compute {mine.pid} {GIB}", f"compute {other.pid} {3 * GIB}"
    (sample,) = driver.starts(gpu(FIRST, *lines, used=4)).sample([own(1, mine.pid)])
    young = load(sample, job(1, 5))
    assert (young.charged_memory, young.external_memory) == (5 * GIB, 3 * GIB)
    grown = load(sample, job(1, 0))
    assert (grown.charged_memory, grown.external_memory) == (GIB, 3 * GIB)


@pytest.mark.parametrize("answer", [f"memory_code {NOT_SUPPORTED}", "memory 0 0 0"])
def test_rule_16_unified_memory_is_the_systems(driver: Driver, answer: str) -> None:
    """On exactly these answers MemAvailable is what is free, less an eighth of all."""
    (sample,) = driver.starts(f"gpu {FIRST} GB10\n{answer}\n").sample()
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert sample.total == total
    assert sample.free is not None
    assert 0 <= sample.free <= total - total // 8
    assert any("shares the system's memory" in note for note in sample.notes)


def test_rule_16_an_eighth_of_unified_memory_is_left_alone(
    tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MemAvailable counts what the kernel would give back; MemFree does not."""
    path = f"{tmp_path}/meminfo"
    with open(path, "w", encoding="ascii") as file:
        file.write("MemTotal: 8000 kB\nMemFree: 10 kB\nMemAvailable: 5000 kB\n")
    monkeypatch.setattr(memory, "MEMINFO", path)

    class Nvml:
        @staticmethod
        def nvmlDeviceGetMemoryInfo(_: object) -> memory.Memory:  # noqa: N802 - the driver's name
            return memory.Memory(0, 0)

    found = memory.read_memory(Nvml, None)
    assert found == memory.Memory(8000 * 1024, 4000 * 1024, unified=True)


def test_rule_16_no_other_answer_means_unified_memory(driver: Driver) -> None:
    """An error is an error: that device is set aside."""
    (sample,) = driver.starts(gpu(FIRST, f"memory_code {UNKNOWN}")).sample()
    assert (sample.total, sample.notes) == (None, ())
    assert "the driver cannot read it" in sample.health


def test_rule_17_accounting_tells_the_true_peak_after_the_end(driver: Driver, child: Start) -> None:
    """Between two looks nobody else sees it."""
    mine, other = child(), child()
    peaks = f"peak {mine.pid} {9 * GIB}", f"peak {other.pid} {20 * GIB}"
    here = gpu(FIRST, f"compute {mine.pid} {GIB}", f"compute {other.pid} {GIB}", *peaks)
    roots = [own(1, mine.pid)]
    (sample,) = driver.starts(here).sample(roots)
    assert [(peak.job, peak.memory) for peak in sample.peaks] == [(1, 9 * GIB)]
    driver.plays(gpu(FIRST, f"peak {mine.pid} {11 * GIB}"))
    (sample,) = driver.sample(roots)
    assert [(peak.job, peak.memory) for peak in sample.peaks] == [(1, 11 * GIB)]
    assert driver.sample(roots)[0].peaks == ()


def test_rule_17_without_accounting_nobody_is_asked(driver: Driver, child: Start) -> None:
    """It is off unless root has turned it on."""
    mine = child()
    (sample,) = driver.starts(gpu(FIRST, f"compute {mine.pid} {GIB}")).sample([own(1, mine.pid)])
    assert sample.peaks == ()
    assert driver.calls("nvmlDeviceGetAccountingStats") == 0


def test_rule_15_each_mig_device_is_a_device_of_its_own(driver: Driver, child: Start) -> None:
    """With its full UUID, its memory and its processes; the parent is none, and has no time."""
    mine = child()
    parts = mig("MIG-1", f"compute {mine.pid} {GIB}", used=1), mig("MIG-2")
    whole = gpu("GPU-2", "utilization 30")
    samples = driver.starts(gpu(FIRST), *parts, whole).sample([own(1, mine.pid)])
    assert [(s.uuid, s.total) for s in samples] == [
        ("MIG-1", 10 * GIB),
        ("MIG-2", 10 * GIB),
        ("GPU-2", 24 * GIB),
    ]
    assert len({sample.index for sample in samples}) == 3
    assert samples[2].index == 1
    assert [process.job for process in samples[0].processes] == [1]
    assert (samples[0].utilization, samples[2].utilization) == (None, 0.3)
    assert any("memory alone decides" in note for note in samples[0].notes)
    assert not load(samples[0]).timed
    assert load(samples[2]).timed
