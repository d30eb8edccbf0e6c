"""What has been decided and not yet been written: nothing of it is said or done before.

A store that cannot be written stops admissions, not the loop. What has happened is still taken in
and waits here; it is tried again with what has come since.
"""

import logging
from collections.abc import Iterable

from gpurun.coordinator import clock, spool
from gpurun.coordinator.core.effects import Effect, Keep, Learn, Record
from gpurun.coordinator.store import Store, StoreError

_log = logging.getLogger(__name__)

_RETRY = 1.0
"""Seconds between two tries to write."""


class Outbox:
    """Effects in, effects out once they are in the store."""

    def __init__(self, store: Store, spool_folder: str) -> None:
        self._store, self._spool = store, spool_folder
        self._effects: list[Effect] = []
        self._told: list[str] = []
        self._retry_at = 0.0
        self.trouble = ""
        """Why the store cannot be written; empty while it can."""

    def put(self, effects: list[Effect], told: Iterable[str]) -> None:
        """Add what the scheduler has decided.

        `told` are the UUIDs of jobs whose spooled ends are among it: their files may go when it
        is written.
        """
        self._effects += effects
        self._told += told

    @property
    def due(self) -> float | None:
        """When (CLOCK_BOOTTIME) to try again; None where nothing waits."""
        return self._retry_at if self._effects else None

    def take(self) -> list[Effect]:
        """What may be carried out: all that there is, once its records are written."""
        if not self._effects or not self._written():
            return []
        for uuid in self._told:
            spool.forget(self._spool, uuid)
        effects, self._effects, self._told = self._effects, [], []
        return effects

    def _written(self) -> bool:
        now = clock.now().boot
        if self.trouble and now < self._retry_at:
            return False
        records = [effect for effect in self._effects if isinstance(effect, Record)]
        profiles = [effect.profile for effect in self._effects if isinstance(effect, Learn)]
        kept = [effect for effect in self._effects if isinstance(effect, Keep)]
        try:
            if records or profiles or kept:
                self._store.write(records, profiles, kept)
        except StoreError as error:
            self.trouble, self._retry_at = str(error), now + _RETRY
            _log.error("%s; nothing starts until it can be written", error)
            return False
        self.trouble = ""
        return True
