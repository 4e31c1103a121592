"""The frame store: JPEGs under content and sampling, written once, read for every later use.

    ROOT/ab/abcd.../SAMPLING/index.json, 00000.jpg, 00001.jpg, ...      whole or absent; known by digest
    ROOT/ab/abcd.../SAMPLING/touched.json                               sizes, times of change and inodes of the frames
    ROOT/ab/abcd.../SAMPLING.decodes                                    one byte for each time the video was decoded
    ROOT/ab/abcd.../lease                                               locked by those who are using the frames
    ROOT/size                                                           bytes of all frames, as far as is known

It outlives runs and may be used by several processes at once. With a limit on its size, what was not used for longest
goes first, and nothing goes that somebody holds a lease on.
"""

from __future__ import annotations

import fcntl
import hashlib
import io
import json
import logging
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from PIL import Image

from hardcut.engine.files import atomic_writer, sha256_of
from hardcut.media.frames import Frame, FrameSet
from hardcut.media.lease import exclusive_lock, shared_lock
from hardcut.schemas.errors import StorageError
from hardcut.schemas.ids import digest
from hardcut.schemas.settings import MediaSettings

if TYPE_CHECKING:
    from hardcut.media.sampler import Pictures

_log = logging.getLogger(__name__)

SAMPLER_VERSION = 1
"""Part of every entry's name; see `sampler.py`, which is not imported here: a reader needs no decoder."""
_INDEX = "index.json"
_TOUCHED = "touched.json"
_EVICT_TO = 0.9
"""Share of the limit that eviction leaves, so that not every new video sets it off."""


def sampling_digest(settings: MediaSettings) -> str:
    """Names a sampling by all that can change its pictures, and nothing else."""
    named = settings.model_dump(include={"fps", "max_frames", "max_pixels", "jpeg_quality", "reader", "mode"})
    return digest(SAMPLER_VERSION, named)[:20]


class _Entry(NamedTuple):
    """A frame's file, its second, its digest and its bytes."""

    name: str
    time_s: float
    sha256: str
    size: int


@dataclass
class _Index:
    """What `index.json` says of a sampling's frames. Earlier versions wrote no digest of it."""

    frames: list[_Entry]
    duration_s: float
    missing: list[str]
    digest: str = ""

    @property
    def right_digest(self) -> str:
        """The digest of the rest."""
        return digest(self.frames, self.duration_s, self.missing)

    def frame_set(self, folder: Path) -> FrameSet:
        """The frames, in order."""
        frames = tuple(Frame(folder / entry.name, entry.time_s, entry.sha256) for entry in self.frames)
        return FrameSet(frames, self.duration_s, not self.missing, tuple(self.missing))


class _Sampling(NamedTuple):
    """A stored sampling: when it was used last (ns), its folder, and the bytes of its frames."""

    used_ns: int
    folder: Path
    size: int


class FrameStore:
    """Frames by the SHA-256 of the video's bytes and the settings of the sampling, in at most `limit_bytes`."""

    def __init__(self, root: Path | str, limit_bytes: int | None = None) -> None:
        self._root = Path(root)
        self._limit = limit_bytes

    @contextmanager
    def lease(self, sha256: str) -> Iterator[None]:
        """While this is held, by any process that lives, no frames of the video are evicted. Raises StorageError."""
        held = shared_lock(self._root / sha256[:2] / sha256 / "lease")
        try:
            held.__enter__()
        except OSError as error:
            raise self._unwritable(error) from error
        try:
            yield
        finally:
            held.__exit__(None, None, None)

    def get(self, sha256: str, settings: MediaSettings) -> FrameSet | None:
        """The stored frames, or None where they are not (any more) all there. Raises StorageError.

        They stay as long as a lease that was taken before is held.
        """
        folder = self._folder(sha256, settings)
        try:
            index = _read_index(folder)
            if index is None or not _sound(folder, index.frames):
                return None
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StorageError(f"the frame store {self._root} cannot be read: {error.strerror or error}") from error
        with suppress(OSError):  # a store that may only be read is used without being told
            if not index.digest:
                _write_index(folder, index)
            os.utime(folder / _INDEX)
        return index.frame_set(folder)

    def fill(self, sha256: str, settings: MediaSettings, samples: Pictures) -> FrameSet:
        """The stored frames; where they are not there, decodes `samples` into the store, a picture at a time.

        Of several processes that ask for the same frames one decodes and the others wait for it. Raises what the
        iteration raises, and StorageError where the disk does not take the frames; both leave nothing behind.
        """
        stored = self.get(sha256, settings)
        if stored is not None:
            return stored
        log = self._log(sha256, settings)
        with self.lease(sha256):
            try:
                with log.open("ab") as decodes:
                    fcntl.flock(decodes, fcntl.LOCK_EX)  # a killed process gives it up
                    stored = self.get(sha256, settings)
                    if stored is None:
                        os.write(decodes.fileno(), b".")
                        written = self._write(self._folder(sha256, settings), settings, samples)
                        stored = self.get(sha256, settings)
                        self._account(written)
            except OSError as error:
                raise self._unwritable(error) from error
        if stored is None:
            raise StorageError(
                f"frames vanished from the store {self._root} while they were written: is it being cleaned?"
            )
        return stored

    def decodes(self, sha256: str, settings: MediaSettings) -> int:
        """How many times the video was decoded for this sampling, by all processes."""
        log = self._log(sha256, settings)
        return log.stat().st_size if log.exists() else 0

    def _write(self, folder: Path, settings: MediaSettings, samples: Pictures) -> int:
        """Fills a temporary folder and renames it; returns the bytes of the frames.

        Under the lock: what lies there is damaged or left over.
        """
        for leftover in folder.parent.glob(f".{folder.name}.*"):
            shutil.rmtree(leftover)
        temporary = folder.with_name(f".{folder.name}.{os.getpid()}")
        temporary.mkdir()
        try:
            frames = []
            for number, sample in enumerate(samples):
                buffer = io.BytesIO()
                Image.fromarray(sample.image).save(buffer, "JPEG", quality=settings.jpeg_quality)
                jpeg = buffer.getvalue()
                name = f"{number:05d}.jpg"
                (temporary / name).write_bytes(jpeg)
                sha = hashlib.sha256(jpeg).hexdigest()
                frames.append(_Entry(name, round(sample.time_s, 6), sha, len(jpeg)))
            _write_index(temporary, _Index(frames, round(samples.duration_s, 6), list(samples.missing)))
            _write_touched(temporary, [_touched(temporary / entry.name) for entry in frames])
            if folder.exists():
                shutil.rmtree(folder)
            temporary.rename(folder)
            return sum(entry.size for entry in frames)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise

    def _account(self, written: int) -> None:
        """Counts what was written and, above the limit, evicts. The count is corrected by each eviction."""
        with (self._root / "size").open("a+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            known = file.read()
            total = written + int(known) if known.isdigit() else None
            if self._limit is not None and (total is None or total > self._limit):
                total = self._evict(self._limit)
            if total is not None:
                file.truncate(0)
                file.write(str(total).encode())

    def _evict(self, limit: int) -> int:
        """Removes entries, least recently used first, until `_EVICT_TO` of the limit; returns the bytes that remain."""
        entries = sorted(self._entries())
        total = sum(entry.size for entry in entries)
        for entry in entries if total > limit else ():
            if total <= limit * _EVICT_TO:
                break
            if self._remove(entry.folder):
                total -= entry.size
        return total

    def _entries(self) -> Iterator[_Sampling]:
        """What is stored. What killed processes left is removed on the way."""
        for folder in self._root.glob("*/*/*"):
            if folder.name.startswith("."):
                self._remove(folder)
                continue
            try:
                index = _read_index(folder)
                used_ns = (folder / _INDEX).stat().st_mtime_ns
            except OSError:
                continue  # a file, or an entry that is being replaced
            size = sum(entry.size for entry in index.frames) if index else 0
            yield _Sampling(used_ns, folder, size)

    def _remove(self, folder: Path) -> bool:
        """Removes a folder of frames unless somebody reads or writes it."""
        sampling = folder.name.split(".")[1] if folder.name.startswith(".") else folder.name
        with (
            exclusive_lock(folder.parent / "lease") as unused,
            exclusive_lock(folder.parent / f"{sampling}.decodes") as idle,
        ):
            if unused and idle:
                shutil.rmtree(folder)
            return unused and idle

    def _unwritable(self, error: OSError) -> StorageError:
        reason = error.strerror or error
        return StorageError(f"the frame store {self._root} cannot be written ({reason}): make room or name another")

    def _folder(self, sha256: str, settings: MediaSettings) -> Path:
        return self._root / sha256[:2] / sha256 / sampling_digest(settings)

    def _log(self, sha256: str, settings: MediaSettings) -> Path:
        return self._folder(sha256, settings).with_suffix(".decodes")


def _read_index(folder: Path) -> _Index | None:
    """The index of a sampling's folder, None for one that is not what was written. Raises OSError."""
    try:
        found = json.loads((folder / _INDEX).read_text("utf-8"))
        index = _Index(**{**found, "frames": [_Entry(*entry) for entry in found["frames"]]})
        sound = index.digest in ("", index.right_digest)
    except NotADirectoryError:
        return None
    except (ValueError, TypeError, KeyError):
        sound = False
    if not sound:
        _log.warning("%s is not what was written: its video is decoded again", folder / _INDEX)
        return None
    return index


def _write_index(folder: Path, index: _Index) -> None:
    with atomic_writer(folder / _INDEX) as file:
        json.dump(asdict(index) | {"digest": index.right_digest}, file)


def _sound(folder: Path, frames: Sequence[_Entry]) -> bool:
    """Whether the frames are those that were stored. Only what was touched since it was read last is read again.

    Raises OSError.
    """
    try:
        known = json.loads((folder / _TOUCHED).read_text("utf-8"))
    except (FileNotFoundError, ValueError):  # of an earlier version, or damaged: everything is read
        known = []
    touched = [_touched(folder / entry.name) for entry in frames]
    if touched == known:
        return True
    for at, entry in enumerate(frames):
        path = folder / entry.name
        if touched[at] not in known[at : at + 1] and sha256_of(path) != entry.sha256:
            _log.warning("%s does not fit its digest: its video is decoded again", path)
            return False
    with suppress(OSError):  # a store that may only be read
        _write_touched(folder, touched)
    return True


def _write_touched(folder: Path, touched: Sequence[Sequence[int]]) -> None:
    """Keeps the state of the frames' files at which they were seen to fit their digests."""
    with atomic_writer(folder / _TOUCHED) as file:
        json.dump(touched, file)


def _touched(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns, status.st_ino]
