"""The frame store: JPEGs under content and sampling, written once, read for every later use.

    ROOT/ab/abcd.../SAMPLING/index.json, 00000.jpg, 00001.jpg, ...      whole or absent; known by digest
    ROOT/ab/abcd.../SAMPLING/touched.json                               sizes, times of change and inodes of the frames
    ROOT/ab/abcd.../SURVEY/index.json, 00000.mjpg, ...                  likewise: bursts (`survey.py`), a file each
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
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from PIL import Image

from hardcut.engine.files import atomic_writer, sha256_of
from hardcut.media.frames import Frame, FrameSet
from hardcut.media.lease import exclusive_lock, shared_lock
from hardcut.schemas.errors import StorageError
from hardcut.schemas.ids import digest
from hardcut.schemas.settings import MediaSettings

if TYPE_CHECKING:
    from hardcut.media.sampler import Pictures
    from hardcut.media.survey import Survey, Surveyor

_log = logging.getLogger(__name__)

SAMPLER_VERSION = 1
"""Part of every entry's name; see `sampler.py`, which is not imported here: a reader needs no decoder."""
SURVEY_VERSION = 1
"""The same of what `survey.py` keeps."""
DAMAGE_VERSION = 2
"""Counted up when a file that was taken for damaged is none: what is missing of an earlier entry is looked at anew."""
_INDEX = "index.json"
_TOUCHED = "touched.json"
_EVICT_TO = 0.9
"""Share of the limit that eviction leaves, so that not every new video sets it off."""


def sampling_digest(settings: MediaSettings) -> str:
    """Names a sampling by all that can change its pictures, and nothing else."""
    named = settings.model_dump(include={"fps", "max_frames", "max_pixels", "jpeg_quality", "reader", "mode"})
    return digest(SAMPLER_VERSION, named)[:20]


def survey_digest(settings: MediaSettings) -> str:
    """The same for what is looked at for cuts and movement."""
    named = settings.model_dump(include={"look_fps", "look_s", "mode"})
    return digest("survey", SURVEY_VERSION, named)[:20]


def former_survey_digest(settings: MediaSettings) -> str:
    """The digest of what earlier versions looked at for these settings: by default 96 s of a longer video."""
    if settings.look_s != MediaSettings().look_s:
        return survey_digest(settings)
    return survey_digest(settings.model_copy(update={"look_s": 96.0}))


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
    survey: dict[str, Any] | None = None
    """Of a survey: its cuts, what was watched, and the times and sizes of its bursts."""
    digest: str = ""
    damage: int = 1
    """The DAMAGE_VERSION under which it was written."""

    @property
    def right_digest(self) -> str:
        """The digest of the rest."""
        rest = (self.frames, self.duration_s, self.missing)
        return digest(*rest) if self.survey is None else digest(*rest, self.survey)

    def frame_set(self, folder: Path) -> FrameSet:
        """The frames, in order."""
        frames = tuple(Frame(folder / entry.name, entry.time_s, entry.sha256) for entry in self.frames)
        return FrameSet(frames, self.duration_s, not self.missing, tuple(self.missing))


_Ended = tuple[float, list[str], dict[str, Any] | None]
"""What is known when all files are written: the seconds, what is missing, and what a survey says."""


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
        folder = self._folder(sha256, sampling_digest(settings))
        index = self._index(folder)
        return None if index is None else index.frame_set(folder)

    def get_survey(self, sha256: str, settings: MediaSettings) -> Survey | None:
        """As `get`, what is kept for movement and cuts."""
        from hardcut.media.cuts import Cut
        from hardcut.media.survey import Burst, Survey

        folder = self._folder(sha256, survey_digest(settings))
        index = self._index(folder)
        if index is None or index.survey is None:
            return None
        bursts = tuple(
            Burst(folder / entry.name, tuple(times), tuple(sizes), start_s, end_s)
            for entry, (start_s, end_s, times, sizes) in zip(index.frames, index.survey["bursts"], strict=True)
        )
        watched = tuple((start_s, end_s) for start_s, end_s in index.survey["watched"])
        return Survey(bursts, tuple(Cut(*cut) for cut in index.survey["cuts"]), watched, index.duration_s)

    def fill(self, sha256: str, settings: MediaSettings, samples: Pictures) -> FrameSet:
        """The stored frames; where they are not there, decodes `samples` into the store, a picture at a time.

        Of several processes that ask for the same frames one decodes and the others wait for it. Raises what the
        iteration raises, and StorageError where the disk does not take the frames; both leave nothing behind.
        """

        def write(folder: Path) -> int:
            def ended() -> _Ended:
                return round(samples.duration_s, 6), list(samples.missing), None

            return self._write(folder, _jpegs(samples, settings.jpeg_quality), ended)

        found: FrameSet = self._filled(sha256, sampling_digest(settings), lambda: self.get(sha256, settings), write)
        return found

    def fill_with_survey(
        self, sha256: str, settings: MediaSettings, samples: Callable[[Surveyor | None], Pictures]
    ) -> tuple[FrameSet, Survey]:
        """As `fill`, and the survey: one pass gives both. Where only one is stored, the other is decoded alone."""
        from hardcut.media.survey import Surveyor

        def write(folder: Path) -> int:
            surveyor = Surveyor(settings)
            pictures = samples(surveyor)
            if self.get(sha256, settings) is None:
                self.fill(sha256, settings, pictures)
            else:
                for _ in pictures:
                    pass
            files = ((f"{number:05d}.mjpg", burst.times[0], b"".join(burst.jpegs))
                     for number, burst in enumerate(surveyor.bursts))  # fmt: skip

            def ended() -> _Ended:
                return round(pictures.duration_s, 6), list(pictures.missing), surveyor.facts(pictures.duration_s)

            return self._write(folder, files, ended)

        survey: Survey = self._filled(sha256, survey_digest(settings), lambda: self.get_survey(sha256, settings), write)
        return self.fill(sha256, settings, samples(None)), survey

    def decodes(self, sha256: str, settings: MediaSettings) -> int:
        """How many times the video was decoded for this sampling, by all processes."""
        return self._decodes(sha256, sampling_digest(settings))

    def surveys(self, sha256: str, settings: MediaSettings) -> int:
        """How many times the video was decoded for its survey; where that gave its frames too, it is the same time."""
        return self._decodes(sha256, survey_digest(settings))

    def _decodes(self, sha256: str, name: str) -> int:
        log = self._log(sha256, name)
        return log.stat().st_size if log.exists() else 0

    def _index(self, folder: Path) -> _Index | None:
        """The index of an entry that is all there and as it was written."""
        try:
            index = _read_index(folder)
            if index is None or (index.missing and index.damage < DAMAGE_VERSION) or not _sound(folder, index.frames):
                return None
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StorageError(f"the frame store {self._root} cannot be read: {error.strerror or error}") from error
        with suppress(OSError):  # a store that may only be read is used without being told
            if not index.digest:
                _write_index(folder, index)
            os.utime(folder / _INDEX)
        return index

    def _filled(self, sha256: str, name: str, get: Callable[[], Any], write: Callable[[Path], int]) -> Any:
        stored = get()
        if stored is not None:
            return stored
        with self.lease(sha256):
            try:
                with self._log(sha256, name).open("ab") as decodes:
                    fcntl.flock(decodes, fcntl.LOCK_EX)  # a killed process gives it up
                    stored = get()
                    if stored is None:
                        os.write(decodes.fileno(), b".")
                        written = write(self._folder(sha256, name))
                        stored = get()
                        self._account(written)
            except OSError as error:
                raise self._unwritable(error) from error
        if stored is None:
            raise StorageError(
                f"frames vanished from the store {self._root} while they were written: is it being cleaned?"
            )
        return stored

    def _write(self, folder: Path, files: Iterable[tuple[str, float, bytes]], ended: Callable[[], _Ended]) -> int:
        """Fills a temporary folder with files (name, seconds, bytes), asks what is known at their end, writes the index
        and renames the folder; returns the bytes of the files.

        Under the lock: what lies there is damaged or left over.
        """
        for leftover in folder.parent.glob(f".{folder.name}.*"):
            shutil.rmtree(leftover)
        temporary = folder.with_name(f".{folder.name}.{os.getpid()}")
        temporary.mkdir()
        try:
            frames = []
            for name, time_s, content in files:
                (temporary / name).write_bytes(content)
                frames.append(_Entry(name, round(time_s, 6), hashlib.sha256(content).hexdigest(), len(content)))
            _write_index(temporary, _Index(frames, *ended(), damage=DAMAGE_VERSION))
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

    def _folder(self, sha256: str, name: str) -> Path:
        return self._root / sha256[:2] / sha256 / name

    def _log(self, sha256: str, name: str) -> Path:
        return self._folder(sha256, name).with_suffix(".decodes")


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


def _jpegs(samples: Pictures, quality: int) -> Iterator[tuple[str, float, bytes]]:
    for number, sample in enumerate(samples):
        buffer = io.BytesIO()
        Image.fromarray(sample.image).save(buffer, "JPEG", quality=quality)
        yield f"{number:05d}.jpg", sample.time_s, buffer.getvalue()
