"""Files that were fetched from elsewhere, in a folder that is kept within a size.

    ROOT/SOURCE/files/talks/one.mp4        the file, whole
    ROOT/SOURCE/files/talks/one.mp4.part   what is being fetched, as large as it will be
    ROOT/SOURCE/notes/talks/one.mp4        what is known of it; locked by those who read it or fetch it
    ROOT/size                              bytes of all files, as far as is known

It outlives runs and may be used by several processes at once. What was not used for longest goes first, sidecars last,
and nothing goes that somebody holds. The bound is hard: who finds no room waits until others let go. A file without a
note that fits it is fetched again, so a process may be killed at any moment.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import NamedTuple, Protocol

from hardcut.engine.files import sha256_of, storage_error
from hardcut.engine.retry import Transient
from hardcut.schemas.errors import ItemError

_EVICT_TO = 0.9
"""Share of the limit that eviction leaves, so that not every new file sets it off."""
_SMALL = 2**15
"""Smaller files go last: they are sidecars, free little, and are read at every start."""
_LOOK_AGAIN_S = 0.05
"""How long to wait for a file that another fetches, and for room."""


class Opened(NamedTuple):
    """A file that is being read where it lies. `size` is None where nobody says."""

    size: int | None
    pieces: Iterator[bytes]


class Origin(Protocol):
    """Where a file lies. `state` changes whenever its content may have."""

    @property
    def state(self) -> str: ...

    def open(self) -> AbstractContextManager[Opened]:
        """Begins to read. It and the pieces raise ItemError, or Transient where it may work the next time."""
        ...


class Stopped(Exception):
    """Nobody waits for the file any more."""


@dataclass(frozen=True, slots=True)
class Held:
    """A file that stays where it is until it is let go."""

    path: Path
    sha256: str
    descriptor: int

    def release(self) -> None:
        """Lets go of the file."""
        os.close(self.descriptor)

    def touch(self) -> None:
        """Notes that the file is used now, by a finer clock than the file system's own."""
        now = time.time_ns()
        os.utime(self.descriptor, ns=(now, now))


@dataclass(frozen=True, slots=True)
class _Note:
    """What is known of a file: the state of its origin, and by what its content is known again."""

    state: str
    size: int
    sha256: str
    stamp: tuple[int, int, int]

    @classmethod
    def read(cls, descriptor: int) -> _Note | None:
        """The note in an open file; None where nothing, or nothing whole, was noted."""
        try:
            found = json.loads(os.pread(descriptor, 65536, 0))
            return cls(**{**found, "stamp": tuple(found["stamp"])})
        except (ValueError, TypeError, KeyError):
            return None

    def write(self, descriptor: int) -> None:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(asdict(self)).encode(), 0)

    def fits(self, path: Path) -> bool:
        """Whether the file is as it was left: nobody has to read it."""
        try:
            return self.stamp == _stamp(path) and self.size == path.stat().st_size
        except OSError:
            return False


class FileCache:
    """The files of one source in the folder `root`, which all sources share. `limit_bytes` is the size of them all,
    `max_bytes` the largest file that is fetched."""

    def __init__(self, root: Path, source: str, limit_bytes: int, max_bytes: int) -> None:
        self._shared = root
        self._limit = limit_bytes
        self._max = min(max_bytes, limit_bytes)
        self.files = root / source / "files"
        """The folder in which files are found by their names."""
        self._notes = root / source / "notes"

    def resident(self, relative: str, origin: Origin) -> Held | None:
        """The file, where it is there and nobody has to wait for it."""
        try:
            return self._take(relative, origin)
        except OSError as error:
            raise storage_error(self.files / relative, error) from error

    def hold(self, relative: str, origin: Origin, stop: threading.Event) -> Held:
        """The file, which is fetched where it is not there. Blocks.

        Raises ItemError: too_large, and what the origin raises; Transient; StorageError; Stopped soon after `stop` is
        set.
        """
        try:
            while True:
                if held := self._take(relative, origin):
                    return held
                with self._alone(self._notes / relative) as note:
                    if note is not None:
                        if not self._still(relative, origin, note):
                            self._fetch(relative, origin, note, stop)
                        fcntl.flock(note, fcntl.LOCK_SH)
                        if held := self._known(relative, origin, note):
                            return replace(held, descriptor=os.dup(note))
                if stop.wait(_LOOK_AGAIN_S):
                    raise Stopped
        except OSError as error:
            raise storage_error(self.files / relative, error) from error

    def _take(self, relative: str, origin: Origin) -> Held | None:
        """Takes hold of a file that is there, together with others."""
        try:
            descriptor = os.open(self._notes / relative, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        held = None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
            held = self._known(relative, origin, descriptor)
        except BlockingIOError:
            return None
        finally:
            if held is None:
                os.close(descriptor)
        return held

    def _known(self, relative: str, origin: Origin, descriptor: int) -> Held | None:
        """The file by its note, which is open and locked; None where it is not (any more) as it was noted."""
        note, path = self._notes / relative, self.files / relative
        found = _Note.read(descriptor) if _is(descriptor, note) else None
        if found is None or found.state != origin.state or not found.fits(path):
            return None
        held = Held(path, found.sha256, descriptor)
        held.touch()
        return held

    @contextmanager
    def _alone(self, note: Path) -> Iterator[int | None]:
        """Holds a file for oneself by its note, which is made; None where somebody else has it."""
        note.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(note, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield descriptor if _is(descriptor, note) else None
        except BlockingIOError:
            yield None
        finally:
            os.close(descriptor)

    def _still(self, relative: str, origin: Origin, note: int) -> bool:
        """Whether the file is there after all: somebody else has fetched it, or it was touched and has its digest."""
        found, path = _Note.read(note), self.files / relative
        if found is None or found.state != origin.state or not path.is_file():
            return False
        if not found.fits(path):
            if path.stat().st_size != found.size or sha256_of(path) != found.sha256:
                return False
            _Note(found.state, found.size, found.sha256, _stamp(path)).write(note)
        return True

    def _fetch(self, relative: str, origin: Origin, note: int, stop: threading.Event) -> None:
        path = self.files / relative
        draft = path.with_name(f"{path.name}.part")
        path.parent.mkdir(parents=True, exist_ok=True)
        os.ftruncate(note, 0)
        path.unlink(missing_ok=True)
        try:
            with origin.open() as opened:
                expected = self._max if opened.size is None else opened.size
                if expected > self._max:
                    raise self._too_large(f"{expected} bytes")
                self._reserve(draft, expected, stop)
                digest, size = hashlib.sha256(), 0
                with draft.open("r+b") as file:
                    for piece in opened.pieces:
                        if stop.is_set():
                            raise Stopped
                        size += len(piece)
                        if size > expected:
                            raise self._too_large("more bytes than it was said to have")
                        digest.update(piece)
                        file.write(piece)
                    if opened.size is not None and size < opened.size:
                        raise Transient(f"it broke off after {size} of {opened.size} bytes")
                    file.truncate(size)
                    file.flush()
                    os.fsync(file.fileno())
            draft.replace(path)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise
        _Note(origin.state, size, digest.hexdigest(), _stamp(path)).write(note)

    def _too_large(self, said: str) -> ItemError:
        return ItemError("too_large", f"{said}: sources.max_bytes and sources.cache_bytes allow {self._max}")

    def _reserve(self, draft: Path, need: int, stop: threading.Event) -> None:
        """Makes the draft in the size that it will have, once there is room for it."""
        while True:
            with (self._shared / "size").open("a+b") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                file.seek(0)
                known = file.read()
                total = int(known) if known.isdigit() else None
                if total is None or total + need > self._limit:
                    total = self._evict(need)
                fits = total + need <= self._limit
                if fits:
                    with draft.open("wb") as reserved:
                        reserved.truncate(need)
                    total += need
                file.truncate(0)
                file.write(str(total).encode())
            if fits:
                return
            if stop.wait(_LOOK_AGAIN_S):
                raise Stopped

    def _evict(self, need: int) -> int:
        """Removes files until there is room, those used last and sidecars last; returns the bytes that remain."""
        entries = sorted(self._entries(), key=lambda entry: (entry[1] < _SMALL, entry[0]))
        total = sum(size for _, size, _, _ in entries)
        for _, size, note, path in entries if total + need > self._limit else ():
            if total + need <= self._limit * _EVICT_TO:
                break
            with self._alone(note) as unused:
                if unused is not None:
                    path.unlink(missing_ok=True)
                    path.with_name(f"{path.name}.part").unlink(missing_ok=True)
                    note.unlink()
                    total -= size
        return total

    def _entries(self) -> Iterator[tuple[int, int, Path, Path]]:
        """What is there, of all sources: when it was used last (ns), its bytes, its note and its file."""
        for notes in self._shared.glob("*/notes"):
            for folder, _, names in os.walk(notes):
                for name in names:
                    note = Path(folder, name)
                    path = notes.with_name("files") / note.relative_to(notes)
                    sizes = [_size(path), _size(path.with_name(f"{name}.part"))]
                    with suppress(FileNotFoundError):
                        yield note.stat().st_mtime_ns, sum(sizes), note, path


def _is(descriptor: int, note: Path) -> bool:
    """Whether an open note is the one that has the name: who held it before may have removed it."""
    try:
        return os.path.samestat(os.fstat(descriptor), note.stat())
    except FileNotFoundError:
        return False


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _stamp(path: Path) -> tuple[int, int, int]:
    status = path.stat()
    return status.st_ino, status.st_mtime_ns, status.st_ctime_ns
