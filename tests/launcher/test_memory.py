"""What a command says, and does again, when its program ran out of memory; and `estimate`."""

import os

import msgspec
import pytest
from tests.launcher.conftest import Start, ended, inside_job
from tests.launcher.coordinator_double import CoordinatorDouble, grant

from gpurun.protocol.messages import (
    Accepted,
    AskEstimate,
    Done,
    Ended,
    EstimateReply,
    Exited,
    OutOfMemory,
    Problem,
    SimulateLoad,
    Submit,
)
from gpurun.protocol.quantity import GIB
from gpurun.protocol.status import Estimates, Figure


def run_out(coordinator: CoordinatorDouble, ask_for: int) -> None:
    exited = coordinator.expect(Exited)
    coordinator.send(Ended(job=exited.job, text="out of memory", ask_for=ask_for))


def admit_as(coordinator: CoordinatorDouble, job: int) -> Submit:
    submit = coordinator.expect(Submit)
    coordinator.send(Accepted(job=job), grant(job=job))
    return submit


FAILS_ONCE = "test -e tried || { touch tried; exit 1; }"


def test_retry_oom_submits_another_job_with_what_to_ask_for(
    start: Start, coordinator: CoordinatorDouble, environment: dict[str, str]
) -> None:
    command = start("--retry-oom", "--mem=4GiB", "sh", "-c", FAILS_ONCE)
    first = admit_as(coordinator, 1)
    run_out(coordinator, 5 * GIB)
    second = admit_as(coordinator, 2)
    exited = coordinator.expect(Exited)
    coordinator.send(Ended(job=exited.job))
    assert ended(command)[0] == 0
    assert (first.spec.memory, second.spec.memory) == (4 * GIB, 5 * GIB)
    assert first.uuid != second.uuid
    assert (first.spec.retry_of, second.spec.retry_of) == (0, 1)
    assert first.spec == msgspec.structs.replace(second.spec, memory=4 * GIB, retry_of=0)
    state = f"{environment['GPURUN_STATE_DIR']}/{os.uname().nodename}"
    assert os.listdir(f"{state}/checkpoints") == [], "no folder of either job is left"
    assert set(os.listdir(f"{state}/orders")) == {first.uuid, second.uuid}, "both can be retried"


def test_a_retry_that_nobody_told_a_size_leaves_it_to_the_estimate(
    start: Start, coordinator: CoordinatorDouble
) -> None:
    command = start("--retry-oom", "sh", "-c", FAILS_ONCE)
    admit_as(coordinator, 1)
    run_out(coordinator, 5 * GIB)
    assert admit_as(coordinator, 2).spec.memory is None
    coordinator.send(Ended(job=coordinator.expect(Exited).job))
    assert ended(command)[0] == 0


@pytest.mark.parametrize(("options", "ask_for"), [((), 5 * GIB), (("--retry-oom",), 0)])
def test_it_ends_where_it_is_not_to_be_tried_again_or_there_is_no_more(
    start: Start, coordinator: CoordinatorDouble, options: tuple[str, ...], ask_for: int
) -> None:
    command = start(*options, "sh", "-c", "exit 1")
    admit_as(coordinator, 1)
    run_out(coordinator, ask_for)
    assert ended(command)[0] == 1


def test_a_program_that_has_eaten_its_stdin_is_not_run_again(
    start: Start, coordinator: CoordinatorDouble
) -> None:
    command = start("--retry-oom", "sh", "-c", "exit 1", stdin=-1)
    admit_as(coordinator, 1)
    run_out(coordinator, 5 * GIB)
    assert ended(command)[0] == 1


def test_an_end_that_is_said_twice_does_not_cancel_the_retry(
    start: Start, coordinator: CoordinatorDouble
) -> None:
    command = start("--retry-oom", "sh", "-c", FAILS_ONCE)
    admit_as(coordinator, 1)
    run_out(coordinator, 5 * GIB)
    coordinator.expect(Submit)
    coordinator.send(Ended(job=1), Accepted(job=2), grant(job=2))
    coordinator.send(Ended(job=coordinator.expect(Exited).job))
    assert ended(command)[0] == 0


def test_a_simulated_load_inside_a_job_says_that_it_ran_out(
    start: Start, coordinator: CoordinatorDouble, environment: dict[str, str]
) -> None:
    environment |= inside_job(os.getpid()) | {"GPURUN_ATTEMPT": "2"}
    environment |= {"GPURUN_SOCKET": coordinator.path}
    command = start("sim", "load", "--mem", "50GiB", "--seconds", "1")
    coordinator.expect(SimulateLoad)
    coordinator.send(Problem(text="out of memory on device 0", code=1))
    told = coordinator.expect(OutOfMemory)
    coordinator.send(Done(job=3, text="noted"))
    assert (told.job, told.attempt, told.token, told.needed) == (3, 2, "t", 50 * GIB)
    assert ended(command) == (1, "", "gpurun: error: out of memory on device 0\n")


# --- estimate

FIGURE = Figure("learned", 5.0, 6.0, 0.5, 1)
ESTIMATE = Estimates(6, 0.4, "learned", 0.5, FIGURE, FIGURE)


def test_estimate_prints_the_sentence(start: Start, coordinator: CoordinatorDouble) -> None:
    command = start("estimate", "--util=40", "sh", "-c", "exit 0")
    asked = coordinator.expect(AskEstimate)
    coordinator.send(EstimateReply(text="sh: would\x1b[2J reserve", estimate=ESTIMATE))
    assert ended(command) == (0, "sh: would�[2J reserve\n", "")
    assert (asked.spec.command, asked.spec.utilization) == (("sh", "-c", "exit 0"), 0.4)
    assert asked.spec.program is not None
    assert asked.spec.program.arguments == ("-c", "exit 0")


@pytest.mark.parametrize("words", [["--json", "sh"], ["sh", "--json"]])
def test_estimate_json_is_the_figures_wherever_it_is_said(
    start: Start, coordinator: CoordinatorDouble, words: list[str]
) -> None:
    command = start("estimate", *words)
    assert coordinator.expect(AskEstimate).spec.command == ("sh",)
    coordinator.send(EstimateReply(text="", estimate=ESTIMATE))
    code, out, _ = ended(command)
    assert code == 0
    assert msgspec.json.decode(out, type=Estimates) == ESTIMATE
