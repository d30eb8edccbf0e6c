"""A recorded trace, replayed in virtual time through gpurun's scheduler and through its peers.

    python benchmarks/replay.py TRACE THROUGHPUTS [--jobs N] [--devices N] [--load SHARE] …

TRACE and THROUGHPUTS are Gavel's (stanford-futuredata/gavel): a tab-separated trace of trainings
and the measured steps per second of each type, alone and in pairs on one device. What is assumed
besides stands in `replaying/`: the memory of each type in sizes.py, its utilization in rates.py,
the light tasks in mix.py, the cost of a pause in policy.py.
"""

import argparse
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from benchmarks.replaying.fcfs import FirstCome
from benchmarks.replaying.figures import Figures, figures_of, table
from benchmarks.replaying.gpurun import Gpurun
from benchmarks.replaying.mix import Mix, mixed
from benchmarks.replaying.plot import plot
from benchmarks.replaying.policy import Costs, Policy
from benchmarks.replaying.rates import BadDataError, read_rates
from benchmarks.replaying.requeue import Requeue
from benchmarks.replaying.trace import read_trace
from benchmarks.replaying.uncontrolled import Uncontrolled

POLICIES: dict[str, type[Policy]] = {
    "gpurun": Gpurun,
    "fcfs": FirstCome,
    "uncontrolled": Uncontrolled,
    "requeue": Requeue,
}
SHORTER, GOODPUT = 10.0, 0.97
"""Goals: light tasks' 95th percentile against first come, first served; training goodput."""


def main(arguments: list[str] | None = None) -> int:
    """Print the table and write the plot; 1 when a goal is missed, 2 for files that are no use."""
    options = _parser().parse_args(arguments)
    mix = Mix(options.jobs, options.light, options.load, options.clip, options.seed)
    costs = Costs(options.save, options.release, options.resume)
    try:
        rates = read_rates(options.throughputs, options.kind)
        trainings, skipped = read_trace(options.trace, rates, options.devices)
    except BadDataError as error:
        print(f"replay: error: {error}", file=sys.stderr)
        return 2
    works = mixed(trainings, mix, options.devices)
    print(f"{mix}\n{costs}\n{options.devices} devices like {options.kind}; not replayed: {skipped}")
    rows = []
    for name in options.policies:
        policy = POLICIES[name](options.devices, rates, costs)
        began = time.process_time()
        policy.replay(works)
        rows.append(figures_of(policy, took=time.process_time() - began))
    print(table(rows))
    if options.plot:
        with open(options.plot, "w", encoding="utf-8") as file:
            file.write(plot(rows))
    return _verdict(dict(zip(options.policies, rows, strict=True)))


def _verdict(rows: dict[str, Figures]) -> int:
    ours, theirs = rows.get("gpurun"), rows.get("fcfs")
    if ours is None or theirs is None:
        return 0
    shorter = theirs.light_wait_p95 / max(ours.light_wait_p95, 1.0)
    met = ours.failed == 0 and shorter >= SHORTER and ours.goodput >= GOODPUT
    print(
        f"gpurun: {ours.failed} failed (goal 0); 95th percentile of light tasks' wait "
        f"{shorter:.0f} times shorter than first come, first served (goal {SHORTER:.0f}); "
        f"goodput {ours.goodput:.2%} (goal {GOODPUT:.0%}): {'met' if met else 'MISSED'}"
    )
    return int(not met)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Replay a trace through gpurun and its peers.")
    parser.add_argument("trace", help="trainings, tab-separated, as Gavel's")
    parser.add_argument("throughputs", help="steps per second alone and in pairs (JSON)")
    parser.add_argument("--kind", default="v100", help="which device's throughputs (%(default)s)")
    parser.add_argument("--devices", type=int, default=8, help="%(default)s")
    parser.add_argument("--policies", nargs="+", choices=POLICIES, default=list(POLICIES))
    parser.add_argument("--plot", metavar="SVG", help="write the bars to this file")
    _numbers(parser, {name: getattr(Mix(), name) for name in Mix.__dataclass_fields__})
    _numbers(parser, {name: getattr(Costs(), name) for name in Costs.__dataclass_fields__})
    return parser


def _numbers(parser: argparse.ArgumentParser, defaults: dict[str, float]) -> None:
    for name, default in defaults.items():
        parser.add_argument(f"--{name}", type=type(default), default=default, help="%(default)s")


if __name__ == "__main__":
    sys.exit(main())
