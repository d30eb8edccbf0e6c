"""One job from its submission to its exit code: wait, run, and after a pause both again."""

import contextlib
import os

from gpurun.launcher.coordinator_start import ensure_coordinator
from gpurun.launcher.failure import Failure
from gpurun.launcher.launch import Launch, Order
from gpurun.protocol.messages import Exited
from gpurun.protocol.paths import Paths

SWEEP = 64
"""Jobs after which it is looked for orders that are kept no longer."""


def run_job(order: Order, paths: Paths) -> int:
    """Run one job and return its exit code; raise Failure when it never ran."""
    launch = None
    finished = False
    _make_private(paths.checkpoints(order.uuid))
    try:
        launch = Launch(order, paths, ensure_coordinator(paths))
        code = _wait_and_run(launch)
        finished = code == 0 and not launch.cancelled
        return code
    finally:
        last = launch.order if launch else order
        if last.again is None or (launch and launch.job):  # else it may be another launcher's now
            _remove(paths.checkpoints(last.uuid), even_full=finished)
        if launch:
            _tidy(launch)


def _wait_and_run(launch: Launch) -> int:
    # What follows is imported while the coordinator already works on the submission.
    from gpurun.launcher.attempt import run_attempt
    from gpurun.launcher.finish import report_end
    from gpurun.launcher.ground import Ground
    from gpurun.launcher.wait import Wait

    _keep(launch)
    ground = None
    while True:
        grant = Wait(launch).grant()
        ground = ground or Ground()
        end = run_attempt(launch, ground, grant)
        if end and not (isinstance(end, Exited) and end.request):
            code = report_end(launch, end)
            if not launch.tries_again:
                return code
            _begin_again(launch)
        ground.restore()


def _begin_again(launch: Launch) -> None:
    """Another job has a folder of its own: it never picks up an old checkpoint."""
    old = launch.paths.checkpoints(launch.order.uuid)
    launch.begin_again()
    _remove(old, even_full=False)
    _make_private(launch.paths.checkpoints(launch.order.uuid))
    _keep(launch)


def _keep(launch: Launch) -> None:
    """A full disk keeps nobody from running."""
    from gpurun.launcher.orders import keep

    path = launch.paths.order(launch.order.uuid)
    try:
        keep(path, launch.order)
    except OSError as error:
        launch.say(f"cannot write {path} ({error.strerror}): gpurun retry will not know this job")


def _tidy(launch: Launch) -> None:
    """What is no job can never be asked for again; after many jobs the oldest are forgotten."""
    paths, order = launch.paths, launch.order
    with contextlib.suppress(OSError):  # another launcher tidies too
        if not launch.job and not order.again:
            os.unlink(paths.order(order.uuid))
        elif launch.job and launch.job % SWEEP == 0:
            from gpurun.launcher.orders import sweep

            sweep(os.path.dirname(paths.order("")), os.path.dirname(paths.checkpoints("")))


def _make_private(folder: str) -> None:
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
    except OSError as error:
        raise Failure(
            f"cannot write {folder}: {error.strerror}; set GPURUN_STATE_DIR to another folder"
        ) from None


def _remove(folder: str, even_full: bool) -> None:
    """Checkpoints of a job that has finished are of no more use; all others stay."""
    try:
        os.rmdir(folder)
    except OSError:  # it holds checkpoints
        if even_full:
            import shutil

            shutil.rmtree(folder, ignore_errors=True)
