"""The rules of the replay, on a tiny trace."""

import dataclasses
import json
import random

import pytest
from benchmarks.replaying.fcfs import FirstCome
from benchmarks.replaying.figures import figures_of
from benchmarks.replaying.gpurun import Gpurun
from benchmarks.replaying.mix import Mix, mixed
from benchmarks.replaying.policy import Costs, Policy
from benchmarks.replaying.rates import LEAST_TAKEN, BadDataError, Rates, read_rates
from benchmarks.replaying.requeue import REQUEUE_DELAY, Requeue
from benchmarks.replaying.sizes import memory_of
from benchmarks.replaying.trace import Work, read_trace
from benchmarks.replaying.uncontrolled import Uncontrolled

from benchmarks import replay
from gpurun.coordinator.core.settings import Limits

SMALL, LARGE, WHOLE = (
    "LM (batch size 5)",
    "Transformer (batch size 256)",
    "ResNet-50 (batch size 128)",
)
LIGHT = ("A3C", "Recommendation (batch size 512)", "ResNet-18 (batch size 16)")
KINDS = (SMALL, LARGE, WHOLE, *LIGHT)
POLICIES = (Gpurun, FirstCome, Uncontrolled, Requeue)
DEVICES = 2
COSTS = Costs(save=5.0, release=2.0, resume=20.0)


def table() -> dict[str, dict[str, object]]:
    """Everybody does 1 step a second alone, 0.6 beside another; two large ones do not fit."""
    rows: dict[str, dict[str, object]] = {}
    for kind in KINDS:
        for gpus in (1, 2):
            row: dict[str, object] = {"null": 1.0 * gpus}
            for other in KINDS:
                fits = gpus == 1 and memory_of(kind) + memory_of(other) <= 13 * 2**30
                row[f"('{other}', {gpus})"] = [0.6, 0.6] if fits else [0.0, 0.0]
            rows[f"('{kind}', {gpus})"] = row
    return rows


RATES = Rates(table())


def trainings(number: int = 60) -> list[Work]:
    pick = random.Random(7)  # noqa: S311
    return [
        Work(
            number=index,
            kind=pick.choice((SMALL, LARGE, WHOLE)),
            arrival=float(index * 100),
            seconds=pick.choice((300.0, 3000.0, 20_000.0)),
            gpus=pick.choice((1, 1, 1, 2)),
            step=1.0,
        )
        for index in range(number)
    ]


WORKS = mixed(trainings(), Mix(jobs=300, load=0.9), DEVICES)


def replayed(kind: type[Policy], works: list[Work] = WORKS) -> Policy:
    policy = kind(DEVICES, RATES, COSTS)
    policy.replay(works)
    return policy


def one(number: int, kind: str, arrival: float, seconds: float, **more: object) -> Work:
    return Work(number, kind, arrival, seconds, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", POLICIES)
def test_all_work_of_the_trace_is_done_but_that_of_failed_jobs(kind: type[Policy]) -> None:
    policy = replayed(kind)
    wanted = sum(o.work.seconds * o.work.gpus for o in policy.book.values() if not o.failed)
    assert policy.machine.worked - policy.lost_work == pytest.approx(wanted)
    assert all(outcome.ended is not None for outcome in policy.book.values())
    assert not any(policy.machine.on)


@pytest.mark.parametrize("kind", POLICIES)
def test_nobody_starts_before_it_comes_or_ends_sooner_than_its_work_takes(
    kind: type[Policy],
) -> None:
    for outcome in replayed(kind).book.values():
        assert outcome.began is not None
        assert outcome.ended is not None
        assert outcome.began >= outcome.work.arrival
        fastest = 0.0 if outcome.failed else outcome.work.seconds
        assert outcome.ended - outcome.began >= fastest - 1e-6


@pytest.mark.parametrize("kind", [Gpurun, Uncontrolled])
def test_at_most_two_share_a_device(kind: type[Policy]) -> None:
    assert replayed(kind).machine.most_together == 2


@pytest.mark.parametrize("kind", [FirstCome, Requeue])
def test_queues_of_exclusive_devices_never_share(kind: type[Policy]) -> None:
    assert replayed(kind).machine.most_together == 1


def test_gpurun_fails_no_job_and_pauses_trainings() -> None:
    figures = figures_of(replayed(Gpurun), took=0.0)
    assert figures.failed == 0
    assert figures.pauses > 0


def test_uncontrolled_fails_what_does_not_fit_beside_what_is_there() -> None:
    works = [one(n, WHOLE, float(n), 100.0) for n in range(3)]
    policy = replayed(Uncontrolled, works)
    assert [outcome.failed for outcome in policy.book.values()] == [False, False, True]


def test_two_that_share_go_at_the_rate_measured_for_the_pair() -> None:
    """Both devices are taken, so the third joins the first: 60 s at 0.6 of its speed."""
    works = [one(n, SMALL, float(n), seconds) for n, seconds in ((0, 500.0), (1, 500.0), (2, 36.0))]
    outcome = replayed(Uncontrolled, works).book[2]
    assert outcome.ended == pytest.approx(2.0 + 60.0)


def test_nobody_passes_the_first_in_line() -> None:
    works = [
        one(0, SMALL, 0.0, 100.0),
        one(1, SMALL, 1.0, 10.0, gpus=2),
        one(2, SMALL, 2.0, 10.0, light=True),
    ]
    book = replayed(FirstCome, works).book
    assert book[1].began == 100.0
    assert book[2].began == 110.0


def test_a_light_task_borrows_the_device_of_a_training() -> None:
    """5 s to save, 2 s to release; the training comes back and ends later by all that it lost."""
    works = [
        one(0, WHOLE, 0.0, 90_000.0),
        one(1, WHOLE, 0.0, 90_000.0),
        one(2, SMALL, 50_000.0, 60.0, light=True),
    ]
    policy = replayed(Gpurun, works)
    assert policy.book[2].began == pytest.approx(50_007.0)
    ends = sorted(outcome.ended or 0.0 for outcome in policy.book.values())
    assert ends[1:] == pytest.approx([90_000.0, 90_000.0 + 7.0 + 60.0 + 20.0])
    assert figures_of(policy, took=0.0).lost == pytest.approx(27.0 / 3600)


def test_requeue_kills_the_training_that_began_last_and_loses_its_work() -> None:
    """2,000 s of work: 1,800 are in its checkpoint. It waits 120 s, and loads for 20."""
    works = [
        one(0, WHOLE, 0.0, 9000.0),
        one(1, WHOLE, 1.0, 9000.0),
        one(2, SMALL, 2001.0, 60.0, light=True),
    ]
    policy = replayed(Requeue, works)
    assert policy.book[2].began == 2001.0
    assert policy.lost_work == pytest.approx(200.0)
    back = 2001.0 + REQUEUE_DELAY + COSTS.resume
    assert policy.book[1].ended == pytest.approx(back + 9000.0 - 1800.0)
    assert policy.book[0].ended == pytest.approx(9000.0)


@pytest.mark.parametrize("kind", POLICIES)
def test_the_same_trace_gives_the_same_figures(kind: type[Policy]) -> None:
    again = mixed(trainings(), Mix(jobs=300, load=0.9), DEVICES)
    assert again == WORKS
    first, second = replayed(kind), replayed(kind, again)
    assert figures_of(first, took=0.0) == figures_of(second, took=0.0)


def test_the_load_wanted_is_reached_and_half_of_the_jobs_are_light() -> None:
    busy = sum(work.seconds * work.gpus for work in WORKS)
    last = max(work.arrival for work in WORKS)
    assert busy / (last * DEVICES) == pytest.approx(0.9)
    assert sum(work.light for work in WORKS) == len(WORKS) // 2 == 150
    assert [work.number for work in WORKS] == list(range(300))


def test_the_longest_are_clipped() -> None:
    works = [one(n, SMALL, float(n), float(n + 1), step=1.0) for n in range(100)]
    mix = Mix(jobs=100, light=0.0, clip=0.1)
    assert max(work.seconds for work in mixed(works, mix, DEVICES)) == 90.0


def test_sizes_under_which_a_pair_would_be_admitted_that_did_not_fit_are_refused() -> None:
    rows = table()
    rows[f"('{SMALL}', 1)"][f"('{SMALL}', 1)"] = [0.0, 0.0]
    with pytest.raises(BadDataError, match=r"did not fit, but their sizes would"):
        Rates(rows)


LINE = f"{SMALL}\tpython train.py\t-step\t1\t600\t5.0\t1"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("only\tthree\tcells", ":2: 3 columns, not 7"),
        (LINE.replace("600", "many"), ":2: invalid literal for int"),
        (LINE.replace("600", "-600"), ":2: steps, arrival and scale factor must be positive"),
        (LINE.replace("5.0", "nan"), ":2: steps, arrival and scale factor must be positive"),
    ],
)
def test_a_bad_line_is_named(tmp_path: "object", line: str, said: str) -> None:
    path = f"{tmp_path}/trace"
    with open(path, "w") as file:
        file.write(f"{LINE}\n{line}\n")
    with pytest.raises(BadDataError) as error:
        read_trace(path, RATES, DEVICES)
    assert str(error.value).startswith(f"{path}{said}")


def test_rows_that_cannot_be_replayed_are_counted(tmp_path: "object") -> None:
    path = f"{tmp_path}/trace"
    wide, unknown = LINE[:-1] + "4", LINE.replace(SMALL, "GPT-4")
    with open(path, "w") as file:
        file.write("\n".join((LINE, wide, unknown)) + "\n")
    works, skipped = read_trace(path, RATES, DEVICES)
    assert works == [Work(0, SMALL, 5.0, 600.0, 1, step=1.0)]
    assert dataclasses.astuple(skipped) == (1, 1)


@pytest.mark.parametrize("text", ["", "[]", '{"k80": {}}', '{"v100": {"A3C": {"null": 1}}}'])
def test_a_file_of_throughputs_that_is_none_is_refused_in_one_line(
    tmp_path: "object", text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = f"{tmp_path}/rates.json"
    with open(path, "w") as file:
        file.write(text)
    with pytest.raises(BadDataError):
        read_rates(path, "v100")
    assert replay.main([path, path]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_the_command_prints_a_table_and_writes_the_plot(
    tmp_path: "object", capsys: pytest.CaptureFixture[str]
) -> None:
    trace, rates, plot = (f"{tmp_path}/{name}" for name in ("trace", "rates.json", "plot.svg"))
    with open(trace, "w") as file:
        file.writelines(LINE.replace("5.0", f"{10 * at}.0") + "\n" for at in range(40))
    with open(rates, "w") as file:
        json.dump({"v100": table()}, file)
    replay.main([trace, rates, "--jobs", "80", "--devices", "2", "--plot", plot])
    shown = capsys.readouterr().out
    assert all(kind.name in shown for kind in POLICIES)
    with open(plot) as file:
        assert file.read().count("<rect") == 1 + 7 * len(POLICIES)


def test_three_jobs_are_always_told_to_take_more_than_the_cap() -> None:
    """That is what keeps gpurun from putting three on a device: its core knows no such limit."""
    assert 3 * min(RATES.taken(kind) for kind in KINDS) > Limits().utilization
    assert Limits().utilization < 3 * LEAST_TAKEN
