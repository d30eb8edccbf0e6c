"""The store: every job and its story in SQLite, written before anything is sent.

WAL with synchronous=NORMAL: a killed process loses nothing; a power cut may lose the last commits,
and with them ends every launcher that they spoke of.
"""

import contextlib
import secrets
import sqlite3
from collections.abc import Iterator, Sequence

import msgspec

from gpurun.coordinator.core.effects import Keep, Record
from gpurun.coordinator.core.estimator.profile import Profile
from gpurun.coordinator.core.job import Job
from gpurun.coordinator.core.state import ENDED_KEPT

_BUSY = 0.2
"""Seconds to wait for somebody who reads along; the loop stands still meanwhile."""
_SCHEMAS = (
    """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE jobs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,  -- a number never comes back
    uuid TEXT NOT NULL,
    ended INTEGER NOT NULL,
    job BLOB NOT NULL                      -- JSON of core.job.Job
);
CREATE INDEX jobs_ended ON jobs (ended, id);
CREATE TABLE story (
    id INTEGER PRIMARY KEY,
    job INTEGER NOT NULL,
    boot REAL NOT NULL,
    wall REAL NOT NULL,
    cause TEXT NOT NULL,
    trigger TEXT NOT NULL,
    state TEXT NOT NULL,
    reservations BLOB NOT NULL,            -- JSON; with the states, the log replays to the ledger
    detail TEXT NOT NULL
);
CREATE INDEX story_job ON story (job);
""",
    """
CREATE TABLE profiles (
    id INTEGER PRIMARY KEY,                -- in the order in which the runs ended
    profile BLOB NOT NULL                  -- JSON of core.estimator.profile.Profile
);
""",
)
"""What makes version 1 of nothing, 2 of version 1, and so on: what is here never changes."""
SCHEMA_VERSION = len(_SCHEMAS)
PROFILES_KEPT = 10_000
"""Runs, the last of all programs, that are kept."""
_encode = msgspec.json.Encoder().encode
_decode_job = msgspec.json.Decoder(Job).decode
_decode_profile = msgspec.json.Decoder(Profile).decode


class StoreError(Exception):
    """The database cannot be used; the text is one line that says what to do."""


class Line(msgspec.Struct, frozen=True):
    """One line of a job's story."""

    boot: float
    wall: float
    cause: str
    trigger: str
    state: str
    detail: str


class Store:
    """One connection, used by one thread."""

    def __init__(self, path: str) -> None:
        self._path = path
        with self._usable():
            self._db = sqlite3.connect(path, isolation_level=None, timeout=_BUSY)
        try:
            with self._usable():
                self._db.execute("PRAGMA journal_mode = WAL")
                self._db.execute("PRAGMA synchronous = NORMAL")
                self._migrate()
        except StoreError:
            self._db.close()
            raise

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    def secret(self) -> str:
        """What the tokens of attempts are derived from; made once for each database."""
        return self._once("secret", secrets.token_hex(32))

    def boot(self, boot_id: str) -> bool:
        """Note this run of the machine; tell whether it is another than that of the last time."""
        last = self._once("boot", boot_id)
        with self._usable():
            self._db.execute("UPDATE meta SET value = ? WHERE key = 'boot'", (boot_id,))
        return last != boot_id

    def jobs(self) -> list[Job]:
        """All jobs that have not ended and the last that have, oldest first."""
        with self._usable():
            rows = self._db.execute(
                "SELECT job FROM jobs WHERE NOT ended UNION ALL SELECT * FROM "
                "(SELECT job FROM jobs WHERE ended ORDER BY id DESC LIMIT ?)",
                (ENDED_KEPT,),
            )
            return sorted((_decode_job(row[0]) for row in rows), key=lambda job: job.id)

    def profiles(self) -> list[Profile]:
        """What the last runs have left behind, oldest first."""
        with self._usable():
            rows = self._db.execute("SELECT profile FROM profiles ORDER BY id")
            return [_decode_profile(row[0]) for row in rows]

    def next_id(self) -> int:
        """One more than the highest number that was ever given."""
        with self._usable():
            found = self._db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'jobs'")
            row = found.fetchone()
        return 1 if row is None else int(row[0]) + 1

    def kept(self, key: str) -> str:
        """What was last kept under a key; empty where nothing was."""
        with self._usable():
            row = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return "" if row is None else str(row[0])

    def write(
        self,
        records: Sequence[Record],
        profiles: Sequence[Profile] = (),
        kept: Sequence[Keep] = (),
    ) -> None:
        """Write a batch in one transaction; of each job only its last state becomes its row."""
        last = {record.job.id: record.job for record in records}
        with self._usable(), self._db:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.executemany(
                "INSERT INTO jobs (id, uuid, ended, job) VALUES (?, ?, ?, ?) "
                "ON CONFLICT (id) DO UPDATE SET ended = excluded.ended, job = excluded.job",
                [(job.id, job.uuid, job.state.ended, _encode(job)) for job in last.values()],
            )
            self._db.executemany(
                "INSERT INTO story (job, boot, wall, cause, trigger, state, reservations, detail) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [_line(record) for record in records],
            )
            self._db.executemany(
                "INSERT INTO profiles (profile) VALUES (?)",
                [(_encode(one),) for one in profiles],
            )
            if profiles:
                self._db.execute(
                    "DELETE FROM profiles WHERE id <= (SELECT max(id) FROM profiles) - ?",
                    (PROFILES_KEPT,),
                )
            self._db.executemany(
                "INSERT OR REPLACE INTO meta VALUES (?, ?)", [(k.key, k.value) for k in kept]
            )

    def story(self, job: int) -> list[Line]:
        """What happened to a job, oldest first; changes that moved nothing are left out."""
        with self._usable():
            rows = self._db.execute(
                "SELECT boot, wall, cause, trigger, state, detail FROM story "
                "WHERE job = ? AND trigger != '' ORDER BY id",
                (job,),
            )
            return [Line(*row) for row in rows]

    def _once(self, key: str, value: str) -> str:
        """The value under a key, which is written if there is none."""
        with self._usable():
            self._db.execute("INSERT OR IGNORE INTO meta VALUES (?, ?)", (key, value))
            row = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return str(row[0])

    @contextlib.contextmanager
    def _usable(self) -> Iterator[None]:
        """Say what is wrong with the database in one line that names it."""
        try:
            yield
        except (sqlite3.Error, msgspec.DecodeError) as error:
            text = f"the database {self._path} cannot be used ({error}); mend it or move it away"
            raise StoreError(text) from None

    def _migrate(self) -> None:
        version = int(self._db.execute("PRAGMA user_version").fetchone()[0])
        if version > SCHEMA_VERSION:
            raise StoreError(
                f"the database {self._path} was written by a newer gpurun; install that version, "
                "or move the database away"
            )
        for number, schema in enumerate(_SCHEMAS[version:], version + 1):
            self._db.executescript(
                f"BEGIN IMMEDIATE; {schema} PRAGMA user_version = {number}; COMMIT;"
            )


def _line(record: Record) -> tuple[object, ...]:
    job = record.job
    return (
        job.id,
        record.at,
        record.wall,
        record.cause,
        record.trigger,
        job.state,
        _encode(job.reservations),
        record.detail,
    )
