"""A checkpoint is loaded by the training that wrote it, and by no other of the same job."""

import subprocess
import sys
from pathlib import Path

import pytest
from tests.sdk.asking import asks_before, go_on_when_durable
from tests.sdk.coordinator_double import Coordinator
from tests.sdk.saved import load, save
from tests.sdk.trainings import Tiny

from gpurun import sdk
from gpurun.protocol import messages as m
from gpurun.sdk import state
from gpurun.sdk.identity import identity
from gpurun.sdk.link import Link

STEPS = 6


class Other(Tiny):
    """Another class of the same module, as its name says, with the same attributes."""

    __module__ = Tiny.__module__


def made(kind: type[Tiny]) -> Tiny:
    """A training as it is before its first step."""
    trainable = kind()
    trainable.setup({})
    state.remember(trainable)
    return trainable


def saved(folder: str) -> str:
    """The checkpoint of a Tiny after one step."""
    trainable = made(Tiny)
    trainable.step()
    return save(trainable, folder, 1).path


def test_the_same_training_loads_it(folder: str) -> None:
    """A fresh object of the same class in the same program is the same training."""
    assert load(made(Tiny), saved(folder)) == 1


@pytest.mark.parametrize("change", ["arguments", "program", "class", "module", "run"])
def test_another_training_leaves_it_alone(
    change: str, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One difference is enough; then nothing is loaded and nothing has changed."""
    path = saved(folder)
    if change == "arguments":
        monkeypatch.setattr(sys, "argv", [*sys.argv, "100"])
    if change == "program":
        monkeypatch.setattr(sys.modules["__main__"], "__file__", __file__, raising=False)
    kinds = {"class": Other, "module": type("Tiny", (Tiny,), {})}
    fresh = made(kinds.get(change, Tiny))
    before = sdk.digest(fresh)
    assert load(fresh, path, run=int(change == "run")) is None
    assert sdk.digest(fresh) == before


def test_a_link_to_the_program_is_the_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real path counts, whatever the path by which the program was started."""
    (tmp_path / "link.py").symlink_to(__file__)
    main = sys.modules["__main__"]
    monkeypatch.setattr(main, "__file__", __file__, raising=False)
    directly = identity("Tiny", 0)
    monkeypatch.setattr(main, "__file__", str(tmp_path / "link.py"))
    assert identity("Tiny", 0) == directly


def test_programs_without_a_file_differ_by_their_code() -> None:
    """Two `python -c` of one job are two programs."""
    code = "from gpurun.sdk.identity import identity; print(identity(str(), 0))"
    texts = {
        subprocess.check_output([sys.executable, "-c", text], text=True)
        for text in (code, code, f"{code} # another")
    }
    assert len(texts) == 2


def test_beside_the_checkpoint_of_another_it_starts_from_its_beginning(
    coordinator: Coordinator,
    links: list[Link],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The second program of a job never goes on from the first one's state, and says so."""
    expected = sdk.run(Other, steps=STEPS).digest
    go_on_when_durable(coordinator)
    sdk.run(Tiny, {"before_step": asks_before(3, coordinator, links)}, steps=STEPS)
    durable = coordinator.wait_for(m.Durable)
    monkeypatch.setenv("GPURUN_RESUME", durable.checkpoint)
    steps: list[int] = []

    def hook(now: int) -> None:
        steps.append(now)
        coordinator.wait_for(m.Resumed)

    result = sdk.run(Other, {"before_step": hook}, steps=STEPS)
    assert (result.digest, steps) == (expected, list(range(STEPS)))
    assert [resumed.step for resumed in coordinator.of(m.Resumed)] == [0]
    assert capsys.readouterr().err.splitlines() == [
        f"gpurun: {durable.checkpoint} is of another training of this job; "
        "this one starts from its beginning"
    ]
