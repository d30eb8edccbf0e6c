"""A training under gpurun: what it can be asked for at its safe points, and how it answers."""

import time
from functools import cached_property, partial

from gpurun.sdk import checkpoint, trackers
from gpurun.sdk.attempt import Attempt
from gpurun.sdk.checkpoint import Label, Written
from gpurun.sdk.errors import RanksError
from gpurun.sdk.loading import load_or_end
from gpurun.sdk.moment import Moment, Part
from gpurun.sdk.saver import Saver
from gpurun.sdk.saves import Saves
from gpurun.sdk.say import say
from gpurun.sdk.subject import Subject
from gpurun.sdk.ways import Ways, say_ways

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gpurun.sdk.host_buffers import HostBuffers
    from gpurun.sdk.link import Link
    from gpurun.sdk.ranks import Ranks


class Session:
    """One training in one attempt."""

    def __init__(
        self,
        subject: Subject,
        attempt: Attempt,
        run: int,
        step: int,
        link: "Link | None",
        ranks: "Ranks | None",
        saves: Saves,
        ways: Ways,
    ) -> None:
        self.subject = subject
        self.checkpoints = attempt.checkpoints
        """The folder of the job's checkpoints."""
        self.unsaved = ways.unsaved
        """Why no checkpoint of it could be gone on from; empty where one could."""
        self._pausable = ways.pausable
        self._resume = attempt.resume
        self._checks = attempt.checks
        self._ranks = ranks
        self.run = run
        """Which training of its script it is, from 0: a checkpoint belongs to one of them."""
        self.step = step
        """Where it goes on; 0 for a start."""
        self.link = link
        """None where there can be none: then it merely cannot be paused."""
        self.saver = Saver()
        self.saves = saves
        self._speaks = ranks is None or ranks.speaks
        """Whether it decides when to save."""
        self._began = time.monotonic()
        saves.begin(step)
        self.looks = self._checks or ranks is not None or saves.wanted
        """Whether each safe point has to look at more than the link's request."""

    @cached_property
    def buffers(self) -> "HostBuffers":
        """Where it parks, and is copied to for a save; the saver reads there, too."""
        from gpurun.sdk.host_buffers import HostBuffers

        return HostBuffers()

    def asked(self, step: int = 0) -> bool:
        """Whether there is something to do at this safe point; read at each, without a lock."""
        if self.link is not None and self.link.request is not None:
            return True
        return self.looks and self._has_more(step)

    def _has_more(self, step: int) -> bool:
        if self._ranks is not None and self._ranks.posted():
            return True
        return self._checks or (self._speaks and self.saves.due(step))

    def step_aside(self, step: int, turn: int | None = None, *, evaluates: bool = False) -> None:
        """Answer what is asked, so many steps being done; return when the training is to go on.

        `turn` counts the safe points, as in every other rank; the steps do where it is not told.
        One that evaluates may stand or park, and comes to a request to exit at its next turn;
        where there are other ranks, it does nothing before that.
        """
        if self._checks:
            from gpurun.sdk.checking import at_safe_point

            at_safe_point(self, step)
            return
        from gpurun.sdk.pause import step_aside

        if self._ranks is not None:
            if not evaluates:
                self._step_aside_together(self._ranks, step, step if turn is None else turn)
            return
        trackers.remember(self.checkpoints, self.run)
        if not evaluates and self.saves.due(step):
            self._save(step)
        if self.link is not None:
            step_aside(self.link, self, step, evaluates=evaluates)

    def _step_aside_together(self, ranks: "Ranks", step: int, turn: int) -> None:
        requested = self.link is not None and self.link.request is not None
        if not ranks.stops_at(turn, asked=requested or self.saves.due(step)):
            return
        if ranks.rank == 0:
            trackers.remember(self.checkpoints, self.run)
        if not ranks.speaks:
            from gpurun.sdk.following import follow

            follow(self, ranks, step)
            return
        from gpurun.sdk.pause import step_aside

        try:
            if self.link is not None and self.link.request is not None:
                step_aside(self.link, self, step)
            elif self.saves.due(step):
                self.saves.begin(step)
                self.gather("save")
                self._save(step)
                self.saver.wait()
        except RanksError as error:
            say(f"a checkpoint could not be written, and the training goes on: {error}")
        finally:
            ranks.end(writes=self.saver.busy)

    def _save(self, step: int) -> None:
        from gpurun.sdk.saving import save

        save(self, step)

    def gather(self, how: str) -> bool:
        """Have all ranks step aside in this way; raise RanksError where one does not come."""
        self.saver.wait()
        if self._ranks is not None:
            self._ranks.begin(how)
        return True

    def write(
        self, step: int, part: Part, *, metric: float | None = None, final: bool = False
    ) -> Written:
        """Make a checkpoint of this rank's part and those of the others."""
        ranks = self._ranks
        fill = part if ranks is None else partial(ranks.fill, part=part)
        label = Label(step, self.run, final, metric)
        try:
            return checkpoint.write(self.checkpoints, label, fill, self.saves.keep)
        except BaseException:
            if ranks is not None:
                ranks.give_up()
            raise

    def most_kept(self, kept: int) -> int:
        """Bytes kept by the rank that keeps most of its device, once all have given back."""
        if self._ranks is None:
            return kept
        self._ranks.released(kept)
        return self._ranks.most_kept()

    def apply_again(self) -> None:
        """Put its state and the random states back, at the turn at which it was paused."""
        step = load_or_end(self.subject, self._resume, self.moment(0))
        if step is not None:
            self.go_on_from(step)

    def go_on_from(self, step: int) -> None:
        """Its state has been put back at the turn at which it was paused."""
        if self.link is not None:
            self.link.go_on_from(step)

    def cannot_exit(self, why: str) -> None:
        """Take back that it may exit: no checkpoint could be gone on from."""
        if not self.unsaved:
            self.unsaved = why
            self._pausable = tuple(way for way in self._pausable if way != "exit")
            say_ways(self._pausable, why)
        if self.link is not None:
            self.link.offer(self._pausable)

    def restore_best(self) -> int | None:
        """Put the state back to that of the best checkpoint; its step, or None without one."""
        self.saver.wait()
        mode = self.saves.keep.best
        path = checkpoint.best(self.checkpoints, self.run, mode) if mode else None
        if path is None:
            return None
        return load_or_end(self.subject, path, self.moment(0), random_states=False)

    def finish(self, step: int) -> None:
        """The training has come to its end."""
        if self._ranks is None and not self._checks:
            from gpurun.sdk.saving import save_last

            save_last(self, step, time.monotonic() - self._began)

    def detach(self) -> None:
        """Its loop is over, and no other may follow: nobody asks it until it attaches."""
        if self.link is not None:
            self.link.detach()

    def attach(self) -> None:
        """A loop of it begins."""
        if self.link is not None:
            self.link.attach()

    def close(self) -> None:
        """The training is over: nobody asks it any more, and no rank waits for it."""
        self.saver.wait()
        if "buffers" in vars(self):
            self.buffers.close()
        if self._ranks is not None:
            self._ranks.leave()
        if self.link is not None:
            self.link.close()

    def moment(self, step: int) -> Moment:
        """Where it is when so many steps are done."""
        if self._ranks is None:
            return Moment(step, self.run)
        return Moment(step, self.run, self._ranks.rank, self._ranks.world)

    def has_come_to(self, step: int, total: int, metrics: object) -> None:
        """So many steps are done, of so many (0 where that is not known), with these metrics."""
        self.subject.last = metrics
        if self.link is not None:
            self.link.progress.tell(step, total, metrics)

    def tell_of(self, error: Exception) -> None:
        """Tell the coordinator where the training ends for lack of device memory."""
        if self.link is not None:
            from gpurun.sdk.oom import tell_of_oom

            tell_of_oom(self.link, error)
