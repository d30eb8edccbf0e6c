"""A job that starts, runs and ends."""

from tests.launcher.conftest import Start, ended
from tests.launcher.coordinator_double import CoordinatorDouble


def test_the_exit_code_is_the_jobs_own(start: Start, coordinator: CoordinatorDouble) -> None:
    command = start("sh", "-c", "exit 3")
    coordinator.admit()
    assert coordinator.end().code == 3
    assert ended(command)[0] == 3
