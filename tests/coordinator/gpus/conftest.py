"""What the tests of devices run on."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.coordinator.gpus.helpers import Child, Driver, compiled, programs


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a current driver's library."""
    return compiled(tmp_path_factory.mktemp("driver"))


@pytest.fixture
def driver(library: Path, tmp_path: Path) -> Iterator[Driver]:
    """A process on a current driver."""
    driver = Driver(library, tmp_path / "devices.txt")
    yield driver
    driver.end()


@pytest.fixture
def child() -> Iterator[Callable[..., Child]]:
    """Start programs that are gone when the test is."""
    with programs() as start:
        yield start
