"""One attempt: check the lease, spawn, and watch until the end."""

import errno
import gc
import os

from gpurun.launcher import lines, process
from gpurun.launcher.aside import aside_of
from gpurun.launcher.clock import now
from gpurun.launcher.failure import NOT_EXECUTABLE, NOT_FOUND
from gpurun.launcher.ground import Ground
from gpurun.launcher.launch import End, Launch
from gpurun.launcher.spawn import job_environment, spawn
from gpurun.launcher.watch import Watch
from gpurun.protocol.job import Held
from gpurun.protocol.messages import AskAgain, Changed, Grant, Spawned, SpawnFailed


def run_attempt(launch: Launch, ground: Ground, grant: Grant) -> End | None:
    """Tell the coordinator how the attempt ended and return it.

    None where its lease had run out before the spawn, and where its program has changed.
    """
    if file := _changed_file(grant):  # reading them may take a while: the lease is checked behind
        launch.inbox.send(Changed(job=grant.job, attempt=grant.attempt, file=file))
        return None
    # Signals are blocked: no Ctrl-Z can come between this check and the spawn.
    if now() >= grant.deadline:
        launch.inbox.send(AskAgain(job=grant.job, attempt=grant.attempt))
        return None
    ground.prepare()
    launch.end = _run(launch, ground, grant)
    launch.held, launch.offer, launch.has_run = None, (), True
    launch.inbox.send(launch.end)
    return launch.end


def _changed_file(grant: Grant) -> str:
    """The first file of the program that is not what it was when it wrote the checkpoint."""
    if not grant.resume or grant.changed:
        return ""
    from gpurun.launcher.sources import changed_source

    return changed_source(grant.resume)


def _run(launch: Launch, ground: Ground, grant: Grant) -> End:
    try:
        main = _spawn(launch, grant)
    except OSError as error:
        path = launch.order.program.path
        found = os.path.exists(path)
        trouble = error.strerror
        if found and error.errno == errno.ENOENT:
            trouble = "its first line names an interpreter that is not there"
        lines.complain(f"cannot start {path}: {trouble}")
        code = NOT_EXECUTABLE if found else NOT_FOUND
        return SpawnFailed(job=grant.job, attempt=grant.attempt, code=code)
    gc.freeze()  # what was imported stays: looking through it would cost every job some ms
    gc.enable()  # off since the start, for the imports; the launcher may live for weeks
    spawned = _describe(grant, main)
    _report(launch, spawned)
    aside = aside_of(launch, ground.tree, spawned, grant.token)
    launch.say(lines.started(grant, again=launch.has_run))
    return Watch(launch, ground, spawned, aside).until_end()


def _spawn(launch: Launch, grant: Grant) -> int:
    checkpoints = launch.paths.checkpoints(launch.order.uuid)
    if launch.order.fresh and not launch.has_run:
        _discard(checkpoints)
    environment = job_environment(launch.order.environment, grant, launch.paths.socket, checkpoints)
    return spawn(launch.order.program, environment, launch.inbox.signals)


def _discard(checkpoints: str) -> None:
    """What a job had saved that is to begin anew is not gone on from, whatever becomes of it."""
    import shutil

    shutil.rmtree(checkpoints)
    os.mkdir(checkpoints, mode=0o700)


def _describe(grant: Grant, main: int) -> Spawned:
    found = process.read(main)  # it has not been reaped, so it is there
    started = found.start_time if found else 0
    return Spawned(job=grant.job, attempt=grant.attempt, pid=main, start_time=started)


def _report(launch: Launch, spawned: Spawned) -> None:
    launch.patience = None
    launch.held = Held(
        job=spawned.job,
        attempt=spawned.attempt,
        pid=spawned.pid,
        start_time=spawned.start_time,
    )
    launch.inbox.send(spawned)
