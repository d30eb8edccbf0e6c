"""Which runs speak of which: other arguments, words, devices and interpreters."""

import pytest

from gpurun.coordinator.core.estimator.arguments import read
from gpurun.coordinator.core.estimator.estimate import Asked, estimate
from gpurun.coordinator.core.estimator.guess import Guess, Need
from gpurun.coordinator.core.estimator.history import KEPT, History
from gpurun.coordinator.core.estimator.profile import Profile
from gpurun.coordinator.core.estimator.seen import Seen
from gpurun.protocol.job import ProgramId
from gpurun.protocol.quantity import GIB

HERE = "A GPU"


def program(*arguments: str, **changes: str) -> ProgramId:
    fields = {"path": "/train.py", "interpreter": "/python", "digest": "1"} | changes
    return ProgramId(arguments=arguments, **fields)


def ran(
    peak: float, *arguments: str, model: str = HERE, gpus: int = 1, own: ProgramId | None = None
) -> Profile:
    seen = Seen(model=model, looks=9, memory=int(peak * GIB), utilization=0.5, alone=9)
    return Profile(
        job=1, uid=1, program=own or program(*arguments), gpus=gpus, seen=seen, ran=9.0,
        complete=True,
    )  # fmt: skip


def need(wanted: ProgramId, *runs: Profile) -> Need:
    return estimate(Asked(program=wanted, gpus=1, models=frozenset({HERE})), runs)


def memory(wanted: ProgramId, *runs: Profile) -> Guess:
    guess = need(wanted, *runs).memory
    assert guess is not None
    return guess


@pytest.mark.parametrize(
    ("arguments", "words", "numbers"),
    [
        (("--batch", "64", "lr=0.1", "big"), ("--batch", "big", "lr"), {"--batch": 64, "lr": 0.1}),
        (("--mem=6GiB", "1e-4"), ("--mem", "argument 2"), {"--mem": 6 * GIB, "argument 2": 1e-4}),
        (("--lr", "-1", "resnet50"), ("--lr", "resnet50"), {"--lr": -1}),
        (("--size", "1e999"), ("--size", "1e999"), {}),
        (("-v", "-n", "3", "4"), ("-n", "-v", "argument 2"), {"-n": 3, "argument 2": 4}),
        (("x=1", "x=2"), ("x", "x"), {"x": 1, "x #2": 2}),
    ],
)
def test_numbers_are_read_with_their_names(
    arguments: tuple[str, ...], words: tuple[str, ...], numbers: dict[str, float]
) -> None:
    found = read(arguments)
    assert (found.words, dict(found.numbers)) == (words, numbers)


def test_one_other_combination_is_scaled_up_and_never_down() -> None:
    run = ran(10, "--batch", "8")
    assert memory(program("--batch", "16"), run).low == 20 * GIB
    assert memory(program("--batch", "4"), run).low == 10 * GIB


def test_a_number_that_was_seen_not_to_matter_does_not() -> None:
    runs = [ran(10, "--seed", "1"), ran(10, "--seed", "7")]
    assert memory(program("--seed", "900"), *runs).low == pytest.approx(10 * GIB)


def test_two_numbers_that_matter_together_are_told_from_two_that_add_up() -> None:
    runs = [
        ran(2 + batch * length / 100, f"batch={batch}", f"length={length}")
        for batch in (4, 8, 16)
        for length in (10, 20, 40)
    ]
    found = memory(program("batch=32", "length=80"), *runs)
    assert found.low == pytest.approx((2 + 25.6) * GIB, rel=0.1)


def test_outside_of_what_was_seen_the_interval_is_wider() -> None:
    runs = [ran(2 + batch, f"batch={batch}") for batch in (4, 8)]
    inside, outside = (memory(program(f"batch={n}"), *runs) for n in (6, 16))
    assert outside.high / outside.low > inside.high / inside.low


def test_where_the_runs_fit_no_line_the_interval_is_wider() -> None:
    straight = [ran(2 + batch, f"batch={batch}") for batch in (4, 8, 12)]
    crooked = [*straight[:2], ran(11, "batch=12"), ran(18, "batch=8")]
    smooth, rough = (memory(program("batch=6"), *runs) for runs in (straight, crooked))
    assert rough.high / rough.low > smooth.high / smooth.low


def test_runs_from_before_an_edit_carry_over_with_a_wider_interval() -> None:
    same = [ran(2 + batch, f"batch={batch}") for batch in (4, 8)]
    before = [ran(2 + n, own=program(f"batch={n}", digest="0")) for n in (4, 8)]
    now, then = memory(program("batch=6"), *same), memory(program("batch=6"), *before)
    assert (then.low, then.basis) == (now.low, "inferred")
    assert then.high > now.high


def test_another_word_makes_it_unknown() -> None:
    """Nobody knows what another model takes."""
    assert need(program("--model", "vit"), ran(5, "--model", "resnet")) == Need()


def test_words_that_were_seen_not_to_matter_do_not() -> None:
    """Folders and names of runs differ each time, while the program needs the same."""
    runs = [ran(5 + n / 10, "--out", f"runs/{n}") for n in range(3)]
    found = memory(program("--out", "runs/9"), *runs)
    assert found.basis == "inferred"
    assert found.low == pytest.approx(5.2 * GIB)
    assert need(program("--out", "runs/9"), *runs[:2]).memory is None
    assert need(program("--out", "runs/9"), *runs, ran(9, "--out", "z")).memory is None


@pytest.mark.parametrize("change", [{"digest": "2"}, {"interpreter": "/venv/python"}])
def test_an_edit_and_another_interpreter_widen_the_interval(change: dict[str, str]) -> None:
    run = ran(10)
    same, other = memory(program(), run), memory(program(**change), run)
    assert (same.basis, other.basis) == ("learned", "inferred")
    assert same.low == other.low == 10 * GIB
    assert same.high < other.high


def test_a_run_on_a_device_that_is_not_here_says_less_of_memory_and_nothing_of_time() -> None:
    found = need(program(), ran(10, model="Another"))
    assert found.memory is not None
    assert (found.memory.basis, found.utilization) == ("inferred", None)


def test_runs_on_another_number_of_devices_say_nothing() -> None:
    assert need(program(), ran(10, gpus=2)) == Need()


def test_a_script_that_could_not_be_read_is_never_taken_for_unchanged() -> None:
    assert memory(program(digest=""), ran(10, own=program(digest=""))).basis == "inferred"


def test_an_executable_has_no_content_to_change() -> None:
    tool = {"path": "/bin/tool", "interpreter": "", "digest": "", "folder": "/home"}
    assert memory(program(**tool), ran(10, own=program(**tool))).basis == "learned"


def test_only_the_last_runs_of_a_program_are_remembered() -> None:
    history = History()
    asked = Asked(program=program(), gpus=1, models=frozenset({HERE}))
    history.add(ran(50))
    for _ in range(KEPT):
        history.add(ran(5))
    guess = history.need(1, asked).memory
    assert guess is not None
    assert guess.low == 5 * GIB
    assert history.need(2, asked) == Need(), "they are another user's"
