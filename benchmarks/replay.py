"""A recorded trace, replayed in virtual time through gpurun's scheduler and through its peers.

    python benchmarks/replay.py TRACE THROUGHPUTS [--jobs N] [--devices N] [--load SHARE] …

TRACE and THROUGHPUTS are Gavel's (stanford-futuredata/gavel): a tab-separated trace of trainings
and the measured steps per second of each type, alone and in pairs on one device.
"""

import argparse
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from benchmarks.replaying.fcfs import FirstCome  # noqa: E402 - a script finds its package above it
from benchmarks.replaying.figures import Figures, figures_of  # noqa: E402
from benchmarks.replaying.gpurun import Gpurun  # noqa: E402
from benchmarks.replaying.policy import Costs, Policy  # noqa: E402
from benchmarks.replaying.rates import BadDataError, read_rates  # noqa: E402
from benchmarks.replaying.requeue import Requeue  # noqa: E402
from benchmarks.replaying.trace import read_trace, workload  # noqa: E402
from benchmarks.replaying.uncontrolled import Uncontrolled  # noqa: E402

POLICIES: dict[str, type[Policy]] = {
    "gpurun": Gpurun,
    "fcfs": FirstCome,
    "uncontrolled": Uncontrolled,
    "requeue": Requeue,
}


def main() -> int:
    options = _parser().parse_args()
    rates = read_rates(options.throughputs, options.kind)
    trainings, skipped = read_trace(options.trace, rates, options.devices)
    works = workload(
        trainings,
        jobs=options.jobs,
        light=options.light,
        load=options.load,
        devices=options.devices,
        seed=options.seed,
    )
    print(skipped, len(works))
    costs = Costs(options.save, options.release, options.resume)
    for name in options.policies:
        policy = POLICIES[name](options.devices, rates, costs)
        began = time.perf_counter()
        policy.replay(works)
        print(f"{time.perf_counter() - began:.1f} s", figures_of(policy))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser()
    parser.add_argument("trace")
    parser.add_argument("throughputs")
    parser.add_argument("--jobs", type=int, default=4000)
    parser.add_argument("--devices", type=int, default=8)
    parser.add_argument("--kind", default="v100")
    parser.add_argument("--light", type=float, default=1.0)
    parser.add_argument("--load", type=float, default=0.8)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--save", type=float, default=5)
    parser.add_argument("--release", type=float, default=2)
    parser.add_argument("--resume", type=float, default=20)
    parser.add_argument("--policies", nargs="+", default=list(POLICIES))
    return parser


if __name__ == "__main__":
    sys.exit(main())
