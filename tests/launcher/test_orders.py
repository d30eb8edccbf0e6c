"""Orders on disk: kept for as long as anybody may ask for them again."""

import os

import pytest
from tests.launcher.conftest import Start, ended
from tests.launcher.coordinator_double import CoordinatorDouble, grant

from gpurun.launcher.orders import KEPT, sweep
from gpurun.launcher.run_job import SWEEP
from gpurun.protocol.messages import Accepted, Problem, Retry, RetryReply, Submit


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


@pytest.fixture
def orders(environment: dict[str, str]) -> str:
    return f"{environment['GPURUN_STATE_DIR']}/{os.uname().nodename}/orders"


def test_a_submission_that_is_refused_leaves_none(
    start: Start, coordinator: CoordinatorDouble, orders: str
) -> None:
    command = start("true")
    coordinator.expect(Submit)
    coordinator.send(Problem(text="no"))
    assert ended(command)[0] == 125
    assert os.listdir(orders) == []


def test_a_retry_that_is_refused_keeps_it(
    start: Start, coordinator: CoordinatorDouble, orders: str
) -> None:
    command = start("false")
    submit = coordinator.admit()
    coordinator.end()
    assert ended(command)[0] == 1
    command = start("retry", "1")
    coordinator.expect(Retry)
    coordinator.send(RetryReply(job=1, uuid=submit.uuid, state="failed"))
    coordinator.expect(Submit)
    coordinator.send(Problem(text="no"))
    assert ended(command)[0] == 125
    assert os.listdir(orders) == [submit.uuid]


def test_now_and_then_a_job_sweeps(
    start: Start, coordinator: CoordinatorDouble, orders: str
) -> None:
    os.makedirs(orders)
    for number in range(KEPT):
        with open(f"{orders}/old-{number}", "w", encoding="utf-8"):
            pass
    for number, left in ((SWEEP - 1, KEPT + 1), (SWEEP, KEPT)):
        command = start("true")
        coordinator.expect(Submit)
        coordinator.send(Accepted(job=number), grant(job=number))
        coordinator.end()
        ended(command)
        assert len(os.listdir(orders)) == left


def test_a_job_runs_also_where_its_order_cannot_be_kept(
    start: Start, coordinator: CoordinatorDouble, orders: str
) -> None:
    os.makedirs(os.path.dirname(orders))
    with open(orders, "w", encoding="utf-8"):
        pass
    command = start("true")
    submit = coordinator.admit()
    coordinator.end()
    code, _, err = ended(command)
    assert code == 0
    text = f"cannot write {orders}/{submit.uuid} (Not a directory): "
    assert f"gpurun: {text}gpurun retry will not know this job\n" in err
