"""Who is asking which question at the moment, over all processes that share a cache of replies.

A claim stands beside the replies and goes when the reply that it was made for comes. It counts as long as its owner
lives: whether his process is there (by its id and start) where that can be looked up, and whether he gave a sign of
life lately where it cannot.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sqlite3
import threading
import time
import uuid
from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache, partial
from pathlib import Path

from hardcut.engine.database import Database

SCRIPT = """
CREATE TABLE claim (key TEXT PRIMARY KEY, owner TEXT NOT NULL);
CREATE TABLE owner (
    id TEXT PRIMARY KEY, place TEXT NOT NULL, pid INTEGER NOT NULL, started TEXT NOT NULL, beat REAL NOT NULL
);
CREATE TRIGGER answered AFTER INSERT ON reply BEGIN DELETE FROM claim WHERE key = NEW.key; END;
"""

BEAT_S = 5.0
SILENT_S = 30.0
"""An owner whose process cannot be looked up from here is held to be dead after so long without a sign of life."""
STOPPED_S = 300.0
"""And so is one whose process is there: it may be stopped."""
_LOOK_S = (0.02, 0.25)
"""How soon, and then how often, it is looked whether others have their replies."""
_PAGE = 500


class Claims:
    """The claims of one process in a cache of replies. Use it in the event loop's thread only."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._id = uuid.uuid4().hex
        self._held: set[str] = set()
        self._closing = threading.Event()
        self._beating: threading.Thread | None = None

    async def take(self, keys: Collection[str], rejected: Mapping[str, str]) -> set[str]:
        """Claims those of `keys` that nobody else who lives has claimed and that have no reply, or none but the one
        whose digest is in `rejected`. Returns them."""
        wanted = [key for key in keys if key not in self._held]
        if not wanted:
            return set()
        self._held.update(wanted)  # against others in this process, until it is known
        try:
            work = partial(_take, self._id, wanted, dict(rejected))
            done = self._database.attempt(work)
            taken = await self._database.write(work) if done is None else done
        except BaseException:
            self.give_up(wanted)
            raise
        self._held.difference_update(set(wanted) - taken)
        if self._beating is None:
            self._beating = threading.Thread(target=self._beat, name="heartbeat of claims", daemon=True)
            self._beating.start()
        return taken

    async def wait(self, keys: Collection[str]) -> None:
        """Waits until all of `keys` are settled: whoever claimed a key has its reply, or has given it up."""
        pause, longest = _LOOK_S
        while self._claimed(keys):
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, longest)

    def answered(self, key: str) -> None:
        """The reply is there, and with it the claim is gone."""
        self._held.discard(key)

    def give_up(self, keys: Collection[str]) -> None:
        """There will be no replies to those of `keys` that are still claimed here. Waits for nothing."""
        gone = [(key, self._id) for key in keys if key in self._held]
        self._held.difference_update(keys)
        if gone:
            sql = "DELETE FROM claim WHERE key = ? AND owner = ?"
            self._database.submit(lambda connection: connection.executemany(sql, gone))

    def close(self) -> None:
        """Gives up all claims. Waits for nothing."""
        self._closing.set()
        if self._beating is not None:
            self._database.submit(partial(_forget, [self._id]))

    def _claimed(self, keys: Collection[str]) -> bool:
        """Whether one of the keys is claimed by somebody who lives."""
        for page in _pages(list(keys)):
            owners = self._database.read(
                f"SELECT * FROM owner WHERE id IN (SELECT owner FROM claim WHERE key IN ({','.join('?' * len(page))}))",
                tuple(page),
            )
            if any(map(_lives, owners)):
                return True
        return False

    def _beat(self) -> None:
        """In a thread: the sign of life."""
        while not self._closing.wait(BEAT_S):
            self._database.submit(
                lambda connection: connection.execute("UPDATE owner SET beat = ? WHERE id = ?", (time.time(), self._id))
            )


def _take(owner: str, keys: Sequence[str], rejected: Mapping[str, str], connection: sqlite3.Connection) -> set[str]:
    """In a transaction: claims what is free."""
    free = set(keys)
    for page in _pages(keys):
        marks = ",".join("?" * len(page))
        for key, digest in connection.execute(f"SELECT key, digest FROM reply WHERE key IN ({marks})", page):
            if rejected.get(key) != digest:
                free.discard(key)
    if not connection.execute("SELECT 1 FROM owner WHERE id = ?", (owner,)).fetchone():
        row = (owner, _place(), os.getpid(), _started(os.getpid()), time.time())
        connection.execute("INSERT INTO owner VALUES (?, ?, ?, ?, ?)", row)
        _forget([row["id"] for row in connection.execute("SELECT * FROM owner") if not _lives(row)], connection)
    for page in _pages(sorted(free)):
        marks = ",".join("?" * len(page))
        claimed = connection.execute(
            f"SELECT claim.key, owner.* FROM claim JOIN owner ON owner.id = claim.owner WHERE key IN ({marks})", page
        )
        free.difference_update(row["key"] for row in claimed if row["id"] != owner and _lives(row))
    connection.executemany("INSERT OR REPLACE INTO claim VALUES (?, ?)", [(key, owner) for key in sorted(free)])
    return free


def _forget(owners: Sequence[str], connection: sqlite3.Connection) -> None:
    for table, column in (("claim", "owner"), ("owner", "id")):
        connection.executemany(f"DELETE FROM {table} WHERE {column} = ?", [(owner,) for owner in owners])


def _lives(owner: sqlite3.Row) -> bool:
    silent = time.time() - owner["beat"]
    if owner["place"] != _place():
        return bool(silent < SILENT_S)
    return bool(silent < STOPPED_S and owner["started"] == _started(owner["pid"]))


@lru_cache
def _place() -> str:
    """Where process ids mean the same: one boot of one machine, and one namespace of process ids."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {Path('/proc/self/ns/pid').stat().st_ino}"
    except OSError:
        return socket.gethostname()


def _started(pid: int) -> str:
    """When a process began, in the words of the system; empty where there is none (any more)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        if Path("/proc/self").exists():
            return ""
    else:
        state, *rest = stat[stat.rindex(")") + 2 :].split()
        return "" if state in "ZX" else rest[18]
    try:  # a system without /proc
        os.kill(pid, 0)
    except ProcessLookupError:
        return ""
    except PermissionError:
        pass
    return "runs"


def _pages(keys: Sequence[str]) -> list[tuple[str, ...]]:
    return [tuple(keys[start : start + _PAGE]) for start in range(0, len(keys), _PAGE)]
