"""Every attempt has what the first had: its values, and random states that nobody has seeded."""

import os
import subprocess
import sys

import pytest

from gpurun import sdk

SPLIT = """
{imports}
import random
import numpy
made = sdk.once("folder", lambda: f"runs/{{random.getrandbits(64)}}")
train, held = torch.utils.data.random_split(range(953), [800, 153])
print(made, list(held.indices), random.random(), numpy.random.rand())
"""
ORDERS = {
    "torch first": "import torch\nfrom gpurun import sdk",
    "looked for first": (
        "from gpurun import sdk\nfrom importlib.util import find_spec\n"
        "assert find_spec('torch').loader.is_package('torch') and find_spec('numpy.random')\n"
        "import torch"
    ),
    "sdk first": "from gpurun import sdk\nimport torch\nfrom gpurun import sdk",
}


def printed(script: str, attempt: int) -> str:
    """What an attempt of a script prints."""
    environment = {**os.environ, "GPURUN_ATTEMPT": str(attempt)}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=environment
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.parametrize("order", ORDERS)
def test_pitfall_18_an_unseeded_script_splits_its_data_as_in_the_first_attempt(
    order: str, under_gpurun: dict[str, str]
) -> None:
    """Pitfall 18: otherwise validation samples are trained on. A second process is its own."""
    script = SPLIT.format(imports=ORDERS[order])
    first = [printed(script, 1), printed(script, 1)]
    assert first[0].split()[1:] != first[1].split()[1:], "two processes are two"
    assert [printed(script, 2), printed(script, 2)] == first


def test_random_states_that_cannot_be_kept_cost_nothing_but_a_line(
    under_gpurun: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The training is to go on, in a folder that cannot be written too."""
    monkeypatch.setenv("GPURUN_CHECKPOINT_DIR", "/dev/null/checkpoints")
    script = "from gpurun import sdk; import random; import numpy.random; print('trained')"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "trained\n"), done.stderr
    assert "could not be kept" in done.stderr
    assert "Traceback" not in done.stderr


def test_once_gives_the_first_attempts_value(under_gpurun: dict[str, str]) -> None:
    """By its name, whatever that is, and whatever is asked for first."""
    assert sdk.once("a/b", lambda: {"path": ["x", 1, None]}) == {"path": ["x", 1, None]}
    assert sdk.once("a/b", lambda: {"path": []}) == {"path": ["x", 1, None]}
    assert sdk.once("c", lambda: 2.5) == 2.5


@pytest.mark.parametrize("value", [(1, 2), {1: 2}, object(), {"a": {3}}])
def test_once_names_what_it_cannot_keep(
    value: object, under_gpurun: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Outside gpurun too, so that it is noticed before it matters."""
    with pytest.raises(TypeError, match=type(value).__name__):
        sdk.once("it", lambda: value)
    monkeypatch.delenv("GPURUN_JOB")
    with pytest.raises(TypeError, match=type(value).__name__):
        sdk.once("it", lambda: value)


def test_outside_gpurun_once_is_what_it_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is kept."""
    monkeypatch.delenv("GPURUN_JOB", raising=False)
    assert sdk.once("it", lambda: 1) == 1
    assert sdk.once("it", lambda: 2) == 2
