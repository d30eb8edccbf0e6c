"""What a person asks for, and what is printed: answers on stdout, the rest on stderr."""

import os
import signal
import subprocess

import msgspec
import pytest
from tests.launcher.conftest import Start, ended, inside_job
from tests.launcher.coordinator_double import CoordinatorDouble
from tests.launcher.statuses import GIB, device, job, status

from gpurun.protocol.messages import (
    Adjust,
    AskStatus,
    AskWhy,
    Cancel,
    Done,
    Drain,
    Hello,
    Pause,
    Problem,
    Rehearse,
    Rehearsed,
    Resume,
    SimulateLoad,
    StatusReply,
    WhyReply,
)
from gpurun.protocol.status import JobStory, ProcessUse, Progress, Status, StoryEntry


def ask_status(start: Start, coordinator: CoordinatorDouble, *words: str, shown: Status) -> str:
    command = start("status", *words)
    asked = coordinator.expect(AskStatus)
    assert asked.everything == ("--all" in words)
    coordinator.send(StatusReply(status=shown))
    code, out, err = ended(command)
    assert (code, err) == (0, "")
    return out


def test_status_shows_devices_and_jobs_with_their_reasons(
    start: Start, coordinator: CoordinatorDouble
) -> None:
    shown = status(
        devices=(device(0, reserved=6, external=6), device(1, health="stale")),
        jobs=(job(3, devices=("GPU-0",)), job(12, reason="needs 8.0 GiB", held=True)),
    )
    out = ask_status(start, coordinator, shown=shown)
    assert out.splitlines() == [
        "GPU  NAME       TAKEN                       OF  BY JOBS  BY OTHERS  UTIL",
        "  0  Simulated  ██████████░░░░░░░░░░  24.0 GiB  6.0 GiB    6.0 GiB  40 %",
        "  1  Simulated  ░░░░░░░░░░░░░░░░░░░░  24.0 GiB      0 B        0 B  40 %  stale",
        "",
        "JOB  STATE          PRIORITY  GPU   MEMORY  UTIL  WAITED   RAN  NAME",
        "  3  running               0    0  6.0 GiB  40 %    0:05  1:00  train.py",
        " 12  queued (held)         0    -  6.0 GiB  40 %    0:05  1:00  train.py  needs 8.0 GiB",
    ]


def test_status_shows_programs_that_are_not_ours(
    start: Start, coordinator: CoordinatorDouble
) -> None:
    """With user and command where they may be read; our own are in the list of jobs."""
    seen = (
        ProcessUse(7, "me", GIB, 3, "python mine.py"),
        ProcessUse(8, "ada", 2 * GIB, None, "python other.py --lr 1"),
        ProcessUse(9, None, None, None, None),
    )
    shown = msgspec.structs.replace(device(1, reserved=1, external=2), processes=seen)
    out = ask_status(start, coordinator, shown=status(devices=(shown,)))
    assert out.splitlines()[2:-2] == [
        "",
        "GPU  PID  USER   MEMORY  OTHER PROGRAM",
        "  1    8  ada   2.0 GiB  python other.py --lr 1",
        "  1    9  ?           ?  ?",
    ]
    assert "mine.py" not in out


def test_status_names_a_job_that_has_outgrown_its_reservation(
    start: Start, coordinator: CoordinatorDouble
) -> None:
    out = ask_status(start, coordinator, shown=status(jobs=(job(3, incidents=1),)))
    assert out.splitlines()[-1].endswith("train.py  has used more than it reserved")


@pytest.mark.parametrize(
    ("progress", "shown"),
    [
        (Progress(1200, 10_000, "loss 0.231", 720.0), "step 1200/10000, loss 0.231, 12 min left"),
        (Progress(1200, 10_000, "", 40.0), "step 1200/10000, 40 s left"),
        (Progress(7, None, "\x1b[2J"), "step 7, �[2J"),
    ],
)
def test_status_shows_how_far_a_training_is(
    start: Start, coordinator: CoordinatorDouble, progress: Progress, shown: str
) -> None:
    out = ask_status(start, coordinator, shown=status(jobs=(job(3, progress=progress),)))
    assert out.splitlines()[-1].endswith(f"train.py  {shown}")


def test_status_with_nothing_says_so(start: Start, coordinator: CoordinatorDouble) -> None:
    out = ask_status(start, coordinator, "--all", shown=status())
    assert out == "no device is seen\n\nno jobs\n"


def test_a_name_cannot_command_the_terminal(start: Start, coordinator: CoordinatorDouble) -> None:
    shown = status(jobs=(job(3, name="\x1b]0;evil\x07\n12 running"),))
    out = ask_status(start, coordinator, shown=shown)
    assert "\x1b" not in out
    assert out.splitlines()[-1].endswith("�]0;evil��12 running")


def test_status_json_is_the_contracts_and_nothing_else(
    start: Start, coordinator: CoordinatorDouble
) -> None:
    shown = status(devices=(device(0),), jobs=(job(3, name="\x1b"),))
    out = ask_status(start, coordinator, "--json", shown=shown)
    assert msgspec.json.decode(out, type=Status) == shown
    assert set(msgspec.json.decode(out)) == {"coordinator", "devices", "jobs", "problem"}


def why_reply() -> WhyReply:
    entry = StoryEntry(
        at=5.0, instant="2026-01-01T00:00:00Z", cause="submitted", state="queued", detail=""
    )
    return WhyReply(text="GPU 0: 20 + 6\n  > 21.6", story=JobStory(job(3), (entry,)))


def test_why_shows_the_sum_and_then_the_story(start: Start, coordinator: CoordinatorDouble) -> None:
    command = start("why", "train.py")
    assert coordinator.expect(AskWhy).job == "train.py"
    coordinator.send(why_reply())
    assert ended(command)[1].splitlines() == [
        "GPU 0: 20 + 6",
        "  > 21.6",
        "",
        "AT                    STATE",
        "2026-01-01T00:00:00Z  queued  submitted",
    ]


def test_why_json_is_the_job_and_its_story(start: Start, coordinator: CoordinatorDouble) -> None:
    command = start("why", "3", "--json")
    coordinator.expect(AskWhy)
    coordinator.send(why_reply())
    assert msgspec.json.decode(ended(command)[1], type=JobStory) == why_reply().story


def test_an_unknown_job_is_one_line_and_the_coordinators_code(
    start: Start, coordinator: CoordinatorDouble
) -> None:
    command = start("why", "9")
    coordinator.expect(AskWhy)
    coordinator.send(Problem(text="there is no job 9; gpurun status lists the jobs", code=2))
    assert ended(command) == (
        2,
        "",
        "gpurun: error: there is no job 9; gpurun status lists the jobs\n",
    )


def test_pause_waits_until_every_job_has_stepped_aside(
    start: Start, coordinator: CoordinatorDouble
) -> None:
    command = start("pause", "3", "mine")
    assert coordinator.expect(Pause).job == "3"
    assert coordinator.expect(Pause).job == "mine"
    text = "job 3 is asked to pause at its next safe point"
    coordinator.send(Done(job=3, text=text, pending=True), Done(job=4, text="job 4 is held"))
    assert command.stderr
    assert command.stderr.readline() == f"gpurun: {text}\n"
    assert command.poll() is None
    coordinator.send(Done(job=3, text="job 3 is paused"))
    assert ended(command) == (0, "job 4 is held\njob 3 is paused\n", "")


def test_pause_no_wait_returns_with_the_first_answer(
    start: Start, coordinator: CoordinatorDouble
) -> None:
    command = start("pause", "3", "--no-wait")
    coordinator.expect(Pause)
    coordinator.send(Done(job=3, text="job 3 is asked to pause", pending=True))
    assert ended(command) == (0, "job 3 is asked to pause\n", "")


def test_ctrl_c_ends_the_waiting_for_a_pause_with_130_and_no_traceback(
    start: Start, coordinator: CoordinatorDouble
) -> None:
    command = start("pause", "3")
    coordinator.expect(Pause)
    coordinator.send(Done(job=3, text="asked", pending=True))
    assert command.stderr
    assert command.stderr.readline() == "gpurun: asked\n"
    os.kill(command.pid, signal.SIGINT)
    assert ended(command) == (130, "", "\n")  # closes the terminal's ^C


def test_a_rehearsal_tries_each_way_that_is_on_offer_and_says_each_on_a_line(
    start: Start, coordinator: CoordinatorDouble
) -> None:
    """The way that is refused is an error, and those behind it are tried all the same."""
    command = start("pause", "--rehearse", "mine")
    assert coordinator.expect(Rehearse) == Rehearse(job="mine")
    coordinator.send(Done(job=3, text="job 3 is asked to stand", pending=True))
    coordinator.send(Rehearsed(job=3, text="job 3 can stand", further="park"))
    assert coordinator.expect(Rehearse) == Rehearse(job="mine", how="park")
    refusal = "job 3 cannot park: no host memory"
    coordinator.send(Rehearsed(job=3, text=refusal, refused=True, further="exit"))
    assert coordinator.expect(Rehearse) == Rehearse(job="mine", how="exit")
    coordinator.send(Rehearsed(job=3, text="job 3 can exit"))
    said = f"gpurun: job 3 is asked to stand\ngpurun: error: {refusal}\n"
    assert ended(command) == (1, "job 3 can stand\njob 3 can exit\n", said)


def test_several_jobs_rehearse_one_after_the_other(
    start: Start, coordinator: CoordinatorDouble
) -> None:
    command = start("pause", "--rehearse", "3", "4")
    assert coordinator.expect(Rehearse).job == "3"
    coordinator.send(Problem(text="job 3 (x) cannot rehearse a pause: it is queued", code=1))
    assert coordinator.expect(Rehearse).job == "4"
    coordinator.send(Rehearsed(job=4, text="job 4 can stand"))
    said = "gpurun: error: job 3 (x) cannot rehearse a pause: it is queued\n"
    assert ended(command) == (1, "job 4 can stand\n", said)


def test_resume_and_cancel_name_their_jobs_and_the_grace(
    start: Start, coordinator: CoordinatorDouble
) -> None:
    command = start("resume", "3")
    assert coordinator.expect(Resume) == Resume(job="3")
    coordinator.send(Done(job=3, text="job 3 is back in the queue"))
    assert ended(command) == (0, "job 3 is back in the queue\n", "")
    for words, grace in ((["cancel", "3"], 10.0), (["cancel", "3", "--grace", "1min"], 60.0)):
        command = start(*words)
        assert coordinator.expect(Cancel) == Cancel(job="3", grace=grace)
        coordinator.send(Done(job=3, text="job 3 is cancelled"))
        assert ended(command)[0] == 0


def test_adjust_says_only_what_was_named(start: Start, coordinator: CoordinatorDouble) -> None:
    command = start("adjust", "3", "--mem", "25%", "--priority", "high")
    asked = coordinator.expect(Adjust)
    assert asked == Adjust(job="3", priority=50, memory_share=0.25)
    coordinator.send(Done(job=3, text="job 3 (x): priority 50 from now on"))
    assert ended(command) == (0, "job 3 (x): priority 50 from now on\n", "")


def test_adjust_of_nothing_is_wrong_usage(start: Start) -> None:
    code, _, err = ended(start("adjust", "3"))
    assert code == 2
    assert err.startswith("gpurun: error: nothing to change; name --priority, --mem")


@pytest.mark.parametrize(("words", "on"), [((), True), (("--off",), False)])
def test_drain_and_its_end(
    start: Start, coordinator: CoordinatorDouble, words: tuple[str, ...], on: bool
) -> None:
    command = start("drain", *words)
    assert coordinator.expect(Drain).on is on
    coordinator.send(Done(job=0, text="said"))
    assert ended(command) == (0, "said\n", "")


def test_one_refusal_among_several_jobs_is_the_exit_code(
    start: Start, coordinator: CoordinatorDouble
) -> None:
    command = start("cancel", "8", "3")
    coordinator.expect(Cancel)
    coordinator.expect(Cancel)
    coordinator.send(Problem(text="there is no job 8", code=2), Done(job=3, text="cancelled"))
    assert ended(command) == (2, "cancelled\n", "gpurun: error: there is no job 8\n")


def test_a_simulated_load_is_held_for_its_time(
    start: Start, coordinator: CoordinatorDouble, environment: dict[str, str]
) -> None:
    inside = inside_job(os.getpid()) | {
        "GPURUN_SOCKET": coordinator.path,
        "GPURUN_RUNTIME_DIR": "/nowhere",
        "CUDA_VISIBLE_DEVICES": "GPU-b,GPU-a",
    }
    words = ["sim", "load", "--mem", "5GiB", "--util", "40", "--seconds", "0.2"]
    command = start(*words, env=environment | inside)
    load = coordinator.expect(SimulateLoad)
    assert load == SimulateLoad(
        memory=5 * 1024**3, utilization=0.4, pid=command.pid, device="GPU-b"
    )
    coordinator.send(Done(job=0, text="holding 5.0 GiB"))
    assert command.stdout
    assert command.stdout.readline() == "holding 5.0 GiB\n"
    assert command.poll() is None
    assert ended(command)[0] == 0


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, -15), (signal.SIGINT, 130)])
def test_a_simulated_load_ends_when_it_is_told_to(
    start: Start, coordinator: CoordinatorDouble, number: int, code: int
) -> None:
    command = start("sim", "load", "--mem", "5GiB", "--seconds", "60")
    coordinator.expect(SimulateLoad)
    coordinator.send(Done(job=0, text="holding"))
    assert command.stdout
    assert command.stdout.readline() == "holding\n"
    os.kill(command.pid, number)
    assert ended(command)[0] == code


def test_a_simulated_load_that_does_not_fit_exits_1(
    start: Start, coordinator: CoordinatorDouble
) -> None:
    command = start("sim", "load", "--mem", "50GiB", "--seconds", "1")
    coordinator.expect(SimulateLoad)
    coordinator.send(Problem(text="out of memory on device 0", code=1))
    assert ended(command) == (1, "", "gpurun: error: out of memory on device 0\n")


def test_a_coordinator_that_ends_without_an_answer_is_named(
    start: Start, coordinator: CoordinatorDouble
) -> None:
    with subprocess.Popen(["sleep", "60"]) as stand_in:
        coordinator.pid = stand_in.pid
        command = start("sim", "load", "--mem", "5GiB", "--seconds", "60")
        coordinator.expect(SimulateLoad)
        stand_in.kill()
        assert ended(command) == (
            125,
            "",
            "gpurun: error: the coordinator has ended; the next command starts it again\n",
        )


def test_ps_is_status(start: Start, coordinator: CoordinatorDouble) -> None:
    command = start("ps", "--all")
    assert coordinator.expect(AskStatus).everything
    coordinator.send(StatusReply(status=status()))
    assert ended(command)[:2] == (0, "no device is seen\n\nno jobs\n")


def test_status_says_why_no_device_is_seen(start: Start, coordinator: CoordinatorDouble) -> None:
    problem = "no NVIDIA driver; try GPURUN_DEVICES=sim:24GiB"
    for devices in ((), (device(0),)):
        shown = msgspec.structs.replace(status(devices=devices), problem=problem)
        assert f"{problem}\n\nno jobs\n" in ask_status(start, coordinator, shown=shown)


def test_a_question_is_for_whatever_devices_are_watched(
    start: Start, coordinator: CoordinatorDouble, environment: dict[str, str]
) -> None:
    for said, devices in (({}, ""), ({"GPURUN_DEVICES": "sim:24GiB"}, "sim:24GiB")):
        for words in (["status"], ["sim", "load", "--mem", "1GiB", "--seconds", "9"]):
            coordinator.heard.clear()
            start(*words, env=environment | said)
            coordinator.expect(AskStatus if words == ["status"] else SimulateLoad)
            assert isinstance(hello := coordinator.heard[0], Hello)
            assert hello.devices == devices


def test_an_output_that_cannot_be_written_is_said(
    start: Start, coordinator: CoordinatorDouble
) -> None:
    with open("/dev/full", "w", encoding="utf-8") as full:
        command = start("status", stdout=full)
        coordinator.expect(AskStatus)
        coordinator.send(StatusReply(status=status()))
        assert (command.wait(10), command.stderr.read() if command.stderr else "") == (
            125,
            "gpurun: error: cannot write the output: No space left on device; "
            "check where it goes\n",
        )
