"""API keys out of the server's database, and the links of clips that hang on the owner's. Imported by both processes.

Who has a link may see that clip and no other; nobody can make one without the owner's key.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

OWNER = "owner"
"""The user who pushes and pulls."""
PREFIX = "/media/"
_TOKEN = re.compile(r"[0-9a-f]{64}")


def api_key(database: Path, user: str) -> str | None:
    """A user's API key out of the server's database; None where either is missing."""
    if not database.exists():
        return None
    with closing(sqlite3.connect(f"{database.resolve().as_uri()}?mode=ro", uri=True)) as connection:
        if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'users'").fetchone() is None:
            return None
        row = connection.execute("SELECT api_key FROM users WHERE username = ?", (user,)).fetchone()
    return None if row is None else str(row[0])


def derived(owner_key: str, purpose: str) -> str:
    """A secret for one purpose out of the owner's API key: so no file but the server's own database holds one."""
    return hmac.new(owner_key.encode(), purpose.encode(), hashlib.sha256).hexdigest()


def token(owner_key: str, name: str) -> str:
    """What makes the link of one clip unguessable: HMAC-SHA256 of its name."""
    return derived(derived(owner_key, "media"), name)


def path_of(owner_key: str, name: str) -> str:
    """The link of a clip as a path on the server: `/media/TOKEN/NAME`."""
    return f"{PREFIX}{token(owner_key, name)}/{quote(name)}"


def linked_name(owner_key: str, path: str) -> str | None:
    """The name of the clip that a path (without the prefix, unquoted) links to; None where it is no valid link."""
    given, _, name = path.partition("/")
    if name and _TOKEN.fullmatch(given) and hmac.compare_digest(given, token(owner_key, name)):
        return name
    return None
