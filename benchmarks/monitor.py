"""What watching costs: 8 devices, 200 processes, on the scripted driver with the real nvidia-ml-py.

`rounds`: looks back to back, in virtual seconds, for the time of each and for growth of memory.
`daemon`: a real coordinator at an interval of 1 s, for the share of one core that it takes.

    python benchmarks/monitor.py [--rounds 100000] [--seconds 60]
"""

import argparse
import contextlib
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from array import array
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PARTS = [f"{ROOT}/{part}" for part in ("protocol", "launcher", "coordinator", "sdk")]
sys.path[:0] = [ROOT, *PARTS]

from tests.coordinator.gpus.helpers import compiled  # noqa: E402

from gpurun.coordinator import processes  # noqa: E402
from gpurun.coordinator.core.sample import OwnProcess  # noqa: E402
from gpurun.coordinator.gpus import nvml  # noqa: E402

GPUS, PROCESSES, GIB = 8, 200, 1 << 30
GOAL = 0.005
"""Share of one core."""
_TICK = os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Measure in processes of their own, in which the driver's library is the double."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=100_000)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        measure_rounds(options.rounds)
        return
    with tempfile.TemporaryDirectory(prefix="gm-") as folder, residents() as pids:
        environment = prepare(Path(folder), pids)
        print(f"{GPUS} devices, {PROCESSES} processes, {os.cpu_count()} cores")
        inside = [sys.executable, __file__, "--inside", f"--rounds={options.rounds}"]
        subprocess.run(inside, env=environment, check=True)
        measure_daemon(environment, options.seconds)


@contextlib.contextmanager
def residents() -> Iterator[list[int]]:
    """Processes that hold the devices."""
    started = [subprocess.Popen(["sleep", "86400"]) for _ in range(PROCESSES)]
    try:
        yield [process.pid for process in started]
    finally:
        for process in started:
            process.kill()
            process.wait()


def prepare(folder: Path, pids: list[int]) -> dict[str, str]:
    """Compile the driver, write its devices, and give the environment that finds both."""
    lines = []
    for index in range(GPUS):
        lines += [f"gpu GPU-{index} Bench", f"memory {80 * GIB} {30 * GIB} {50 * GIB}"]
        lines += ["utilization 60", "ring 60 16"]
        for pid in pids[index::GPUS]:
            lines += [f"compute {pid} {2 * GIB}", f"busy {pid} 3"]
    script = folder / "devices.txt"
    script.write_text("\n".join(lines))
    return {
        **os.environ,
        "LD_LIBRARY_PATH": str(compiled(folder, "-O2")),
        "GPURUN_NVML_DOUBLE": str(script),
        "GPURUN_RUNTIME_DIR": f"{folder}/r",
        "GPURUN_STATE_DIR": f"{folder}/s",
        "XDG_CONFIG_HOME": str(folder),
        "GPURUN_DEVICES": "nvml",
        "PYTHONPATH": os.pathsep.join([ROOT, *PARTS]),
    }


def measure_rounds(rounds: int) -> None:
    """Look so often; each round is a second later than the one before."""
    clock = SimpleNamespace(now=1000.0)
    seconds = SimpleNamespace(CLOCK_BOOTTIME=0, clock_gettime=lambda _: clock.now, time=time.time)
    setattr(nvml, "time", seconds)  # noqa: B010 - what it imports, which is nobody's to name
    devices = nvml.NvmlDevices()
    devices.open()
    own = roots(devices)
    spent = array("d", [1.0] * rounds)  # has its place before memory is looked at
    resident = []
    for number in range(rounds):
        before = time.process_time()
        devices.sample(own)
        spent[number] = time.process_time() - before
        clock.now += 1.0
        if (number + 1) % (rounds // 10) == 0:
            resident.append(memory_now())
    ordered = sorted(spent)
    median = statistics.median(ordered)
    print(
        f"one look: median {median * 1e3:.2f} ms of CPU, mean {statistics.fmean(spent) * 1e3:.2f}, "
        f"p10 {ordered[rounds // 10] * 1e3:.2f}, p90 {ordered[rounds * 9 // 10] * 1e3:.2f}; "
        f"{statistics.fmean(spent):.2%} of a core at an interval of 1 s (goal {GOAL:.1%})"
    )
    shown = " ".join(f"{size / 1024:.1f}" for size in resident)
    print(f"resident memory over {rounds} rounds, MiB: {shown}")


def roots(devices: nvml.NvmlDevices) -> list[OwnProcess]:
    """One own job on each device; the other processes are foreign."""
    own = []
    for device in devices.sample(()):
        pid = device.processes[0].pid
        own.append(
            OwnProcess(
                job=device.index + 1,
                pid=pid,
                start_time=processes.start_time(pid) or 0,
                launcher=0,
                devices=(device.uuid,),
                memory=2 * GIB,
                utilization=0.1,
            )
        )
    return own


def memory_now() -> int:
    """Resident KiB of this process."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * resource.getpagesize() // 1024


def measure_daemon(environment: dict[str, str], seconds: int) -> None:
    """Let a real coordinator watch for so long, and read what the kernel charged it."""
    command = [sys.executable, "-P", "-m", "gpurun.coordinator"]
    daemon = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    try:
        time.sleep(5.0)  # its start is not what is measured
        if len(seen(environment)) != GPUS:
            sys.exit("the daemon does not see the devices")
        before = ticks(daemon.pid)
        time.sleep(seconds)
        share = (ticks(daemon.pid) - before) / _TICK / seconds
    finally:
        daemon.terminate()
        daemon.wait()
    print(f"the whole daemon, idle, over {seconds} s: {share:.2%} of a core (goal {GOAL:.1%})")


def seen(environment: dict[str, str]) -> list[object]:
    """The healthy devices that the coordinator shows."""
    gpurun = [sys.executable, "-c", "from gpurun_entry import main; main()"]
    status = [*gpurun, "status", "--json"]
    found = json.loads(subprocess.check_output(status, env=environment))["devices"]
    return [device for device in found if device["health"] == "ok" and device["processes"]]


def ticks(pid: int) -> int:
    """User and system time of a process; fields 14 and 15 of /proc/PID/stat."""
    with open(f"/proc/{pid}/stat", "rb") as file:
        fields = file.read().rpartition(b")")[2].split()
    return int(fields[11]) + int(fields[12])


if __name__ == "__main__":
    main()
