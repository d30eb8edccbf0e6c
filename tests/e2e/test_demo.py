"""`gpurun demo`: the main job, and how long the light task waited for what."""

import os
import re

from tests.e2e.machine import Machine

PART = re.compile(r"   (\S.*?) +(-?\d+\.\d) ms")
PARTS = {
    "start of the gpurun command",
    "the training's remaining step",
    "its save",
    "the end of its processes",
    "the device seen free",
    "admission",
    "spawn",
    "the light task's own start",
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
