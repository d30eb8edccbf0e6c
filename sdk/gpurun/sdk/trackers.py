"""Runs of W&B and MLflow: one that is live at a pause goes on in the next attempt.

Both libraries take the id of a run to go on with from the environment.
"""

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_FILE = "trackers.json"


def remember(folder: str, run: int = 0) -> None:
    """Note in the folder which runs are live in the training of this number.

    A pause does not fail for it.
    """
    try:
        _note(folder, run, {**_of_wandb(), **_of_mlflow()})
    except Exception as error:  # noqa: BLE001 - also what the libraries raise
        from gpurun.sdk.say import say

        say(f"a run of W&B or MLflow will not go on after this pause: {error}")


def export(folder: str, run: int = 0) -> None:
    """Put what was noted into the environment, where the user has not said otherwise.

    What belongs to a later training of the script waits for that one.
    """
    import json

    try:
        with open(f"{folder}/{_FILE}", encoding="utf-8") as file:
            noted = json.load(file)
    except (OSError, ValueError):
        return
    if noted["run"] == run:
        for name, value in noted["environment"].items():
            os.environ.setdefault(name, value)


def _note(folder: str, run: int, live: dict[str, str]) -> None:
    import json

    path = f"{folder}/{_FILE}"
    if not live:
        if os.path.exists(path):
            os.unlink(path)
        return
    os.makedirs(folder, mode=0o700, exist_ok=True)
    with open(f"{path}.new", "w", encoding="utf-8") as file:
        json.dump({"run": run, "environment": live}, file)
    os.replace(f"{path}.new", path)


def _of_wandb() -> dict[str, str]:
    run = getattr(sys.modules.get("wandb"), "run", None)
    return {} if run is None else {"WANDB_RUN_ID": str(run.id), "WANDB_RESUME": "allow"}


def _of_mlflow() -> dict[str, str]:
    active: Any = getattr(sys.modules.get("mlflow"), "active_run", lambda: None)()
    return {} if active is None else {"MLFLOW_RUN_ID": str(active.info.run_id)}
