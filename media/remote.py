"""Files in object stores, by fsspec: what lies under an address, and its bytes by ranges.

Only the protocols in `PROTOCOLS` are opened, and of them only what the user names. Credentials come from where the
stores' own clients look for them; none is read or written here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

from hardcut.engine.retry import Transient
from hardcut.media.file_cache import Opened
from hardcut.schemas.errors import ItemError, MissingDependency, Unreachable, UsageError

PROTOCOLS = ("s3", "gs", "hf")
"""What may stand before `://`."""
_PIECE = 8 * 2**20
"""Bytes of one request."""
_STATES = ("ETag", "etag", "generation", "lfs", "blob_id", "LastModified", "last_modified", "updated", "mtime")
"""Where the stores say that a file is another one by now; the surest first."""


class Store(NamedTuple):
    """An opened store, and the path in it that an address names."""

    files: Any
    path: str


@dataclass(frozen=True, slots=True)
class StoredRange:
    """`size` bytes of a file in a store: the whole of it, or a member of a tar in it. `name` is for messages."""

    store: Any
    path: str
    start: int
    size: int
    state: str
    whole: str
    """The state of the whole file."""
    name: str

    @contextmanager
    def open(self) -> Iterator[Opened]:
        """Reads by ranges. Raises ItemError: not_found, no_access, changed; Transient."""
        yield Opened(self.size, self._pieces())

    def _pieces(self) -> Iterator[bytes]:
        end = self.start + self.size
        for start in range(self.start, end, _PIECE):
            with errors_of_stores(self.name):
                piece = self.store.cat_file(self.path, start=start, end=min(start + _PIECE, end))
            yield piece
        if self.size > _PIECE:
            with errors_of_stores(self.name):
                self.store.invalidate_cache()
                now = state_of(self.store.info(self.path))
            if now != self.whole:
                raise ItemError("changed", f"{self.name} was written to while it was read: start the run again")


def open_store(address: str) -> Store:
    """The store of an address such as `s3://bucket/folder`. Raises UsageError, MissingDependency."""
    protocol, _, rest = address.partition("://")
    if protocol not in PROTOCOLS or not rest.strip("/") or "::" in address:
        raise UsageError(f"{address}: give an address such as {', '.join(f'{each}://…' for each in PROTOCOLS)}")
    try:
        import fsspec

        options = {} if protocol == "hf" else {"use_listings_cache": False}
        files, path = fsspec.core.url_to_fs(address, **options)
    except ImportError as error:
        raise MissingDependency(f"{protocol}:// needs another package: pip install 'hardcut[remote]'") from error
    except Exception as error:
        raise UsageError(f"{address}: cannot be opened: {_told(error)}") from error
    return Store(files, path.rstrip("/"))


def listing(address: str) -> tuple[Store, Mapping[str, Mapping[str, Any]]]:
    """All files under an address, by their names below it. Raises UsageError, MissingDependency, Unreachable."""
    store = open_store(address)
    with _errors_of_listing(address):
        found = store.files.find(store.path, detail=True)
    prefix = f"{store.path}/"
    names = {name.removeprefix(prefix): facts for name, facts in found.items() if name.startswith(prefix)}
    if not names:
        raise UsageError(f"{address}: nothing is there: check its name")
    return store, names


def matching(address: str) -> tuple[Store, Mapping[str, Mapping[str, Any]]]:
    """The files that a pattern with `*` matches, by their paths in the store. Raises as `listing`."""
    store = open_store(address)
    with _errors_of_listing(address):
        found = store.files.glob(store.path, detail=True)
    return store, {path: facts for path, facts in found.items() if facts["type"] == "file"}


def state_of(facts: Mapping[str, Any]) -> str:
    """What a store says of a file that changes with its content."""
    return next((f"{name}={facts[name]}" for name in _STATES if facts.get(name)), "")


@contextmanager
def errors_of_stores(name: str) -> Iterator[None]:
    """Turns the errors of a store into what they mean for the file `name`."""
    try:
        yield
    except (ItemError, Transient):
        raise
    except FileNotFoundError as error:
        raise ItemError("not_found", f"{name} is not there any more: start the run again") from error
    except PermissionError as error:
        raise ItemError("no_access", f"{name} may not be read: {_told(error)}") from error
    except Exception as error:
        raise Transient(f"{name} cannot be read: {_told(error)}") from error


@contextmanager
def _errors_of_listing(address: str) -> Iterator[None]:
    try:
        yield
    except (FileNotFoundError, PermissionError, ValueError) as error:
        raise UsageError(f"{address}: {_told(error)}: check its name and your credentials") from error
    except Exception as error:
        raise Unreachable(f"{address}: cannot be listed: {_told(error)}: start again") from error


def _told(error: BaseException) -> str:
    """The error in a line, without the addresses in it: they may be signed."""
    text = " ".join(word for word in str(error).split() if "://" not in word)
    return f"{type(error).__name__}: {text}"[:300]
