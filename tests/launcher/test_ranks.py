"""torchrun and accelerate say how many devices a job needs."""

from pathlib import Path

import pytest
from tests.launcher.conftest import Start, ended
from tests.launcher.coordinator_double import CoordinatorDouble

from gpurun.launcher.ranks import ranks_of


@pytest.mark.parametrize(
    ("line", "ranks"),
    [
        ("torchrun --nproc-per-node 4 train.py", 4),
        ("/opt/bin/torchrun --standalone --nproc_per_node=2 train.py", 2),
        ("python -m torch.distributed.run --nproc-per-node=3 train.py --nproc-per-node 9", 3),
        ("accelerate launch --num_processes 8 train.py", 8),
        ("torchrun --nproc-per-node gpu train.py", None),
        ("torchrun --nproc-per-node", None),
        ("torchrun train.py --nproc-per-node 4", None),
        ("train.py --nproc-per-node 4", None),
    ],
)
def test_the_number_is_read_from_the_command_line(line: str, ranks: int | None) -> None:
    """Of the starter's own options, in both spellings."""
    assert ranks_of(line.split()) == ranks


@pytest.mark.parametrize(("options", "gpus"), [((), 2), (("--gpus=1",), 1), (("-q",), 2)])
def test_a_job_takes_as_many_devices_and_says_so(
    options: tuple[str, ...],
    gpus: int,
    start: Start,
    coordinator: CoordinatorDouble,
    tmp_path: Path,
) -> None:
    """Unless it is told otherwise, or to be quiet."""
    torchrun = tmp_path / "torchrun"
    torchrun.write_text("#!/bin/sh\n")
    torchrun.chmod(0o755)
    command = start(*options, str(torchrun), "--nproc-per-node", "2", "train.py")
    assert coordinator.admit().spec.gpus == gpus
    coordinator.end()
    code, _, said = ended(command)
    assert code == 0
    assert ("2 devices, one for each process that torchrun starts" in said) == (not options)
