"""Laws of the estimator, against any runs of a program."""

from random import Random

from hypothesis import assume, given
from hypothesis import strategies as st

from gpurun.coordinator.core.estimator.arguments import read
from gpurun.coordinator.core.estimator.estimate import OOM_FACTOR, Asked, estimate
from gpurun.coordinator.core.estimator.guess import Basis, Guess
from gpurun.coordinator.core.estimator.profile import Profile
from gpurun.coordinator.core.estimator.seen import Look, Seen, looked
from gpurun.coordinator.core.job import Job
from gpurun.coordinator.core.known import known_memory
from gpurun.coordinator.core.ledger import Load
from gpurun.coordinator.core.settings import Settings
from gpurun.protocol.job import JobSpec, ProgramId
from gpurun.protocol.quantity import GIB

PEAKS = st.integers(1, 80 * GIB)
SHARES = st.floats(0.0, 1.0)
BATCHES = st.sampled_from([1, 8, 16, 64])
HERE = "A GPU"


def program(batch: int = 8, digest: str = "1") -> ProgramId:
    return ProgramId(
        path="/train.py", interpreter="/python", digest=digest, arguments=("--batch", str(batch))
    )


def a_run(
    peak: int,
    *,
    batch: int = 8,
    digest: str = "1",
    complete: bool = True,
    oom: bool = False,
    share: float | None = None,
    looks: int = 9,
) -> Profile:
    alone = 0 if share is None else 9
    seen = Seen(model=HERE, looks=looks, memory=peak, utilization=share, alone=alone)
    return Profile(
        job=1,
        uid=1,
        program=program(batch, digest),
        gpus=1,
        seen=seen,
        ran=100.0,
        complete=complete and not oom,
        oom=oom,
    )


RUNS = st.builds(
    a_run,
    PEAKS,
    batch=BATCHES,
    digest=st.sampled_from(["1", "2"]),
    complete=st.booleans(),
    oom=st.booleans(),
    share=st.none() | SHARES,
    looks=st.integers(1, 9),
)
WHOLE_RUNS = st.lists(st.builds(a_run, PEAKS), min_size=1, max_size=20)


def guess(*runs: Profile, batch: int = 8) -> Guess | None:
    asked = Asked(program=program(batch), gpus=1, models=frozenset({HERE}))
    return estimate(asked, runs).memory


def high(*runs: Profile, batch: int = 8) -> float:
    found = guess(*runs, batch=batch)
    assert found is not None
    return found.high


@given(WHOLE_RUNS, PEAKS)
def test_a_run_that_needs_more_than_all_before_never_lowers_a_learned_estimate(
    runs: list[Profile], more: int
) -> None:
    peak = max(run.peak for run in runs) + more
    assert high(*runs, a_run(peak)) >= max(high(*runs), peak)


@given(WHOLE_RUNS, st.lists(st.builds(a_run, PEAKS, complete=st.just(False)), max_size=5))
def test_what_a_run_that_was_cut_short_held_never_lowers_a_learned_estimate(
    runs: list[Profile], short: list[Profile]
) -> None:
    assert high(*runs, *short) >= max(high(*runs), *(run.peak for run in (*runs, *short)))


@given(WHOLE_RUNS)
def test_a_learned_estimate_is_above_all_that_was_seen(runs: list[Profile]) -> None:
    found = guess(*runs)
    assert found is not None
    assert found.basis is Basis.LEARNED
    assert found.low == max(run.peak for run in runs) < found.high


@given(PEAKS, PEAKS)
def test_the_interval_is_wider_where_runs_disagree(one: int, other: int) -> None:
    agreeing, disagreeing = guess(a_run(one), a_run(one)), guess(a_run(one), a_run(min(one, other)))
    assert agreeing is not None
    assert disagreeing is not None
    assert disagreeing.low == agreeing.low
    assert disagreeing.high >= agreeing.high
    assert (disagreeing.high > agreeing.high) is (other < one)


@given(st.lists(RUNS, max_size=8), PEAKS)
def test_running_out_of_memory_raises_the_next_estimate(runs: list[Profile], held: int) -> None:
    before = guess(*runs)
    after = high(*runs, a_run(held, oom=True))
    assert after >= held * OOM_FACTOR
    assert before is None or after >= before.high


@given(st.lists(RUNS, max_size=12), st.randoms(use_true_random=False), BATCHES)
def test_the_order_of_the_runs_does_not_matter(
    runs: list[Profile], random: Random, batch: int
) -> None:
    shuffled = list(runs)
    random.shuffle(shuffled)
    asked = Asked(program=program(batch), gpus=1, models=frozenset({HERE}))
    assert estimate(asked, runs) == estimate(asked, shuffled)


@given(st.lists(RUNS, min_size=1, max_size=12), BATCHES)
def test_no_estimate_is_below_what_a_run_of_the_same_arguments_held(
    runs: list[Profile], batch: int
) -> None:
    found = guess(*runs, batch=batch)
    assume(found)
    assert found is not None
    same = [run for run in runs if run.program.arguments == program(batch).arguments]
    assert all(found.high >= run.peak for run in same)


@given(st.lists(RUNS, max_size=8), st.integers(1, 80 * GIB), st.integers(GIB, 80 * GIB))
def test_what_is_told_is_never_changed(runs: list[Profile], told: int, total: int) -> None:
    asked = Asked(program=program(), gpus=1, models=frozenset({HERE}))
    spec = JobSpec(command=("x",), cwd="/", name="x", memory=told, program=program())
    job = Job(
        id=1, uuid="u", uid=1, user="u", spec=spec, submitted_at=0, since=0,
        need=estimate(asked, runs),
    )  # fmt: skip
    assert known_memory(job, a_load(total), Settings()) == (told, Basis.TOLD)


@given(st.lists(RUNS, min_size=1, max_size=8), st.integers(GIB, 80 * GIB), BATCHES)
def test_no_estimate_asks_an_empty_device_for_more_than_it_has(
    runs: list[Profile], total: int, batch: int
) -> None:
    """Otherwise its job would wait for ever."""
    asked = Asked(program=program(batch), gpus=1, models=frozenset({HERE}))
    spec = JobSpec(command=("x",), cwd="/", name="x", program=program(batch))
    need = estimate(asked, runs)
    job = Job(id=1, uuid="u", uid=1, user="u", spec=spec, submitted_at=0, since=0, need=need)
    memory, _ = known_memory(job, a_load(total), Settings())
    assert memory is None or 0 < memory <= total


@given(st.lists(RUNS, max_size=12), BATCHES)
def test_a_share_of_time_is_one_that_was_seen_with_the_job_alone(
    runs: list[Profile], batch: int
) -> None:
    asked = Asked(program=program(batch), gpus=1, models=frozenset({HERE}))
    found = estimate(asked, runs).utilization
    shares = [run.seen.utilization for run in runs if run.seen.alone]
    assert found is None if not shares else found is not None and found.high in shares


@given(st.integers(1, 4 * GIB), st.integers(0, GIB), st.lists(BATCHES, min_size=2, unique=True))
def test_memory_that_grows_with_the_batch_is_predicted_between_and_beyond_what_was_seen(
    fixed: int, each: int, batches: list[int]
) -> None:
    runs = [a_run(fixed + each * batch, batch=batch) for batch in batches]
    for wanted in (4, 32, 128):
        truth = fixed + each * wanted
        assert truth * 0.999 <= high(*runs, batch=wanted) <= truth * 1.31 + 1


@given(
    st.dictionaries(st.sampled_from(["--lr", "--batch", "--seed"]), st.integers(0, 99), min_size=1),
    st.randoms(use_true_random=False),
)
def test_the_order_of_options_makes_no_other_combination(
    options: dict[str, int], random: Random
) -> None:
    shuffled = list(options.items())
    random.shuffle(shuffled)
    assert read(words(options.items())) == read(words(shuffled))
    assert read(words(options.items())) == read(tuple(f"{k}={v}" for k, v in options.items()))


@given(st.lists(st.builds(Look, model=st.just(HERE), memory=PEAKS, utilization=st.none() | SHARES,
                          full=st.booleans(), ran=st.just(1.0)), min_size=1))  # fmt: skip
def test_what_was_seen_is_the_lifetimes_peak_and_a_share_between_the_samples(
    looks: list[Look],
) -> None:
    seen = None
    for look in looks:
        seen = looked(seen, look)
    assert seen is not None
    assert seen.memory == max(look.memory or 0 for look in looks)
    shares = [look.utilization for look in looks if look.utilization is not None]
    assume(shares)
    assert seen.utilization is not None
    assert min(shares) - 1e-9 <= seen.utilization <= max(shares) + 1e-9
    assert seen.utilization_peak == max(shares)


def words(options: object) -> tuple[str, ...]:
    return tuple(word for key, value in options for word in (key, str(value)))  # type: ignore[attr-defined]


def a_load(total: int) -> Load:
    return Load(
        device="GPU-0", index=0, name=HERE, healthy=True, health="ok", stale=False, foreign=False,
        foreign_users=frozenset(), total=total, free=total, external_memory=0,
        external_utilization=0.0, window=None, charges={}, set_aside={},
    )  # fmt: skip
