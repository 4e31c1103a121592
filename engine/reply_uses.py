"""Which runs use which replies of a cache, and with which settings: what may be freed is told by it.

Every question of a run is noted before it is looked up, with the digest of what its stage is by itself (name, version,
settings). What nobody noted, or was there before uses were noted, counts as used by all.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from hardcut.engine.database import Database
from hardcut.engine.erase import opened_to_erase
from hardcut.schemas.errors import StorageError

SCRIPT = """
CREATE TABLE holder (id INTEGER PRIMARY KEY, run TEXT NOT NULL, scope TEXT NOT NULL, UNIQUE (run, scope));
CREATE TABLE used (key TEXT NOT NULL, holder INTEGER NOT NULL, PRIMARY KEY (key, holder)) WITHOUT ROWID;
CREATE TABLE present (run TEXT PRIMARY KEY, scopes TEXT NOT NULL);
"""
_NOTE = "INSERT OR IGNORE INTO used (key, holder) VALUES (?, ?)"
_SPARE = """
FROM reply r WHERE EXISTS (SELECT 1 FROM used u JOIN spare s ON s.id = u.holder WHERE u.key = r.key)
AND NOT EXISTS (SELECT 1 FROM used u WHERE u.key = r.key AND u.holder NOT IN (SELECT id FROM spare))
"""


def add_uses(connection: sqlite3.Connection, script: Collection[str]) -> None:
    """Makes the tables in a file of an earlier layout. Whose replies are in it, nobody knows."""
    for statement in script:
        connection.execute(statement)
    connection.execute("INSERT INTO holder (id, run, scope) VALUES (1, '', '')")
    connection.execute("INSERT INTO used (key, holder) SELECT key, 1 FROM reply")


class ReplyUses:
    """Notes uses for one run. Before `hold` is called, all that is asked counts as used by all."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._run = ""
        self._scopes: Mapping[str, str] = {}
        self._holders: dict[tuple[str, str], int] = {}

    def hold(self, run: str, scopes: Mapping[str, str], former: Collection[str] = ()) -> None:
        """From now on the run at this path asks, with the scopes of its stages. These, and those of earlier versions of
        its stages (`former`), are in force from now on."""
        self._run, self._scopes = run, dict(scopes)
        told = json.dumps(sorted({*scopes.values(), *former}))
        row = (run, told)
        self._database.submit(
            lambda connection: connection.execute("INSERT OR REPLACE INTO present VALUES (?, ?)", row)
        ).result()

    async def note(self, stage: str, keys: Collection[str]) -> None:
        """A stage is about to ask these. Raises StorageError."""
        scope = self._scopes.get(stage, "")
        holder = self._holders.get((self._run, scope)) or await self._holder(self._run if scope else "", scope)
        rows = [(key, holder) for key in keys]
        if not self._database.write_at_once(_NOTE, rows):
            await self._database.write(lambda connection: connection.executemany(_NOTE, rows))

    async def _holder(self, run: str, scope: str) -> int:
        def find(connection: sqlite3.Connection) -> int:
            connection.execute("INSERT OR IGNORE INTO holder (run, scope) VALUES (?, ?)", (run, scope))
            found = connection.execute("SELECT id FROM holder WHERE run = ? AND scope = ?", (run, scope)).fetchone()
            return int(found[0])

        self._holders[self._run, scope] = found = await self._database.write(find)
        return found


@dataclass(frozen=True, slots=True)
class SpareReplies:
    """Replies that one run alone asked for, with settings that it no longer has: how many, and their bytes. `freed`:
    they are gone."""

    replies: int = 0
    bytes: int = 0
    freed: bool = False


def spare_replies(path: Path, run: str, *, gone: bool, free: bool) -> SpareReplies:
    """What a cache of replies keeps for nothing but earlier settings of the run at the path `run`. With `gone` the run
    is no more, and all that it alone asked for is spare. With `free` they go for good.

    Raises StorageError where the file cannot be read or written.
    """
    if not path.exists():
        return SpareReplies()
    if not free:
        try:
            connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=60)
            try:
                return _spare(connection, run, gone)
            finally:
                connection.close()
        except sqlite3.DatabaseError as error:
            raise StorageError(f"{path}: cannot be read ({error})") from error
    with opened_to_erase(path) as connection:
        if not _has_uses(connection):
            return SpareReplies()
        connection.execute("BEGIN IMMEDIATE")
        found = _spare(connection, run, gone)
        connection.execute(f"DELETE FROM reply WHERE key IN (SELECT r.key {_SPARE})")
        connection.execute("DELETE FROM used WHERE holder IN (SELECT id FROM spare)")
        connection.execute("DELETE FROM holder WHERE id IN (SELECT id FROM spare)")
        if gone:
            connection.execute("DELETE FROM present WHERE run = ?", (run,))
        connection.execute("COMMIT")
    return SpareReplies(found.replies, found.bytes, True)


def knows_run(path: Path, run: str) -> bool:
    """Whether the run at this path ever asked anything of the cache."""
    if not path.exists():
        return False
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=60)
    try:
        return _has_uses(connection) and bool(
            connection.execute("SELECT 1 FROM holder WHERE run = ? LIMIT 1", (run,)).fetchone()
        )
    except sqlite3.DatabaseError as error:
        raise StorageError(f"{path}: cannot be read ({error})") from error
    finally:
        connection.close()


def _has_uses(connection: sqlite3.Connection) -> bool:
    sql = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'used'"
    return bool(connection.execute(sql).fetchone()[0])


def _spare(connection: sqlite3.Connection, run: str, gone: bool) -> SpareReplies:
    """Lists the spare holders in a table `spare`, and counts what only they use."""
    connection.execute("CREATE TEMP TABLE spare (id INTEGER PRIMARY KEY)")
    if not run or not _has_uses(connection):
        return SpareReplies()
    row = connection.execute("SELECT scopes FROM present WHERE run = ?", (run,)).fetchone()
    if row is None and not gone:
        return SpareReplies()
    in_force = set() if gone else set(json.loads(row[0]))
    holders = connection.execute("SELECT id, scope FROM holder WHERE run = ?", (run,)).fetchall()
    connection.executemany("INSERT INTO spare VALUES (?)", [(id,) for id, scope in holders if scope not in in_force])
    count, size = connection.execute(f"SELECT count(*), coalesce(sum(length(r.body)), 0) {_SPARE}").fetchone()
    return SpareReplies(int(count), int(size))
