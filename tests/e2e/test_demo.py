"""`gpurun demo`: the main job, and how long the light task waited for what."""

import os
import re
import signal
import subprocess

from tests.e2e.machine import Machine

PART = re.compile(r"   (\S.*?) +(-?\d+\.\d) ms")
PARTS = {
    "start of the gpurun command",
    "the training's remaining step",
    "its save",
    "the end of its processes",
    "the device seen free",
    "admission",
    "spawn and the light task's own start",
}


def test_the_light_tasks_wait_is_the_sum_of_its_parts_and_the_training_is_unharmed(
    machine: Machine,
) -> None:
    """Remaining step + save + process exit + spawn, from submission to the first line."""
    os.mkdir(f"{machine.folder}/t")
    demo = machine.run("demo", deadline=180, TMPDIR=f"{machine.folder}/t")
    assert demo.returncode == 0, demo.stdout + demo.stderr
    assert "   equal, bit for bit" in demo.stdout.splitlines()
    parts = {m[1]: float(m[2]) for line in demo.stdout.splitlines() if (m := PART.fullmatch(line))}
    print("\n".join(f"{name:<32}{milliseconds:9.1f} ms" for name, milliseconds in parts.items()))
    total = parts.pop("submission to first line")
    assert parts.keys() == PARTS
    assert min(parts.values()) >= 0
    assert abs(sum(parts.values()) - total) <= 0.05 * (len(parts) + 1) + 1e-6
    assert total < 30_000
    # Its folder, its coordinator and its jobs were its own, and nothing of them is left.
    assert [name for name in os.listdir(f"{machine.folder}/t") if "gpurun" in name] == []
    assert not os.path.exists(machine.runtime)


def test_a_demo_with_no_device_says_so_at_once(machine: Machine) -> None:
    """Before it trains for half a minute."""
    demo = machine.run("demo", "--gpu", deadline=60)
    assert demo.returncode == 125
    assert "1. The training" not in demo.stdout
    assert demo.stderr.startswith("gpurun: error: ")
    assert "sim:24GiB" in demo.stderr


def test_a_demo_that_is_told_to_end_leaves_nothing_behind(machine: Machine) -> None:
    """Neither its training nor its coordinator nor its folder."""
    os.mkdir(f"{machine.folder}/t")
    demo = machine.start("demo", TMPDIR=f"{machine.folder}/t")
    machine.wait_until(lambda: demo.says("training | step"), deadline=120, alive=[demo])
    demo.process.send_signal(signal.SIGTERM)
    assert demo.end() == 143
    assert [name for name in os.listdir(f"{machine.folder}/t") if "gpurun" in name] == []
    found = subprocess.run(["pgrep", "-f", f"{machine.folder}/t"], capture_output=True, text=True)
    assert found.stdout == ""


def test_a_training_that_ends_early_ends_the_demo(machine: Machine) -> None:
    """Nobody waits five minutes for a step that never comes."""
    os.mkdir(f"{machine.folder}/t")
    demo = machine.start("demo", TMPDIR=f"{machine.folder}/t")
    machine.wait_until(lambda: demo.says("training | step"), deadline=120, alive=[demo])
    (folder,) = (
        f"{machine.folder}/t/{n}" for n in os.listdir(f"{machine.folder}/t") if "gpurun" in n
    )
    machine.environment |= {
        "GPURUN_RUNTIME_DIR": f"{folder}/run",
        "GPURUN_STATE_DIR": f"{folder}/state",
        "GPURUN_DEVICES": "",
    }
    cancelled = machine.run("cancel", "1")
    assert cancelled.returncode == 0, cancelled.stderr
    assert demo.end() == 125
    assert "ended before a light task could come" in demo.said
