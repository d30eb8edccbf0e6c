"""Report an end and stay until it is heard, or leave it where the next coordinator finds it."""

from gpurun.launcher import process
from gpurun.launcher.clock import now
from gpurun.launcher.inbox import Event, Lost
from gpurun.launcher.launch import End, Launch
from gpurun.launcher.lines import complain
from gpurun.launcher.signals import ENDING, Signal
from gpurun.launcher.spool import spool_end
from gpurun.protocol.messages import Ended, Exited

HEARD_DEADLINE = 2.0


def report_end(launch: Launch, end: End) -> int:
    """Make sure that the end, which has been sent, is heard; return the job's exit code."""
    _name_survivors(launch, end)
    ended = _await_ended(launch)
    if ended is None:
        _spool(launch, end)
        return end.code
    launch.ask_for = ended.ask_for
    if ended.text:
        launch.say(f"job {end.job} ended: {ended.text}")
    return end.code


def _await_ended(launch: Launch) -> Ended | None:
    deadline = now() + HEARD_DEADLINE
    while launch.inbox.coordinator and (event := launch.inbox.next(deadline)):
        if isinstance(event, Ended):
            return event
        if isinstance(event, Lost) or _is_end(event):
            return None
    return None


def _is_end(event: Event) -> bool:
    return isinstance(event, Signal) and event.number in ENDING and not event.from_terminal


def _spool(launch: Launch, end: End) -> None:
    try:
        spool_end(launch.paths.spool, launch.order.uuid, end)
    except OSError as error:
        complain(f"cannot write down the end of job {end.job}: {error}")


def _name_survivors(launch: Launch, end: End) -> None:
    if not isinstance(end, Exited) or not end.survivors:
        return
    found = [process.read(pid) for pid in end.survivors]
    names = ", ".join(f"{p.pid} ({p.name})" for p in found if p)
    launch.say(f"job {end.job} left processes behind: {names}")
