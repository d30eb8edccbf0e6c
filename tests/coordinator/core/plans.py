"""What must be true of every pass: it ends early without loss, and nobody is passed to his harm."""

from gpurun.coordinator.core.admission import EPSILON
from gpurun.coordinator.core.job import Job
from gpurun.coordinator.core.ledger import Load
from gpurun.coordinator.core.plan import Plan
from gpurun.coordinator.core.settings import Limits


class WatchedPlan(Plan):
    """A pass that is checked while it is made, and once it is."""

    def make(self, until: Job | None = None) -> None:
        super().make(until)
        if until is None:
            exhaustive = ExhaustivePlan(self.state)
            exhaustive.make()
            assert granted(self) == granted(exhaustive)

    def _take(self, job: Job) -> None:
        before = len(self.grants)
        super()._take(job)
        for _, chosen in self.grants[before:]:
            for verdict in chosen:
                if verdict.load.set_aside:
                    _leaves_what_is_set_aside(job, verdict.load, self.state.settings.limits)


class ExhaustivePlan(Plan):
    """A pass that looks at the whole queue."""

    def _is_full(self) -> bool:
        return False


def granted(plan: Plan) -> list[tuple[int, tuple[str, ...]]]:
    """Who gets which devices."""
    return sorted((job.id, tuple(v.load.device for v in chosen)) for job, chosen in plan.grants)


def _leaves_what_is_set_aside(job: Job, load: Load, limits: Limits) -> None:
    """The backfill promise: who passes leaves those whom it passes what they have a claim to.

    Otherwise they would not fit yet when all that hold their room today have left.
    """
    spoken_for = sum(claim.memory for claim in load.set_aside.values())
    charged = sum(charge.memory for charge in load.charges.values())
    most = limits.memory * load.total - load.external_memory - limits.headroom
    assert charged + spoken_for <= most, (job, load)
    if not job.spec.share:
        claimed = sum(claim.utilization for claim in load.set_aside.values())
        assert load.utilization + claimed <= limits.utilization + EPSILON, (job, load)
