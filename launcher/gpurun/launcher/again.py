"""Run an ended job again, here and now, as it was started: its words, folder and environment."""

import os

import msgspec

from gpurun.launcher import lines
from gpurun.launcher.failure import USAGE, Failure
from gpurun.launcher.ground import why_not_again
from gpurun.launcher.identity import identify
from gpurun.launcher.launch import Order
from gpurun.launcher.orders import KeptOrder, kept_order
from gpurun.launcher.places import enclosing_job, paths
from gpurun.launcher.program import find_program
from gpurun.launcher.run_job import run_job
from gpurun.launcher.sources import newest_checkpoint
from gpurun.protocol.job import Again, JobState
from gpurun.protocol.messages import RetryReply


def refuse_inside(verb: str) -> None:
    """Raise Failure inside a job: it holds the room for which the other one would wait."""
    if job := enclosing_job(os.environ):
        raise Failure(f"{verb} inside job {job} might wait for it; run it outside", USAGE)


def retry(found: RetryReply, *, fresh: bool, quiet: bool) -> int:
    """Run it from its last checkpoint, or with `fresh` from none; files may have changed."""
    where = paths(os.environ)
    checkpoint = "" if fresh else newest_checkpoint(where.checkpoints(found.uuid))
    if not (checkpoint or fresh or quiet):
        lines.say(f"job {found.job} {_of(found)} has no checkpoint: it begins anew")
    again = Again(checkpoint=checkpoint, changed=True)
    return _run(found, again, fresh=fresh, quiet=quiet)


def resume(found: RetryReply, *, changed: bool) -> int:
    """Run a lost job from its last checkpoint; raise Failure where there is none."""
    checkpoint = newest_checkpoint(paths(os.environ).checkpoints(found.uuid))
    if not checkpoint:
        raise Failure(
            f"job {found.job} is lost and has no checkpoint; gpurun retry {found.job} begins anew"
        )
    again = Again(checkpoint=checkpoint, changed=changed)
    return _run(found, again, fresh=False, quiet=False)


def _of(found: RetryReply) -> str:
    return "was lost and" if found.state == JobState.LOST else f"({found.state})"


def _run(found: RetryReply, again: Again, *, fresh: bool, quiet: bool) -> int:
    where = paths(os.environ)
    kept = kept_order(where.order(found.uuid), found.job)
    _enter(kept.folder, found.job)
    order = msgspec.structs.replace(_order(found.uuid, kept), again=again, fresh=fresh, quiet=quiet)
    return run_job(order, where)


def _order(uuid: str, kept: KeptOrder) -> Order:
    words = tuple(map(os.fsdecode, kept.words))
    environment = {os.fsdecode(n): os.fsdecode(value) for n, value in kept.environment.items()}
    program = find_program(words, environment)
    spec = msgspec.structs.replace(
        kept.spec,
        program=identify(words, program, kept.spec.cwd),
        no_respawn=why_not_again(),
        pid=os.getpid(),
        after=(),
    )
    return Order(
        uuid=uuid,
        spec=spec,
        words=words,
        environment=environment,
        program=program,
    )


def _enter(folder: bytes, job: int) -> None:
    try:
        os.chdir(folder)
    except OSError as error:
        shown = os.fsdecode(folder)
        raise Failure(
            f"cannot enter {shown}, where job {job} ran: {error.strerror}; "
            "run the command again elsewhere"
        ) from None
