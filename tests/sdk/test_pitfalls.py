"""The eighteen ways in which a pause is known to lose something each have a test of their number.

They are: ranks disagree (1), a torn checkpoint (2), the place in the data is lost (3), the
order of random numbers (4), saved in mid-step (5), paused taken for done (6), memory not
released (7), a park races or breaks aliasing (8), the learning rate is off by one (9), the
grace is too short (10), forks (11), weights_only (12), disk or host memory is short (13),
forgotten state (14), a starved poll or a dead coordinator (15), a respawn is not a replay (16),
state that cannot be parked (17), unseeded starts (18).
"""

import re
from pathlib import Path

TESTS = Path(__file__).parent.parent


def test_each_pitfall_has_a_test_of_its_number() -> None:
    """Named test_pitfall_NN_…, wherever it belongs."""
    sources = (path.read_text() for path in TESTS.rglob("test_*.py"))
    found = {number for text in sources for number in re.findall(r"def test_pitfall_(\d\d)_", text)}
    assert found == {f"{number:02d}" for number in range(1, 19)}
