"""The store: whole batches or nothing, numbers that never come back, and one line when it fails."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from tests.coordinator.core.world import World
from tests.protocol.examples import filled

from gpurun.coordinator.core.effects import Effect, Learn, Record
from gpurun.coordinator.core.estimator.profile import Profile
from gpurun.coordinator.core.events import Event
from gpurun.coordinator.core.job import Job, Reservation
from gpurun.coordinator.core.state import ENDED_KEPT
from gpurun.coordinator.outbox import Outbox
from gpurun.coordinator.store import _SCHEMAS, PROFILES_KEPT, SCHEMA_VERSION, Store, StoreError
from gpurun.protocol import messages as m
from gpurun.protocol.job import JobState
from gpurun.protocol.quantity import GIB

COMPAT = Path(__file__).parents[2] / "compat"


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "jobs.sqlite")


@pytest.fixture
def store(path: str) -> Iterator[Store]:
    store = Store(path)
    yield store
    store.close()


def job(number: int, state: JobState = JobState.QUEUED, **changes: object) -> Job:
    whole = msgspec.structs.replace(filled(Job), id=number, uuid=f"u{number}", state=state)
    return msgspec.structs.replace(whole, **changes)


def record(job: Job, trigger: str = "submitted", detail: str = "") -> Record:
    return Record(cause="Test", job=job, at=1.0, wall=2.0, trigger=trigger, detail=detail)


def rows(path: str, table: str) -> int:
    connection = sqlite3.connect(path)
    (count,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608
    connection.close()
    return int(count)


def test_a_job_comes_back_with_everything_that_is_known_of_it(store: Store) -> None:
    whole = job(1)
    store.write([record(whole)])
    assert store.jobs() == [whole]


def test_of_a_batch_the_last_state_of_each_job_is_its_row(store: Store, path: str) -> None:
    store.write([record(job(1)), record(job(2)), record(job(1, JobState.STARTING))])
    assert [(found.id, found.state) for found in store.jobs()] == [(1, "starting"), (2, "queued")]
    assert rows(path, "story") == 3


def test_a_batch_is_written_whole_or_not_at_all(store: Store, path: str) -> None:
    """The second record cannot be written: the first is not there either, and the next batch is."""
    broken = record(job(2), detail="\udcff")
    with pytest.raises((StoreError, UnicodeEncodeError)):
        store.write([record(job(1)), broken])
    assert rows(path, "jobs") == rows(path, "story") == 0
    store.write([record(job(1))])
    assert rows(path, "jobs") == rows(path, "story") == 1


def test_what_another_process_reads_meanwhile_is_whole(store: Store, path: str) -> None:
    """A write that is held up says so in one line and changes nothing."""
    other = sqlite3.connect(path, isolation_level=None)
    store._db.execute("PRAGMA busy_timeout = 1")
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="database is locked"):
        store.write([record(job(1))])
    other.execute("ROLLBACK")
    other.close()
    store.write([record(job(1))])
    assert store.jobs() == [job(1)]


def test_a_number_never_comes_back(store: Store, path: str) -> None:
    """Not even when somebody empties the table."""
    assert store.next_id() == 1
    store.write([record(job(41))])
    connection = sqlite3.connect(path)
    connection.execute("DELETE FROM jobs")
    connection.commit()
    connection.close()
    assert store.next_id() == 42


def test_a_name_that_was_long_ago_may_come_back(store: Store) -> None:
    """The scheduler forgets the oldest ends; a launcher may still bring such a UUID."""
    store.write([record(job(1, JobState.FINISHED, uuid="same"))])
    store.write([record(job(2, uuid="same"))])
    assert [found.id for found in store.jobs()] == [1, 2]


def test_all_that_lives_is_remembered_and_the_last_that_ended(store: Store) -> None:
    count = ENDED_KEPT + 5
    ended = [record(job(number, JobState.FINISHED)) for number in range(2, count + 2)]
    store.write([record(job(1)), *ended])
    numbers = [found.id for found in store.jobs()]
    assert numbers == [1, *range(count + 2 - ENDED_KEPT, count + 2)]


def test_the_story_of_a_job_is_told_in_order_and_only_of_moves(store: Store) -> None:
    moved = record(job(1, JobState.STARTING), "granted", "GPU 0")
    store.write([record(job(1)), record(job(1), ""), moved, record(job(2))])
    assert [(line.trigger, line.state, line.detail) for line in store.story(1)] == [
        ("submitted", "queued", ""),
        ("granted", "starting", "GPU 0"),
    ]
    assert [(line.boot, line.wall, line.cause) for line in store.story(2)] == [(1.0, 2.0, "Test")]


def test_the_secret_is_made_once_and_is_no_other_databases(path: str, tmp_path: Path) -> None:
    first, other = Store(path), Store(str(tmp_path / "other.sqlite"))
    secret = first.secret()
    assert secret == first.secret()
    assert secret != other.secret()
    first.close()
    other.close()
    again = Store(path)
    assert again.secret() == secret
    assert len(bytes.fromhex(secret)) == 32
    again.close()


def test_another_run_of_the_machine_is_told_once(store: Store) -> None:
    assert [store.boot(run) for run in ("a", "a", "b", "b", "a")] == [
        False,
        False,
        True,
        False,
        True,
    ]


# --- what cannot be used


def one_line(path: str) -> str:
    with pytest.raises(StoreError) as error:
        Store(path)
    text = str(error.value)
    assert path in text
    assert len(text.splitlines()) == 1
    return text


def test_a_database_of_a_newer_version_is_left_alone(store: Store, path: str) -> None:
    store.write([record(job(1))])
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    connection.close()
    assert "was written by a newer gpurun; install that version" in one_line(path)
    assert rows(path, "jobs") == 1


def test_a_file_that_is_no_database_is_left_alone(path: str) -> None:
    Path(path).write_text("not a database, " * 100)
    assert "mend it or move it away" in one_line(path)
    assert Path(path).read_text() == "not a database, " * 100


def test_a_folder_in_the_place_of_the_database_is_named(path: str) -> None:
    Path(path).mkdir()
    assert "mend it or move it away" in one_line(path)


def test_a_row_that_cannot_be_read_is_said_in_one_line(store: Store, path: str) -> None:
    store.write([record(job(1))])
    connection = sqlite3.connect(path)
    connection.execute("UPDATE jobs SET job = '{}'")
    connection.commit()
    connection.close()
    with pytest.raises(StoreError, match="cannot be used") as error:
        store.jobs()
    assert len(str(error.value).splitlines()) == 1


def test_a_store_that_is_gone_is_said_by_every_question(store: Store) -> None:
    store.close()
    for ask in (store.secret, store.jobs, store.profiles, store.next_id, lambda: store.boot("a")):
        with pytest.raises(StoreError):
            ask()
    with pytest.raises(StoreError):
        store.story(1)


# --- what runs have left behind


def profile(number: int) -> Profile:
    return msgspec.structs.replace(filled(Profile), job=number)


def test_profiles_come_back_in_the_order_of_their_ends(store: Store) -> None:
    store.write([record(job(1))], [profile(1), profile(2)])
    store.write([], [profile(3)])
    assert store.profiles() == [profile(1), profile(2), profile(3)]


def test_a_profile_is_written_with_its_batch_or_not_at_all(store: Store, path: str) -> None:
    broken = record(job(2), detail="\udcff")
    with pytest.raises((StoreError, UnicodeEncodeError)):
        store.write([broken], [profile(2)])
    assert rows(path, "profiles") == 0


def test_of_many_profiles_the_last_are_remembered(store: Store) -> None:
    store.write([], [profile(number) for number in range(PROFILES_KEPT + 3)])
    found = store.profiles()
    assert (found[0].job, found[-1].job) == (3, PROFILES_KEPT + 2)


def test_a_database_of_version_1_gets_its_profiles_and_keeps_its_jobs(path: str) -> None:
    connection = sqlite3.connect(path)
    connection.executescript((COMPAT / "schema_1.sql").read_text())
    connection.close()
    store = Store(path)
    kept = [found.id for found in store.jobs()]
    assert (kept, store.profiles()) == ([7, 8], [])
    store.write([], [profile(8)])
    store.close()
    again = Store(path)
    assert again.profiles() == [profile(8)]
    again.close()
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
    connection.close()


def test_a_migration_that_fails_changes_nothing(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its last statement fails: the database is still of version 1, and that is said."""
    first, second = _SCHEMAS
    broken = (first, f"{second} CREATE TABLE jobs (id);")
    monkeypatch.setattr("gpurun.coordinator.store._SCHEMAS", broken)
    connection = sqlite3.connect(path)
    connection.executescript((COMPAT / "schema_1.sql").read_text())
    connection.commit()
    assert "cannot be used" in one_line(path)
    assert connection.execute("PRAGMA user_version").fetchone() == (1,)
    tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    assert ("profiles",) not in tables
    connection.close()


# --- invariant 7


class Recorded(World):
    """A world whose batches are written to a real store, as the daemon writes them."""

    def __init__(self, store: Store, *devices: int) -> None:
        self.store = store
        super().__init__(*devices)

    def handle(self, event: Event) -> list[Effect]:
        effects = super().handle(event)
        self.store.write([effect for effect in effects if isinstance(effect, Record)])
        return effects


def replayed(path: str) -> dict[int, tuple[str, tuple[Reservation, ...]]]:
    """The state of each job and what it holds, from the log alone."""
    connection = sqlite3.connect(path)
    lines = connection.execute("SELECT job, state, reservations FROM story ORDER BY id")
    found = {
        number: (state, msgspec.json.decode(held, type=tuple[Reservation, ...]))
        for number, state, held in lines
    }
    connection.close()
    return found


def test_replaying_the_log_gives_the_state(store: Store, path: str) -> None:
    """7. A pause, a light task, a refusal, a lapse, a cancel, ends and a restart."""
    world = Recorded(store, 24 * GIB, 12 * GIB)

    def agree() -> None:
        state = world.scheduler.state
        known = [*state.jobs.values(), *state.ended.values()]
        assert replayed(path) == {job.id: (job.state, job.reservations) for job in known}

    training = world.train(20, 0.9)
    light = world.submit(20, 0.5, priority=50)
    agree()
    world.capture(training)
    agree()
    world.spawn(light)
    world.end_of_launcher(light)
    agree()
    world.end_of_process(light)
    world.sample()
    agree()
    world.come_back(training)
    agree()
    lazy, cancelled = world.submit(10, 0.1), world.submit(10, 0.1)
    world.advance(10.0)
    world.command(m.Cancel(job=str(cancelled)))
    agree()
    world.restart()
    agree()
    world.restart(alive=frozenset())
    agree()
    assert {found.state for found in store.jobs()} == {JobState.LOST, JobState.CANCELLED}
    assert world.job(lazy).state is JobState.CANCELLED


def test_what_a_run_leaves_behind_is_written_with_its_end(store: Store, tmp_path: Path) -> None:
    """The outbox hands both to one transaction, and gives the effects out after it."""
    outbox = Outbox(store, str(tmp_path))
    end = record(job(1, JobState.FINISHED))
    effects: list[Effect] = [end, Learn(cause="Exited", profile=profile(1))]
    outbox.put(effects, ())
    assert outbox.take() == effects
    assert store.profiles() == [profile(1)]
