"""What happened, in a form that a person can read: one clock for both jobs, and the parts."""

from gpurun.protocol.status import JobStory, StoryEntry

SHOWN = {
    # In the order of cause and effect.
    "submitted": "is submitted",
    "pause asked": "is asked to step aside",
    "safe point": "comes to a safe point",
    "durable": "has its checkpoint on disk",
    "process ended": "ends",
    "tree ended": "has no process left, says its launcher",
    "seen gone": "is seen gone from the device",
    "released": "is paused",
    "finished": "is finished",
    "failed": "has failed",
    "granted": "is admitted",
    "spawned": "starts",
    "resumed": "goes on from its checkpoint",
}


def timeline_table(training: JobStory, light: JobStory) -> str:
    """Both stories on one clock, in seconds since the first entry."""
    entries = [(e, "training") for e in training.entries] + [
        (e, "light task") for e in light.entries
    ]
    order = list(SHOWN)  # what one event brought about has one instant
    entries.sort(
        key=lambda pair: (pair[0].at, order.index(pair[0].cause) if pair[0].cause in SHOWN else 0)
    )
    start = entries[0][0].at
    lines = []
    for entry, who in entries:
        what = SHOWN.get(entry.cause, entry.cause)
        detail = f"  ({entry.detail})" if entry.cause in ("durable", "resumed") else ""
        lines.append(f"   {entry.at - start:8.3f} s  {who:<11} {what}{detail}")
    return "\n".join(lines)


def parts_table(training: JobStory, light: JobStory, asked: float, answered: float) -> str:
    """Why the light task waited as long as it did, part by part, in milliseconds.

    `asked` and `answered` are the instants (CLOCK_BOOTTIME) at which the command was started and
    its first line of output was read.
    """
    submitted, granted = _at(light, "submitted"), _at(light, "granted")
    point, durable = _at(training, "safe point"), _at(training, "durable")
    # The kernel's word for the end of the training can be faster than its launcher's.
    ended, free = _at(training, "process ended", "tree ended"), _at(training, "seen gone")
    parts = [
        ("start of the gpurun command", submitted - asked),
        ("the training's remaining step", point - submitted),
        ("its save", durable - point),
        ("the end of its processes", ended - durable),
        ("the device seen free", free - ended),
        ("admission", granted - free),
        # Its first line can be out before the coordinator has heard of the spawn.
        ("spawn and the light task's own start", answered - granted),
    ]
    lines = [f"   {name:<38}{1000 * seconds:9.1f} ms" for name, seconds in parts]
    total = f"   {'submission to first line':<38}{1000 * (answered - asked):9.1f} ms"
    return "\n".join(["", "   The light task's wait, part by part:", *lines, total])


def _at(story: JobStory, *causes: str) -> float:
    """When any of these happened first."""
    entry: StoryEntry = next(entry for entry in story.entries if entry.cause in causes)
    return entry.at
