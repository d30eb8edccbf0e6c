"""The scheduler: events in, effects out. Pure: the same events give the same effects."""

from collections.abc import Callable, Iterable
from typing import Any

from gpurun.coordinator.core import after, ends, lease, schedule, wake
from gpurun.coordinator.core.effects import Effect
from gpurun.coordinator.core.events import (
    Event,
    JobProcessEndEvent,
    LauncherEndEvent,
    MessageEvent,
    RestartEvent,
    SampleEvent,
    TimerEvent,
)
from gpurun.coordinator.core.reactions import (
    adjust,
    attach,
    cancel,
    drain,
    ending,
    learn,
    loss,
    park,
    pause,
    progress,
    rehearse,
    restart,
    resume,
    retry,
    sample,
    spawn,
    stand,
    submit,
    train,
)
from gpurun.coordinator.core.settings import Settings
from gpurun.coordinator.core.state import State
from gpurun.protocol import messages

MESSAGES: dict[type[messages.Message], Callable[[State, MessageEvent, Any], None]] = {
    messages.Submit: submit.on_submit,
    messages.AskAgain: submit.on_ask_again,
    messages.Changed: submit.on_changed,
    messages.Leave: submit.on_leave,
    messages.Spawned: spawn.on_spawned,
    messages.SpawnFailed: spawn.on_spawn_failed,
    messages.Exited: ending.on_exited,
    messages.Attach: attach.on_attach,
    messages.Detach: attach.on_detach,
    messages.Capturing: train.on_capturing,
    messages.Standing: stand.on_standing,
    messages.Released: park.on_released,
    messages.Overdue: train.on_overdue,
    messages.Durable: train.on_durable,
    messages.Saved: train.on_saved,
    messages.Unsaved: train.on_unsaved,
    messages.Refused: train.on_refused,
    messages.Resumed: train.on_resumed,
    messages.OutOfMemory: learn.on_out_of_memory,
    messages.Cycled: learn.on_cycled,
    messages.Progress: progress.on_progress,
    messages.Pause: pause.on_pause,
    messages.Rehearse: rehearse.on_rehearse,
    messages.Resume: resume.on_resume,
    messages.Retry: retry.on_retry,
    messages.Cancel: cancel.on_cancel,
    messages.Adjust: adjust.on_adjust,
    messages.Drain: drain.on_drain,
}
"""What each message does; those that are absent are answered by the server without a decision."""


class Scheduler:
    """Decides. It owns the state; the edges own everything else."""

    def __init__(self, settings: Settings) -> None:
        self.state = State(settings)

    def handle(self, event: Event) -> list[Effect]:
        """React to one event, then do one pass if something has changed for those who wait."""
        return self.handle_all((event,))

    def handle_all(self, events: Iterable[Event]) -> list[Effect]:
        """React to a batch of events in their order, with one pass after all of them."""
        state = self.state
        state.effects = []
        for event in events:
            state.begin(event)
            _react(state, event)
            ends.settle(state)
        if state.pass_wanted:
            schedule.schedule(state)
        return state.effects

    def wake_at(self) -> float | None:
        """When (CLOCK_BOOTTIME) a TimerEvent is due, if nothing else happens before."""
        return wake.wake_at(self.state)


def _react(state: State, event: Event) -> None:
    match event:
        case MessageEvent(message=message):
            MESSAGES[type(message)](state, event, message)
        case SampleEvent():
            sample.on_sample(state, event)
        case JobProcessEndEvent():
            loss.on_job_process_end(state, event)
        case LauncherEndEvent():
            loss.on_launcher_end(state, event)
        case RestartEvent():
            restart.on_restart(state, event)
        case TimerEvent():
            state.timed = state.now.boot
            lease.lapse_leases(state)
            after.give_up(state)
            state.pass_wanted = True
