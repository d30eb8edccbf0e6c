"""A pause in the ranks that have no link: what the speaker's does beside its words."""

from gpurun.sdk import snapshot
from gpurun.sdk.moment import Part
from gpurun.sdk.park import give_back, take_back, take_back_at_the_end
from gpurun.sdk.parking import Parking
from gpurun.sdk.ranks import Ranks
from gpurun.sdk.resting import one_line
from gpurun.sdk.say import say
from gpurun.sdk.session import Session


def follow(session: Session, ranks: Ranks, step: int) -> None:
    """Step aside as the speaker begins it; return when it lets all go on."""
    session.saver.wait()
    how = ranks.arrive()
    if how == "park":
        _park(session, ranks, step)
        return
    if how in ("exit", "save"):
        _saved(session, ranks, step)
    if how:
        ranks.await_end()


def _saved(session: Session, ranks: Ranks, step: int) -> bool:
    part = snapshot.part(session.subject, session.moment(step))
    try:
        return ranks.add(session.checkpoints, part)
    except Exception as error:  # noqa: BLE001 - a save that fails in any way must cost nothing
        _fail(ranks, one_line(error), "done", "saved")
        return False


def _park(session: Session, ranks: Ranks, step: int) -> None:
    by_itself = session.subject.saves_itself and not session.unsaved
    if by_itself and not _saved(session, ranks, step):
        ranks.await_end()
        return
    captures = not (by_itself or session.unsaved)
    try:
        parking = Parking(session.buffers)
        part, kept = give_back(session, step, parking, captures=captures)
    except Exception as error:  # noqa: BLE001 - the same
        _fail(ranks, one_line(error), "done", "saved")
        ranks.await_end()
        return
    try:
        ranks.released(kept)
        if part is not None:
            _save_meanwhile(session, ranks, part)
        elif session.unsaved:
            ranks.fail(session.unsaved, "saved")
        ranks.await_end()
        take_back(parking)
    except BaseException:
        take_back_at_the_end(parking)
        raise


def _save_meanwhile(session: Session, ranks: Ranks, part: Part) -> None:
    def failed(error: Exception) -> None:
        _fail(ranks, one_line(error), "saved")

    try:
        session.saver.start(
            lambda: ranks.add(session.checkpoints, part), lambda _added, _took: None, failed
        )
    except RuntimeError as error:  # there is no thread left
        failed(error)


def _fail(ranks: Ranks, text: str, *what: str) -> None:
    say(f"cannot pause: {text}")
    ranks.fail(text, *what)
