"""`gpurun retry`, and `gpurun resume` of a lost job: the job as it was started, here and now."""

import os
import shutil
import stat
import subprocess

import pytest
from tests.launcher.conftest import Start, ended, inside_job
from tests.launcher.coordinator_double import CoordinatorDouble, grant, waiting

from gpurun.protocol.job import Again
from gpurun.protocol.messages import (
    Accepted,
    Done,
    Problem,
    Resume,
    Retry,
    RetryReply,
    Submit,
)

BYTES = "surrogateescape"
ANEW = Again(checkpoint="", changed=True)
SHOW = 'echo "$PWD $MARK ${GPURUN_RESUME-anew} $*"; exit $CODE'


@pytest.fixture
def state(environment: dict[str, str]) -> str:
    return f"{environment['GPURUN_STATE_DIR']}/{os.uname().nodename}"


@pytest.fixture
def place(folder: str) -> str:
    """Where the job is started first."""
    path = f"{folder}/place"
    os.mkdir(path)
    return path


class Before:
    """A job that has run once, in a folder and an environment of its own."""

    def __init__(
        self,
        start: Start,
        coordinator: CoordinatorDouble,
        environment: dict[str, str],
        place: str,
        code: int = 1,
    ) -> None:
        own = environment | {"MARK": "first\udcff", "CODE": str(code)}
        words = ("sh", "-c", SHOW, "sh", "\udcfe", "x y")
        command = start(*words, cwd=place, env=own, errors=BYTES)
        self.submit = coordinator.admit()
        coordinator.end()
        assert ended(command)[0] == code


def checkpoint(state: str, uuid: str, name: str) -> str:
    path = f"{state}/checkpoints/{uuid}/{name}"
    os.makedirs(path)
    return path


def answered(coordinator: CoordinatorDouble, before: Before, how: str = "failed") -> None:
    """Tell who asks for job 1 by what to find it."""
    coordinator.expect(Retry)
    coordinator.send(RetryReply(job=1, uuid=before.submit.uuid, state=how))


def again_of(coordinator: CoordinatorDouble) -> Again:
    """Accept the job that is submitted again, and let it start as it asked."""
    submit = coordinator.accept()
    assert submit.again is not None
    coordinator.send(grant(attempt=2, resume=submit.again.checkpoint, changed=True))
    return submit.again


def test_it_runs_where_it_ran_with_its_environment_and_words_from_its_last_checkpoint(
    start: Start,
    coordinator: CoordinatorDouble,
    environment: dict[str, str],
    place: str,
    state: str,
) -> None:
    before = Before(start, coordinator, environment, place)
    for name in ("000009-step-900", "000010-step-1000", ".unfinished-000011"):
        newest = checkpoint(state, before.submit.uuid, name)
    newest = newest.replace(".unfinished-000011", "000010-step-1000")
    command = start("retry", "1", env=environment | {"MARK": "other"}, errors=BYTES)
    answered(coordinator, before)
    assert again_of(coordinator) == Again(checkpoint=newest, changed=True)
    coordinator.end()
    code, out, err = ended(command)
    assert (code, out) == (1, f"{place} first\udcff {newest} \udcfe x y\n")
    assert "no checkpoint" not in err


def test_it_is_asked_for_until_it_is_accepted_and_then_no_more(
    start: Start, coordinator: CoordinatorDouble, environment: dict[str, str], place: str
) -> None:
    """A coordinator that dies before has not heard of it; a later one knows that it lives."""
    before = Before(start, coordinator, environment, place)
    command = start("retry", "1", errors=BYTES)
    answered(coordinator, before)
    asked = []
    with subprocess.Popen(["sleep", "60"]) as first, subprocess.Popen(["sleep", "60"]) as second:
        coordinator.pid = first.pid
        asked.append(coordinator.expect(Submit).again)
        coordinator.pid = second.pid
        first.kill()
        asked.append(coordinator.expect(Submit).again)
        coordinator.send(Accepted(job=1), waiting("needs more"))
        assert command.stderr
        while "needs more" not in command.stderr.readline():
            pass
        coordinator.pid = os.getpid()
        second.kill()
        asked.append(coordinator.admit(attempt=2).again)
    assert asked == [ANEW, ANEW, None]
    coordinator.end()
    assert ended(command)[0] == 1


def test_fresh_keeps_the_checkpoints_until_it_starts(
    start: Start,
    coordinator: CoordinatorDouble,
    environment: dict[str, str],
    place: str,
    state: str,
) -> None:
    before = Before(start, coordinator, environment, place)
    kept = checkpoint(state, before.submit.uuid, "000001-step-1")
    command = start("retry", "--fresh", "1", errors=BYTES)
    answered(coordinator, before)
    submit = coordinator.accept()
    assert submit.again == ANEW
    assert os.path.exists(kept), "whoever gives up waiting has lost nothing"
    coordinator.send(grant(attempt=2))
    coordinator.end()
    assert ended(command)[1].split()[2] == "anew"
    assert not os.path.exists(kept), "nobody goes on from what it has left behind"


@pytest.mark.parametrize("how", ["finished", "failed"])
def test_a_job_without_a_checkpoint_begins_anew_and_says_so(
    start: Start,
    coordinator: CoordinatorDouble,
    environment: dict[str, str],
    place: str,
    state: str,
    how: str,
) -> None:
    before = Before(start, coordinator, environment, place, code=0 if how == "finished" else 1)
    own = f"{state}/checkpoints/{before.submit.uuid}/own"
    os.makedirs(own)
    command = start("retry", "1", errors=BYTES)
    answered(coordinator, before, how)
    assert again_of(coordinator).checkpoint == ""
    coordinator.end()
    assert f"gpurun: job 1 ({how}) has no checkpoint: it begins anew\n" in ended(command)[2]
    kept = how == "failed"
    assert os.path.exists(own) is kept, "what a script saves by itself is its own matter"


def test_a_new_submission_of_the_same_command_has_a_folder_of_its_own(
    start: Start,
    coordinator: CoordinatorDouble,
    environment: dict[str, str],
    place: str,
    state: str,
) -> None:
    before = Before(start, coordinator, environment, place)
    checkpoint(state, before.submit.uuid, "000001-step-1")
    after = Before(start, coordinator, environment, place)
    assert after.submit.uuid != before.submit.uuid
    assert after.submit.again is None


def test_what_is_kept_is_for_the_owner_alone(
    start: Start,
    coordinator: CoordinatorDouble,
    environment: dict[str, str],
    place: str,
    state: str,
) -> None:
    before = Before(start, coordinator, environment, place)
    for path, mode in ((f"{state}/orders", 0o700), (f"{state}/orders/{before.submit.uuid}", 0o600)):
        assert stat.S_IMODE(os.stat(path).st_mode) == mode


def refused(
    start: Start, coordinator: CoordinatorDouble, before: Before, words: str = "retry 1"
) -> tuple[int, str]:
    """Exit code and the one line of a retry that comes to nothing, before it is submitted."""
    command = start(*words.split())
    answered(coordinator, before)
    code, out, err = ended(command)
    assert out == ""
    lines = [line for line in err.splitlines() if "no checkpoint" not in line]
    assert len(lines) == 1, err
    assert not any(isinstance(message, Submit) and message.again for message in coordinator.heard)
    return code, lines[0].removeprefix("gpurun: error: ")


def test_what_is_not_there_any_more_is_said_in_one_line(
    start: Start,
    coordinator: CoordinatorDouble,
    environment: dict[str, str],
    place: str,
    state: str,
) -> None:
    before = Before(start, coordinator, environment, place)
    order = f"{state}/orders/{before.submit.uuid}"
    shutil.rmtree(place)
    text = f"cannot enter {place}, where job 1 ran: No such file or directory; "
    assert refused(start, coordinator, before) == (125, text + "run the command again elsewhere")
    with open(order, "wb") as file:
        file.write(b"\x00")
    code, text = refused(start, coordinator, before)
    assert (code, text.partition(" (")[0]) == (
        125,
        "what job 1 was started with cannot be read",
    )
    os.unlink(order)
    text = "what job 1 was started with is not kept any more; run the command again"
    assert refused(start, coordinator, before) == (125, text)


def test_a_script_that_is_gone_is_said_in_one_line(
    start: Start, coordinator: CoordinatorDouble, environment: dict[str, str], folder: str
) -> None:
    script = f"{folder}/gone.py"
    with open(script, "w", encoding="utf-8") as file:
        file.write("raise SystemExit(3)\n")
    command = start("gone.py")
    submit = coordinator.admit()
    coordinator.end()
    assert ended(command)[0] == 3
    os.unlink(script)
    command = start("retry", "1", cwd="/")
    coordinator.expect(Retry)
    coordinator.send(RetryReply(job=1, uuid=submit.uuid, state="failed"))
    code, _, err = ended(command)
    assert code == 127
    assert err.endswith("gpurun: error: there is no script gone.py; check its path\n")


def test_the_coordinators_refusal_is_the_answer(
    start: Start, coordinator: CoordinatorDouble
) -> None:
    command = start("retry", "3")
    assert coordinator.expect(Retry).job == "3"
    coordinator.send(Problem(text="job 3 (x) runs; gpurun cancel 3 ends it", code=2))
    assert ended(command) == (2, "", "gpurun: error: job 3 (x) runs; gpurun cancel 3 ends it\n")


def test_one_of_two_that_is_refused_leaves_the_folder_to_the_other(
    start: Start,
    coordinator: CoordinatorDouble,
    environment: dict[str, str],
    place: str,
    state: str,
) -> None:
    """Its job may run already, and save there."""
    before = Before(start, coordinator, environment, place)
    command = start("retry", "1", errors=BYTES)
    answered(coordinator, before)
    coordinator.expect(Submit)
    coordinator.send(Problem(text="job 1 (x) runs; gpurun cancel 1 ends it", code=1))
    assert ended(command)[0] == 1
    assert os.path.isdir(f"{state}/checkpoints/{before.submit.uuid}")


def test_inside_a_job_it_is_refused(start: Start, environment: dict[str, str]) -> None:
    command = start("retry", "1", env=environment | inside_job(os.getpid()))
    text = "gpurun retry inside job 3 might wait for it; run it outside"
    assert ended(command) == (2, "", f"gpurun: error: {text}\n")


# --- resume


def test_a_lost_job_is_started_again_here(
    start: Start,
    coordinator: CoordinatorDouble,
    environment: dict[str, str],
    place: str,
    state: str,
) -> None:
    before = Before(start, coordinator, environment, place)
    path = checkpoint(state, before.submit.uuid, "000001-step-1")
    command = start("resume", "1", errors=BYTES)
    coordinator.expect(Resume)
    coordinator.send(RetryReply(job=1, uuid=before.submit.uuid, state="lost"))
    assert again_of(coordinator) == Again(checkpoint=path, changed=False)
    coordinator.end()
    code, out, _ = ended(command)
    assert (code, out.split()[2]) == (1, path)


def test_a_lost_job_without_a_checkpoint_is_for_retry(
    start: Start, coordinator: CoordinatorDouble, environment: dict[str, str], place: str
) -> None:
    before = Before(start, coordinator, environment, place)
    command = start("resume", "1", errors=BYTES)
    coordinator.expect(Resume)
    coordinator.send(RetryReply(job=1, uuid=before.submit.uuid, state="lost"))
    text = "job 1 is lost and has no checkpoint; gpurun retry 1 begins anew"
    assert ended(command) == (125, "", f"gpurun: error: {text}\n")


def test_of_several_jobs_a_lost_one_is_named_and_the_others_resumed(
    start: Start, coordinator: CoordinatorDouble
) -> None:
    command = start("resume", "--changed", "1", "2")
    assert [coordinator.expect(Resume) for _ in range(2)] == [
        Resume(job="1", changed=True),
        Resume(job="2", changed=True),
    ]
    lost = RetryReply(job=1, uuid="u", state="lost")
    coordinator.send(lost, Done(job=2, text="job 2 is back in the queue"))
    text = "job 1 is lost; gpurun resume 1 alone starts it again here"
    assert ended(command) == (1, "job 2 is back in the queue\n", f"gpurun: error: {text}\n")
