"""Inside a job the command runs at once in the job's own reservation."""

import os

from tests.launcher.conftest import Start, ended


def test_a_command_inside_a_job_becomes_the_command_and_asks_nobody(
    start: Start, folder: str, environment: dict[str, str]
) -> None:
    inside = environment | {"GPURUN_JOB": "3", "GPURUN_TOKEN": "t", "CUDA_VISIBLE_DEVICES": "GPU-a"}
    command = start("sh", "-c", "echo $$ $CUDA_VISIBLE_DEVICES; exit 4", env=inside)
    assert ended(command) == (
        4,
        f"{command.pid} GPU-a\n",
        "gpurun: inside job 3: runs at once in its reservation\n",
    )
    assert not os.path.exists(f"{folder}/run")


def test_a_verb_inside_a_job_never_starts_a_coordinator(
    start: Start, folder: str, environment: dict[str, str]
) -> None:
    inside = {"GPURUN_JOB": "3", "GPURUN_TOKEN": "t", "GPURUN_SOCKET": f"{folder}/gone.sock"}
    code, _, err = ended(start("status", env=environment | inside))
    assert code == 125
    assert err == (
        "gpurun: error: the coordinator that started job 3 does not run now; try again later\n"
    )
    assert not os.path.exists(f"{folder}/run")
