"""Loggers of an attempt that goes on: the same version, and the rows of the one before."""

import warnings
from typing import Any

State = dict[str, Any]


def state_of(loggers: list[Any]) -> list[State]:
    """For each its version, and what its file and its memory hold of a table that it rewrites."""
    return [{"version": getattr(one, "_version", None), "table": _table(one)} for one in loggers]


def reopen(loggers: list[Any], states: list[State]) -> None:
    """Give each its version before it takes the next free one, and its table back."""
    for logger, state in zip(loggers, states, strict=False):
        opened = vars(logger).get("_experiment") is not None
        if state["version"] is None or opened:
            continue
        logger._version = state["version"]
        if state["table"] is not None:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # it tells that it deletes the file, which is back
                _ = logger.experiment
    put_back(loggers, states)


def put_back(loggers: list[Any], states: list[State]) -> None:
    """Let each table be as it was, whatever has been logged since."""
    for logger, state in zip(loggers, states, strict=False):
        table, experiment = state["table"], vars(logger).get("_experiment")
        if table is None or experiment is None:
            continue
        experiment.metrics, experiment.metrics_keys = list(table["rows"]), list(table["keys"])
        if table["file"] is not None:
            with experiment._fs.open(experiment.metrics_file_path, "w", newline="") as file:
                file.write(table["file"])


def _table(logger: Any) -> dict[str, Any] | None:
    """A CSVLogger's, which deletes the file of an earlier attempt when it is opened."""
    experiment = vars(logger).get("_experiment")
    if not hasattr(experiment, "metrics_file_path"):
        return None
    return {
        "rows": experiment.metrics,
        "keys": experiment.metrics_keys,
        "file": _text(experiment),
    }


def _text(experiment: Any) -> str | None:
    try:
        with experiment._fs.open(experiment.metrics_file_path, "r", newline="") as file:
            return str(file.read())
    except FileNotFoundError:
        return None
