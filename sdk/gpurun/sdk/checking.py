"""Does save and load lose nothing? Half of a short training again, in a new process.

    python -m gpurun.sdk.checking SCRIPT [ARGS…]

The first process trains for ten steps and makes a checkpoint behind the fifth. The second loads
that and trains for the other five. Then every value must be the same, bit for bit, both behind the
load and at the end. The idea is that of Ray's validate_save_restore.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from gpurun.sdk.errors import CheckError
from gpurun.sdk.say import say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gpurun.sdk.session import Session
    from gpurun.sdk.trainable import Trainable

HALF, WHOLE = 5, 10
"""Steps behind which there is a checkpoint, and in all."""
LATER = (
    f"{WHOLE - HALF} steps behind the load, and not before: it depends on something that is not "
    "saved, such as a global, a file, or kernels that are not deterministic"
)
VARIABLE = "GPURUN_CHECK"
_CHECKPOINT = "checkpoint"


# --- who asks


def check(trainable_class: "type[Trainable]", config: dict[str, Any] | None = None) -> None:
    """Prove that save and load lose nothing of this training; raise CheckError with what is lost.

    Starts two processes that import the script as a module, so that what the script itself does
    belongs under `if __name__ == "__main__":`.
    """
    if VARIABLE in os.environ:
        return  # this is one of the two
    from multiprocessing import get_context

    def train() -> int:
        process = get_context("spawn").Process(target=_train, args=(trainable_class, config))
        process.start()
        process.join()
        return process.exitcode or 0

    _compare_two(train)


def main(words: list[str]) -> int:
    """Check a script; print what came of it, and return the exit code."""

    def train() -> int:
        return subprocess.run([sys.executable, *words], check=False).returncode

    try:
        compared = _compare_two(train)
    except CheckError as error:
        print(f"gpurun: error: {words[0]}: {error}", file=sys.stderr, flush=True)
        return 1
    print(
        f"{words[0]} loses nothing: {HALF} steps, a checkpoint, a new process and {WHOLE - HALF} "
        f"more steps end as {WHOLE} steps do, bit for bit ({compared} values compared)"
    )
    return 0


def _train(trainable_class: "type[Trainable]", config: dict[str, Any] | None) -> None:
    from gpurun.sdk.training import run

    run(trainable_class, config, steps=WHOLE + 1)


def _compare_two(train: Callable[[], int]) -> int:
    """Have both trained and compare them; the number of values that are the same."""
    with tempfile.TemporaryDirectory(prefix="gpurun-check-") as folder:
        _run(train, folder, 1)
        with open(f"{folder}/{_CHECKPOINT}", encoding="utf-8") as file:
            path = file.read()
        _run(train, folder, 2, GPURUN_RESUME=path)
        _compare(folder, HALF, "right behind the load")
        return _compare(folder, WHOLE, LATER)


def _run(train: Callable[[], int], folder: str, attempt: int, **further: str) -> None:
    with _environment(folder, attempt, **further):
        code = train()
    if os.path.exists(_values(folder, attempt, WHOLE)):
        return
    if code:
        raise CheckError(f"it ended with exit code {code} before its step {WHOLE}")
    if attempt > 1 and not os.path.exists(_values(folder, attempt, HALF)):
        raise CheckError(f"the second process did not go on from step {HALF}: it began anew")
    raise CheckError(
        f"no training of it came to step {WHOLE} and one more; it needs as many, in sdk.run, "
        "sdk.job or one of the callbacks"
    )


@contextmanager
def _environment(folder: str, attempt: int, **further: str) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.setdefault("PYTHONHASHSEED", "0")  # else sets have another order in each process
    os.environ.update(
        GPURUN_JOB="0",
        GPURUN_ATTEMPT=str(attempt),
        GPURUN_TOKEN="",
        GPURUN_SOCKET="",
        GPURUN_CHECKPOINT_DIR=folder,
        GPURUN_CHECK="1",
        **further,
    )
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _compare(folder: str, step: int, when: str) -> int:
    first, second = (_read(_values(folder, attempt, step)) for attempt in (1, 2))
    for name, digest in first.items():
        if name not in second:
            raise CheckError(f"{name} is not there {when}")
        if second[name] != digest:
            raise CheckError(f"{name} differs {when}")
    for name in second.keys() - first.keys():
        raise CheckError(f"{name} is there only after a load, {when}")
    return len(first)


def _values(folder: str, attempt: int, step: int) -> str:
    return f"{folder}/values-{attempt}-{step}.json"


def _read(path: str) -> dict[str, str]:
    with open(path, encoding="utf-8") as file:
        values: dict[str, str] = json.load(file)
    return values


# --- who is asked

_half: "dict[str, Session]" = {}
"""Whose checkpoint there is: of a script's trainings the first that is long enough is checked."""


def at_safe_point(session: "Session", step: int) -> None:
    """What a training does in a check: write down what it holds, save, and end."""
    folder = session.checkpoints
    attempt = int(os.environ["GPURUN_ATTEMPT"])
    if session.moment(step).world > 1:
        say("one process can be checked, and this training has several ranks")
        os._exit(1)
    if step == HALF and _half.get("of") is not session and (attempt == 1 or session.step == HALF):
        _half["of"] = session
        _write_values(session, _values(folder, attempt, HALF))
        if attempt == 1:
            _save(session, step)
    if step == WHOLE and _half.get("of") is session:
        _write_values(session, _values(folder, attempt, WHOLE))
    if step >= WHOLE:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


def _save(session: "Session", step: int) -> None:
    from gpurun.sdk import snapshot

    written = session.write(step, snapshot.part(session.subject, session.moment(step)))
    with open(f"{session.checkpoints}/{_CHECKPOINT}", "w", encoding="utf-8") as file:
        file.write(written.path)


def _write_values(session: "Session", path: str) -> None:
    from gpurun.sdk.digests import leaf_digests

    digests = leaf_digests(session.subject.held())
    with open(f"{path}.part", "w", encoding="utf-8") as file:
        json.dump(digests, file)
    os.rename(f"{path}.part", path)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
