"""A pause in the ranks that have no link: what the speaker's does beside its words."""

from gpurun.sdk import snapshot
from gpurun.sdk.park import give_back, take_back
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
        ranks.add(session.checkpoints, part)
    except Exception as error:  # noqa: BLE001 - a save that fails in any way must cost nothing
        _fail(ranks, error)
        return False
    return True


def _park(session: Session, ranks: Ranks, step: int) -> None:
    by_itself = session.subject.saves_itself and not session.unsaved
    if by_itself and not _saved(session, ranks, step):
        ranks.await_end()
        return
    parking = Parking(session.buffers)
    captures = not (by_itself or session.unsaved)
    try:
        part, kept = give_back(session, step, parking, captures=captures)
    except Exception as error:  # noqa: BLE001 - the same
        _fail(ranks, error)
        ranks.await_end()
        return
    ranks.released(kept)
    if part is not None:
        write = part
        session.saver.start(
            lambda: ranks.add(session.checkpoints, write),
            lambda _written, _took: None,
            lambda error: _fail(ranks, error),
        )
    ranks.await_end()
    take_back(parking)


def _fail(ranks: Ranks, error: Exception) -> None:
    text = one_line(error)
    say(f"cannot pause: {text}")
    ranks.fail(text)
