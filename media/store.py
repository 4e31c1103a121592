"""The frame store: JPEGs under content and sampling, written once, read for every later use.

    ROOT/ab/abcd.../SAMPLING/index.json, 00000.jpg, 00001.jpg, ...      whole or absent
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
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from PIL import Image

from hardcut.media.frames import Frame, FrameSet
from hardcut.media.lease import alone, shared
from hardcut.schemas.errors import StorageError
from hardcut.schemas.ids import digest
from hardcut.schemas.settings import MediaSettings

if TYPE_CHECKING:
    from hardcut.media.sampler import Pictures
    from hardcut.media.survey import Survey, Surveyor

SAMPLER_VERSION = 1
"""Part of every entry's name; see `sampler.py`, which is not imported here: whoever only reads needs no decoder."""
SURVEY_VERSION = 1
"""The same of what `survey.py` keeps."""
_INDEX = "index.json"
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


class _Entry(NamedTuple):
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
        held = shared(self._root / sha256[:2] / sha256 / "lease")
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
        if index is None:
            return None
        frames = tuple(Frame(folder / name, time_s, sha) for name, time_s, sha, _ in index["frames"])
        return FrameSet(frames, index["duration_s"], not index["missing"], tuple(index["missing"]))

    def get_survey(self, sha256: str, settings: MediaSettings) -> Survey | None:
        """As `get`, what is kept for movement and cuts."""
        from hardcut.media.cuts import Cut
        from hardcut.media.survey import Burst, Survey

        folder = self._folder(sha256, survey_digest(settings))
        index = self._index(folder)
        if index is None:
            return None
        bursts = tuple(
            Burst(folder / file[0], tuple(times), tuple(sizes), start_s, end_s)
            for file, (start_s, end_s, times, sizes) in zip(index["frames"], index["bursts"], strict=True)
        )
        watched = tuple((start_s, end_s) for start_s, end_s in index["watched"])
        return Survey(bursts, tuple(Cut(*cut) for cut in index["cuts"]), watched, index["duration_s"])

    def fill(self, sha256: str, settings: MediaSettings, samples: Pictures) -> FrameSet:
        """The stored frames; where they are not there, decodes `samples` into the store, a picture at a time.

        Of several processes that ask for the same frames one decodes and the others wait for it. Raises what the
        iteration raises, and StorageError where the disk does not take the frames; both leave nothing behind.
        """

        def write(folder: Path) -> int:
            return self._write(folder, _jpegs(samples, settings.jpeg_quality), lambda: _ended(samples))

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
            return self._write(folder, files, lambda: surveyor.facts(pictures.duration_s))

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

    def _index(self, folder: Path) -> Any:
        try:
            index = json.loads((folder / _INDEX).read_text("utf-8"))
            if any((folder / name).stat().st_size != size for name, _, _, size in index["frames"]):
                return None
        except (FileNotFoundError, NotADirectoryError, json.JSONDecodeError):
            return None
        except OSError as error:
            raise StorageError(f"the frame store {self._root} cannot be read: {error.strerror or error}") from error
        with suppress(OSError):  # a store that may only be read is used without being told
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

    def _write(
        self, folder: Path, files: Iterable[tuple[str, float, bytes]], facts: Callable[[], dict[str, Any]]
    ) -> int:
        """Fills a temporary folder with files (name, seconds, bytes), writes an index with `facts` and renames it;
        returns the bytes of the files.

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
                frames.append((name, round(time_s, 6), hashlib.sha256(content).hexdigest(), len(content)))
            (temporary / _INDEX).write_text(json.dumps({"frames": frames, **facts()}), "utf-8")
            if folder.exists():
                shutil.rmtree(folder)
            temporary.rename(folder)
            return sum(size for *_, size in frames)
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

    def _entries(self) -> Iterator[_Entry]:
        """What is stored. What killed processes left is removed on the way."""
        for folder in self._root.glob("*/*/*"):
            if folder.name.startswith("."):
                self._remove(folder)
                continue
            try:
                index = json.loads((folder / _INDEX).read_text("utf-8"))
                used_ns = (folder / _INDEX).stat().st_mtime_ns
            except (OSError, json.JSONDecodeError):
                continue  # a file, or an entry that is being replaced: `get` does not give it either
            yield _Entry(used_ns, folder, sum(size for *_, size in index["frames"]))

    def _remove(self, folder: Path) -> bool:
        """Removes a folder of frames unless somebody reads or writes it."""
        sampling = folder.name.split(".")[1] if folder.name.startswith(".") else folder.name
        with alone(folder.parent / "lease") as unused, alone(folder.parent / f"{sampling}.decodes") as idle:
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


def _jpegs(samples: Pictures, quality: int) -> Iterator[tuple[str, float, bytes]]:
    for number, sample in enumerate(samples):
        buffer = io.BytesIO()
        Image.fromarray(sample.image).save(buffer, "JPEG", quality=quality)
        yield f"{number:05d}.jpg", sample.time_s, buffer.getvalue()


def _ended(samples: Pictures) -> dict[str, Any]:
    return {"duration_s": round(samples.duration_s, 6), "missing": samples.missing}
