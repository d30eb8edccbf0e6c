"""Orders on disk: kept for as long as anybody may ask for them again."""

import os

import pytest
from tests.launcher.conftest import Start, ended
from tests.launcher.coordinator_double import CoordinatorDouble

from gpurun.launcher.orders import sweep


@pytest.fixture
def folders(folder: str) -> tuple[str, str]:
    """Five orders, the first the oldest; the second job has a folder of checkpoints."""
    orders, checkpoints = f"{folder}/orders", f"{folder}/checkpoints"
    os.mkdir(orders)
    os.makedirs(f"{checkpoints}/b")
    for age, name in enumerate("abcde"):
        path = f"{orders}/{name}"
        with open(path, "w", encoding="utf-8"):
            os.utime(path, (age, age))
    return orders, checkpoints


def test_the_oldest_go_but_for_those_that_have_checkpoints(folders: tuple[str, str]) -> None:
    sweep(*folders, most=2)
    assert sorted(os.listdir(folders[0])) == ["b", "d", "e"]


def test_few_are_left_alone(folders: tuple[str, str]) -> None:
    sweep(*folders, most=5)
    assert sorted(os.listdir(folders[0])) == list("abcde")


def test_a_job_runs_also_where_its_order_cannot_be_kept(
    start: Start, coordinator: CoordinatorDouble, environment: dict[str, str]
) -> None:
    state = f"{environment['GPURUN_STATE_DIR']}/{os.uname().nodename}"
    os.makedirs(state)
    with open(f"{state}/orders", "w", encoding="utf-8"):
        pass
    command = start("true")
    submit = coordinator.admit()
    coordinator.end()
    code, _, err = ended(command)
    assert code == 0
    text = f"cannot write {state}/orders/{submit.uuid} (Not a directory): "
    assert f"gpurun: {text}gpurun retry will not know this job\n" in err
