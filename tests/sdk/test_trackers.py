"""A run of W&B or MLflow that is live at a pause goes on in the next attempt.

Modules of the test's own stand for the two libraries.
"""

import os
import subprocess
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from tests.sdk.asking import asks_before, go_on_when_durable
from tests.sdk.coordinator_double import Coordinator
from tests.sdk.trainings import Tiny

from gpurun import sdk
from gpurun.protocol import messages as m
from gpurun.sdk import trackers
from gpurun.sdk.link import Link

NAMES = ("WANDB_RUN_ID", "WANDB_RESUME", "MLFLOW_RUN_ID")
LIVE = {"WANDB_RUN_ID": "w1", "WANDB_RESUME": "allow", "MLFLOW_RUN_ID": "m1"}


@pytest.fixture(autouse=True)
def libraries(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """What stands for wandb and mlflow, each with a live run; no id is in the environment."""
    wandb: Any = ModuleType("wandb")
    wandb.run = SimpleNamespace(id="w1")
    mlflow: Any = ModuleType("mlflow")
    mlflow.active_run = lambda: SimpleNamespace(info=SimpleNamespace(run_id="m1"))
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    monkeypatch.setitem(sys.modules, "mlflow", mlflow)
    for name in NAMES:
        monkeypatch.setenv(name, "")  # so that what the test exports is taken back
        monkeypatch.delenv(name)
    return SimpleNamespace(wandb=wandb, mlflow=mlflow)


def exported() -> dict[str, str]:
    """What is in the environment now."""
    return {name: os.environ[name] for name in NAMES if name in os.environ}


@pytest.mark.parametrize("how", ["exit", "park"])
@pytest.mark.usefixtures("releases")
def test_the_import_in_the_next_attempt_exports_what_was_live_at_the_pause(
    how: str, coordinator: Coordinator, links: list[Link], under_gpurun: dict[str, str]
) -> None:
    """Before the script can begin a run of its own."""
    go_on_when_durable(coordinator)
    sdk.run(Tiny, {"before_step": asks_before(3, coordinator, links, how=how)}, steps=5)
    resume = coordinator.wait_for(m.Durable).checkpoint
    script = (
        "from gpurun import sdk\nimport os\n"
        f"print({{name: os.environ[name] for name in {NAMES!r} if name in os.environ}})"
    )
    for environment, said in (({"GPURUN_RESUME": resume}, LIVE), ({}, {})):
        done = subprocess.run(
            [sys.executable, "-c", script],
            env=os.environ | environment,
            capture_output=True,
            text=True,
        )
        assert done.stdout == f"{said}\n", done.stderr


def test_what_the_user_says_stands(folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    trackers.remember(folder)
    monkeypatch.setenv("WANDB_RUN_ID", "mine")
    trackers.export(folder)
    assert exported() == {**LIVE, "WANDB_RUN_ID": "mine"}


def test_a_run_of_a_later_training_waits_for_that_one(folder: str) -> None:
    """Else the first training of the script, which is done again, would write into it."""
    trackers.remember(folder, 1)
    trackers.export(folder)
    assert exported() == {}
    trackers.export(folder, 1)
    assert exported() == LIVE


def test_a_run_that_is_over_at_the_next_pause_does_not_go_on(
    folder: str, libraries: SimpleNamespace
) -> None:
    trackers.remember(folder)
    libraries.wandb.run = None
    libraries.mlflow.active_run = lambda: None
    trackers.remember(folder)
    trackers.export(folder)
    assert exported() == {}


def test_a_library_that_fails_costs_the_pause_nothing(
    folder: str, libraries: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    libraries.wandb.run = object()
    trackers.remember(folder)
    assert "a run of W&B or MLflow will not go on" in capsys.readouterr().err
