"""The configuration file."""

from pathlib import Path

import msgspec
import pytest

from gpurun.coordinator import config
from gpurun.coordinator.core.settings import Settings
from gpurun.protocol.quantity import GIB, MIB


def settings(tmp_path: Path, text: str) -> Settings:
    """Load a file of these lines."""
    path = tmp_path / "config.toml"
    path.write_text(text)
    return config.load(str(path))


def problem(tmp_path: Path, text: str) -> str:
    """Give the one line that loading raises, without the file's name."""
    with pytest.raises(config.ConfigError) as error:
        settings(tmp_path, text)
    line = str(error.value)
    assert "\n" not in line
    assert line.startswith(str(tmp_path / "config.toml"))
    return line


def test_without_a_file_everything_has_its_default(tmp_path: Path) -> None:
    """The defaults are the contract's."""
    found = config.load(str(tmp_path / "none.toml"))
    assert found == settings(tmp_path, "") == Settings()
    assert msgspec.to_builtins(found) == {
        "limits": {"memory": 0.9, "utilization": 0.9, "headroom": 512 * MIB, "enforce": False},
        "pause": {
            "enabled": True,
            "deadline": 60.0,
            "min_run": 600.0,
            "max_paused": 3600.0,
            "budget": 0.1,
        },
        "queue": {"ageing": 300.0, "drain_after": 600.0, "max_jobs_per_user": None},
        "monitor": {"interval": 1.0, "window": 10.0},
        "estimate": {"unknown": 0.25, "settle": None},
    }


def test_every_key_can_be_set(tmp_path: Path) -> None:
    """Sizes and durations are read in the forms of the command line."""
    found = settings(
        tmp_path,
        """
        [limits]
        memory = 0.8
        utilization = 1
        headroom = "1GiB"
        enforce = true
        [pause]
        enabled = false
        deadline = "90s"
        min_run = "5min"
        max_paused = "1.5h"
        budget = 0
        [queue]
        ageing = "1min"
        drain_after = "1h"
        max_jobs_per_user = 100
        [monitor]
        interval = "500ms"
        window = "20s"
        [estimate]
        unknown = 0.5
        settle = "2h"
        """,
    )
    assert msgspec.to_builtins(found) == {
        "limits": {"memory": 0.8, "utilization": 1.0, "headroom": GIB, "enforce": True},
        "pause": {
            "enabled": False,
            "deadline": 90.0,
            "min_run": 300.0,
            "max_paused": 5400.0,
            "budget": 0.0,
        },
        "queue": {"ageing": 60.0, "drain_after": 3600.0, "max_jobs_per_user": 100},
        "monitor": {"interval": 0.5, "window": 20.0},
        "estimate": {"unknown": 0.5, "settle": 7200.0},
    }


def test_settle_may_say_never(tmp_path: Path) -> None:
    assert settings(tmp_path, "estimate.settle = 'never'").estimate.settle is None
    assert settings(tmp_path, "estimate.settle = 0").estimate.settle == 0.0


def test_plain_numbers_are_seconds_and_bytes(tmp_path: Path) -> None:
    """A headroom of nothing is a headroom."""
    found = settings(tmp_path, "limits.headroom = 0\npause.deadline = 30\nmonitor.interval = 0.25")
    assert (found.limits.headroom, found.pause.deadline, found.monitor.interval) == (0, 30.0, 0.25)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("limits.memroy = 0.5", "[limits] memroy is not known; did you mean memory?"),
        ("[limit]\nmemory = 0.5", "[limit] is not known; did you mean limits?"),
        ("pause.xyzzy = 1", "known are enabled, deadline, min_run, max_paused"),
        ("[xyzzy]", "known are limits, pause, queue, monitor, estimate"),
        ("limits = 3", "limits = 3 is not a table; begin it with [limits]"),
        ("limits.memory = 90", "[limits] memory = 90: must be a share over 0 and up to 1"),
        ("limits.memory = 0", "must be a share"),
        ("limits.memory = nan", "must be a share"),
        ("limits.memory = true", "[limits] memory = true: must be a share"),
        ("limits.utilization = '90%'", "[limits] utilization = '90%': must be a share"),
        ("limits.headroom = 'much'", "a size like 6GiB"),
        ("queue.max_jobs_per_user = 0", "must be a whole number of at least 1"),
        ("queue.max_jobs_per_user = 1.5", "must be a whole number of at least 1"),
        ("limits.headroom = -1", "must be a size like '512MiB'"),
        ("limits.headroom = 0.5", "must be a size like '512MiB'"),
        ("pause.enabled = 'yes'", "[pause] enabled = 'yes': must be true or false"),
        ("pause.deadline = '60 parsecs'", "a duration like 90s"),
        ("pause.deadline = -1", "must be a duration like '60s'"),
        ("pause.max_paused = inf", "must be a duration like '60s'"),
        ("queue.ageing = 0", "[queue] ageing = 0: must be more than nothing"),
        ("monitor.interval = 0", "must be at least 0.1 s"),
        ("monitor.window = []", "must be a duration"),
        ("estimate.settle = 'soon'", "a duration like 90s"),
        ("limits.memory = ", "is not TOML"),
    ],
)
def test_an_error_names_the_key_and_what_is_right(tmp_path: Path, text: str, said: str) -> None:
    """One line with the file, the key, and the nearest right one or the forms of its value."""
    assert said in problem(tmp_path, text)


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    """Only a missing file means the defaults."""
    with pytest.raises(config.ConfigError, match="cannot be read"):
        config.load(str(tmp_path))
    (tmp_path / "config.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(config.ConfigError, match="is not TOML"):
        config.load(str(tmp_path / "config.toml"))


def test_a_file_that_somebody_named_must_be_there(tmp_path: Path) -> None:
    """A typing error in its name is not to be found out from the defaults."""
    path = str(tmp_path / "none.toml")
    with pytest.raises(config.ConfigError, match="is not there; write it, or unset GPURUN_CONFIG"):
        config.load(path, named=True)
