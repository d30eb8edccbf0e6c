"""Questions that change nothing of a job: status, why, and the loads of simulated devices."""

import os
from collections.abc import Callable

from gpurun.coordinator import clock, processes
from gpurun.coordinator.core.explained import estimate_text, estimated, need_for
from gpurun.coordinator.core.job import Job
from gpurun.coordinator.core.loads import loads_of
from gpurun.coordinator.core.reference import known
from gpurun.coordinator.core.sample import OwnProcess
from gpurun.coordinator.core.state import State
from gpurun.coordinator.core.view import device_views, job_view, job_views
from gpurun.coordinator.core.why import why_text
from gpurun.coordinator.desk import Question
from gpurun.coordinator.findings import findings_of
from gpurun.coordinator.gpus.devices import Devices
from gpurun.coordinator.gpus.loads import SimulationError
from gpurun.coordinator.gpus.monitor import ASLEEP
from gpurun.coordinator.gpus.simulated import SimulatedDevices, SimulatedOutOfMemoryError
from gpurun.coordinator.server import Incoming
from gpurun.coordinator.store import Store
from gpurun.protocol import messages as m
from gpurun.protocol.finding import Finding
from gpurun.protocol.job import JobSpec
from gpurun.protocol.quantity import format_share, format_size
from gpurun.protocol.status import Coordinator, JobStory, Status, StoryEntry
from gpurun.protocol.version import VERSION


class Queries:
    """Reads the state and the store."""

    def __init__(
        self, state: State, store: Store, devices: Devices, look: Callable[[], None]
    ) -> None:
        self._state, self._store, self._devices, self._look = state, store, devices, look
        self._began = clock.now().boot

    def answer(self, question: Question) -> m.Message:
        """The answer to a question."""
        # The spans that a view shows run up to the present, not to the last event.
        self._state.now = clock.now()
        match question.message:
            case m.AskStatus(everything=everything):
                return m.StatusReply(status=self._status(everything=everything))
            case m.AskWhy() as why:
                return self._why(why)
            case m.AskEstimate(spec=spec):
                return self._estimate(question.incoming.uid, spec)
            case m.AskDoctor():
                return m.DoctorReply(findings=self._findings())
            case m.SimulateLoad() as load:
                return self._simulate(question.incoming, load)

    def _status(self, *, everything: bool) -> Status:
        state = self._state
        jobs = list(state.live())
        if everything:
            ended = [job for job in state.jobs.values() if job.state.ended]
            jobs = [*state.ended.values(), *ended, *jobs]
        uptime = state.now.boot - self._began
        return Status(
            coordinator=Coordinator(VERSION, os.getpid(), uptime, state.drained),
            devices=device_views(state),
            jobs=job_views(state, sorted(jobs, key=lambda job: job.id), clock.iso),
            problem=state.problem or None,
        )

    def _findings(self) -> tuple[Finding, ...]:
        state = self._state
        if state.problem == ASLEEP:
            return (Finding("driver", ASLEEP),)
        stale = frozenset(load.device for load in loads_of(state).values() if load.stale)
        samples = (device.sample for device in state.devices.values())
        return findings_of(self._devices.about, samples, state.problem, stale)

    def _why(self, message: m.AskWhy) -> m.Message:
        job = known(self._state, message.job)
        if isinstance(job, str):
            return m.Problem(text=job, code=2)
        entries = tuple(
            StoryEntry(line.boot, clock.iso(line.wall), line.trigger, line.state, line.detail)
            for line in self._store.story(job.id)
        )
        story = JobStory(job_view(self._state, job, clock.iso), entries)
        return m.WhyReply(text=why_text(self._state, job), story=story)

    def _estimate(self, uid: int, spec: JobSpec) -> m.Message:
        need = need_for(self._state, uid, spec)
        return m.EstimateReply(text=estimate_text(spec, need), estimate=estimated(spec, need))

    def _simulate(self, incoming: Incoming, load: m.SimulateLoad) -> m.Message:
        """Occupy a simulated device for the sender's life."""
        if not isinstance(self._devices, SimulatedDevices):
            text = "this coordinator watches real devices; try GPURUN_DEVICES=sim:24GiB"
            return m.Problem(text=text)
        if load.memory < 0 or not 0 <= load.utilization <= 1:
            return m.Problem(text="a load is at least 0 bytes, and 0 to 100 % of the time", code=2)
        pid = incoming.pid or load.pid
        started = processes.start_time(pid)
        if started is None:
            return m.Problem(text=f"there is no process {pid}")
        own = own_processes(self._state)
        try:
            device = self._devices.occupy(
                pid, started, load.device, load.memory, load.utilization, own
            )
        except SimulatedOutOfMemoryError as error:
            return m.Problem(text=str(error), code=m.DOES_NOT_FIT)
        except SimulationError as error:
            return m.Problem(text=str(error), code=2)
        self._look()
        text = (
            f"holding {format_size(load.memory)} and {format_share(load.utilization)} "
            f"of GPU {device.index} ({device.name})"
        )
        return m.Done(job=0, text=text)


def _uses(job: Job, reserved: int) -> int:
    """Bytes, as far as the job's own word goes: one that has given its memory back keeps little."""
    order = job.pause
    return reserved if order is None or not order.released else min(reserved, order.kept)


def own_processes(state: State) -> tuple[OwnProcess, ...]:
    """The roots of our jobs' trees, with what each job reserved.

    A charged job with no main process, yet or any more, is known by its launcher alone.
    """
    return tuple(
        OwnProcess(
            job=job.id,
            pid=job.process.pid if job.process else 0,
            start_time=job.process.start_time if job.process else 0,
            launcher=job.launcher.pid if job.launcher else 0,
            launcher_start=job.launcher.start_time if job.launcher else 0,
            devices=tuple(held.device for held in job.reservations),
            memory=_uses(job, max((held.memory for held in job.reservations), default=0)),
            utilization=max((held.utilization for held in job.reservations), default=0.0),
        )
        for job in state.jobs.active()
        if job.charged
    )
