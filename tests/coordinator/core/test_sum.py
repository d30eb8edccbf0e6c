"""The admission sum at its edges: a byte and a share decide."""

import msgspec
import pytest

from gpurun.coordinator.core.admission import judge
from gpurun.coordinator.core.job import Basis, Job
from gpurun.coordinator.core.ledger import Charge, Load
from gpurun.coordinator.core.settings import Estimating, Limits, Settings
from gpurun.protocol.job import JobSpec, ReasonCode

SETTINGS = Settings(limits=Limits(memory=0.5, utilization=0.8, headroom=100))
IDLE = Load(
    device="GPU-0",
    index=0,
    name="Scripted",
    healthy=True,
    health="ok",
    stale=False,
    foreign=False,
    foreign_users=frozenset(),
    total=10_000,
    free=9_000,
    external_memory=0,
    external_utilization=0.0,
    window=None,
    charges={},
    set_aside={},
    limits=SETTINGS.limits,
)


def load(**changes: object) -> Load:
    """A device of 10,000 bytes, of which 5,000 are under the cap."""
    return msgspec.structs.replace(IDLE, **{"charges": {}, "set_aside": {}, **changes})


def shared(memory: int = 1_000, share: float = 0.1, **changes: object) -> Load:
    """The same with one job on it."""
    return load(charges={1: Charge(memory, share)}, free=10_000 - memory, **changes)


def job(memory: int | None, share: float | None = 0.1, **changes: object) -> Job:
    spec = JobSpec(
        command=("x",),
        cwd="/",
        name="x",
        memory=memory,
        utilization=share,
        **changes,  # type: ignore[arg-type]
    )
    return Job(id=1, uuid="u", uid=1000, user="user", spec=spec, submitted_at=0.0, since=0.0)


def outcome(need: Job, device: Load) -> tuple[ReasonCode | None, float]:
    verdict = judge(need, device, SETTINGS)
    assert verdict.fits == (verdict.code is None)
    return verdict.code, verdict.missing


def test_alone_it_fits_what_is_free_to_the_byte() -> None:
    assert outcome(job(9_000), load()) == (None, 0.0)
    assert outcome(job(9_001), load()) == (ReasonCode.MEMORY, 1.0)


def test_beside_others_it_fits_under_cap_and_headroom_to_the_byte() -> None:
    """5,000 under the cap - 1,000 charged - 100 headroom."""
    assert outcome(job(3_900), shared()) == (None, 0.0)
    assert outcome(job(3_901), shared()) == (ReasonCode.MEMORY, 1.0)


def test_what_others_use_from_outside_counts_with_the_charges() -> None:
    device = shared(external_memory=2_000)
    assert outcome(job(1_900), device) == (None, 0.0)
    assert outcome(job(1_901), device)[0] is ReasonCode.MEMORY


def test_more_than_any_share_of_the_device_waits_for_the_whole_of_it() -> None:
    """4,900 is the most that ever fits beside another; told needs only, for unknown ones shrink."""
    assert outcome(job(4_900), shared()) == (ReasonCode.MEMORY, 1_000.0)
    assert outcome(job(4_901), shared()) == (ReasonCode.WHOLE_DEVICE, 1_001.0)
    half = msgspec.structs.replace(SETTINGS, estimate=Estimating(unknown=0.5))
    assert judge(job(None), shared(), half).code is ReasonCode.MEMORY


def test_utilization_fits_to_the_share() -> None:
    assert outcome(job(1, 0.7), shared()) == (None, 0.0)
    code, missing = outcome(job(1, 0.71), shared())
    assert code is ReasonCode.UTILIZATION
    assert missing == pytest.approx(0.01)


def test_utilization_is_the_greater_of_what_is_seen_and_what_is_reserved() -> None:
    for device in (shared(window=0.4), shared(external_utilization=0.3), shared(share=0.4)):
        assert outcome(job(1, 0.4), device) == (None, 0.0)
        assert outcome(job(1, 0.41), device)[0] is ReasonCode.UTILIZATION


def test_what_is_set_aside_is_not_there_for_others_and_the_reason_says_so() -> None:
    """A lack that is no greater than what is set aside comes from that alone."""
    device = load(set_aside={2: Charge(1_000, 0.2)})
    assert not device.idle
    assert outcome(job(3_900, 0.6), device) == (None, 0.0)
    assert outcome(job(4_900, 0.1), device) == (ReasonCode.SET_ASIDE, 1_000.0)
    crowded = shared(set_aside={2: Charge(1_000, 0.2)})
    assert outcome(job(3_900), crowded) == (ReasonCode.SET_ASIDE, 1_000.0)
    assert outcome(job(3_901), crowded) == (ReasonCode.MEMORY, 1_001.0)
    code, missing = outcome(job(1, 0.7), crowded)
    assert code is ReasonCode.SET_ASIDE
    assert missing == pytest.approx(0.2)
    assert outcome(job(1, 0.71), crowded)[0] is ReasonCode.UTILIZATION


def test_a_sick_device_comes_before_a_stale_one_and_both_before_the_sum() -> None:
    """Neither lacks anything that could be told in bytes."""
    assert outcome(job(1), load(healthy=False, stale=True)) == (ReasonCode.UNHEALTHY, 0.0)
    assert outcome(job(10**9), load(stale=True)) == (ReasonCode.STALE, 0.0)


def test_who_is_alone_says_so() -> None:
    assert judge(job(1), load(), SETTINGS).alone
    assert not judge(job(1), load(foreign=True), SETTINGS).alone
    assert not judge(job(1), shared(), SETTINGS).alone


def test_an_unknown_need_takes_what_is_left_under_the_caps() -> None:
    verdict = judge(job(None, None), shared(), SETTINGS)
    assert verdict.basis is Basis.UNKNOWN
    assert verdict.need.memory == 3_900
    assert verdict.need.utilization == pytest.approx(0.7)
    alone = judge(job(None, None), load(external_memory=400), SETTINGS)
    assert alone.need == Charge(4_600, 0.8, owner=1000)
    assert judge(job(1), shared(), SETTINGS).basis is Basis.TOLD


def test_an_unknown_need_is_never_less_than_its_share_of_the_device() -> None:
    """A quarter: 2,500 bytes and 25 % of the time."""
    assert judge(job(None, None), shared(2_401), SETTINGS).need.memory == 2_500
    assert outcome(job(None), shared(2_400)) == (None, 0.0)
    assert outcome(job(None), shared(2_401)) == (ReasonCode.MEMORY, 1.0)
    assert outcome(job(1, None), shared(share=0.56))[0] is ReasonCode.UTILIZATION


def test_what_is_told_of_utilization_is_at_most_what_an_idle_device_offers() -> None:
    assert judge(job(1, 1.0), load(), SETTINGS).need.utilization == 0.8


def test_an_idle_device_whose_cap_others_have_used_up_still_offers_what_is_free() -> None:
    """A desktop holds more than the cap leaves."""
    assert load(external_memory=4_000, free=500).memory_left == 500
    assert load(external_memory=5_000, free=5_000).memory_left == 5_000
    assert load(external_memory=4_999, free=5_001).memory_left == 1


def test_a_share_of_memory_is_of_this_device() -> None:
    assert judge(job(None, memory_share=0.25), shared(), SETTINGS).need.memory == 2_500
    assert judge(job(None, memory_share=0.25), shared(), SETTINGS).basis is Basis.TOLD


def test_a_device_without_some_of_its_jobs_has_their_room_and_a_new_window() -> None:
    device = load(
        charges={1: Charge(1_000, 0.1), 2: Charge(2_000, 0.2)},
        free=6_000,
        external_memory=500,
        window=0.9,
        stale=True,
    )
    without = device.without(frozenset({2, 7}))
    assert without.charges == {1: Charge(1_000, 0.1)}
    assert (without.free, without.window, without.stale) == (8_000, None, False)
    assert device.without(frozenset({1, 2})).free == 9_000
    assert device.without(frozenset()).free == 6_000
    full = msgspec.structs.replace(device, free=8_000)
    assert full.without(frozenset({1, 2})).free == 9_500, "never more than others leave"
    assert device.charges.keys() == {1, 2}
