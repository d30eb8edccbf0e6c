"""The show: an uninterrupted training, an interrupted one, and their digests side by side."""

import sys
import threading
from collections.abc import Callable
from subprocess import Popen

import click

from gpurun.launcher.clock import now
from gpurun.launcher.conversation import Conversation
from gpurun.launcher.demo.stage import (
    check_devices,
    check_needs,
    end,
    example,
    gpurun,
    private_stage,
    started,
)
from gpurun.launcher.demo.timeline import parts_table, timeline_table
from gpurun.launcher.failure import Failure
from gpurun.protocol.messages import AskWhy, WhyReply
from gpurun.protocol.status import JobStory

STEPS = 600
STEP_TIME = 0.01
"""Seconds a step takes at least: the training must not be over before the light task comes."""
INTERRUPT_AT = "step 150"
PATIENCE = 300.0
"""Seconds for any one program of the demo."""

SIMULATED = ("sim:24GiB", "16GiB", "12GiB")
REAL = ("nvml", "60%", "50%")
"""Devices; what the training and the light task reserve: they do not fit side by side."""


def show(*, gpu: bool) -> int:
    """Run the demonstration; 0 when the digests are equal."""
    check_needs()
    devices, most, much = REAL if gpu else SIMULATED
    with private_stage(devices):
        check_devices()
        _say(f"1. The training, never interrupted ({STEPS} steps).")
        reference = Line()
        _run_to_end(
            started([sys.executable, example("train_digits.py"), f"--steps={STEPS}"]), reference
        )
        _say(f"2. The same training under gpurun, holding {most} of the device.")
        training, light, first_line = _interrupted(most, much)
        stories = _stories()
    _say("3. What happened.")
    click.echo(timeline_table(*stories))
    click.echo(parts_table(*stories, asked=light, answered=first_line))
    return _prove(reference.digest, training.digest)


class Line:
    """What a program says, line by line, and what the demo picks out of it."""

    def __init__(self, prefix: str = "", until: str = "") -> None:
        self.digest = ""
        self.first_at: float | None = None
        self.reached = threading.Event()
        """Set at the line waited for, or at the end."""
        self.over = False
        self._prefix, self._until = prefix, until

    def take(self, line: str) -> None:
        """Show one line and note what it tells."""
        if not line.startswith("gpurun: "):
            self.first_at = self.first_at or now()
        if line.startswith("digest "):
            self.digest = line.split()[1]
        if self._until and line.startswith(self._until):
            self.reached.set()
        click.echo(f"   {self._prefix}{line}")

    def end(self) -> None:
        """There is no more to come."""
        self.over = True
        self.reached.set()


def _interrupted(most: str, much: str) -> tuple[Line, float, float]:
    """The training with a light task in its middle; instants of its submission and first line.

    It pauses by exit, the way that frees everything and has most to restore.
    """
    trained = Line("training | ", INTERRUPT_AT)
    script, steps = example("train_digits.py"), f"--steps={STEPS}"
    training = gpurun(
        "--name=training", "--pause=exit", f"--mem={most}", "--util=60",
        script, steps, f"--step-time={STEP_TIME}",
    )  # fmt: skip
    reader = _reading(training, trained)
    try:
        _await(trained.reached.wait, "the training does not train")
        if trained.over:
            raise Failure("the training ended before a light task could come; see above")
        click.echo("   a light task of high priority arrives and does not fit")
        asked, said = now(), Line("light    | ")
        light = gpurun(
            "--priority=high", "--name=light", f"--mem={much}", "--util=50", "--time=10s",
            example("classify_digits.py"),
        )  # fmt: skip
        _run_to_end(light, said)
        _await(lambda patience: _ended(training, patience), "the training does not end")
        reader.join()
    finally:
        end(training)
    if said.first_at is None or training.returncode:
        raise Failure("the demo did not run to its end; gpurun's lines above say why")
    return trained, asked, said.first_at


def _run_to_end(program: "Popen[str]", line: Line) -> None:
    reader = _reading(program, line)
    try:
        _await(lambda patience: _ended(program, patience), "a program of the demo does not end")
        reader.join()
    finally:
        end(program)
    if program.returncode:
        raise Failure(f"a program of the demo ended with code {program.returncode}; see above")


def _reading(program: "Popen[str]", line: Line) -> threading.Thread:
    def read() -> None:
        for text in program.stdout or ():
            line.take(text.rstrip("\n"))
        line.end()

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    return thread


def _ended(program: "Popen[str]", patience: float) -> bool:
    from subprocess import TimeoutExpired

    try:
        program.wait(patience)
    except TimeoutExpired:
        return False
    return True


def _await(wait: Callable[[float], bool], trouble: str) -> None:
    if not wait(PATIENCE):
        raise Failure(f"{trouble}, after {PATIENCE:.0f} s; the lines above may say why")


def _stories() -> tuple[JobStory, JobStory]:
    """The training's and the light task's; they are the only jobs of this coordinator."""
    with Conversation() as conversation:
        training = conversation.ask(AskWhy(job="1"), WhyReply)
        light = conversation.ask(AskWhy(job="2"), WhyReply)
    return training.story, light.story


def _prove(reference: str, interrupted: str) -> int:
    _say("4. The proof: model, optimizer and random numbers at the end.")
    click.echo(f"   never interrupted  {reference}")
    click.echo(f"   interrupted        {interrupted}")
    if reference != interrupted or not reference:
        click.echo("   DIFFERENT: the pause has changed the training")
        return 1
    click.echo("   equal, bit for bit")
    return 0


def _say(text: str) -> None:
    click.echo(f"\n{text}")
