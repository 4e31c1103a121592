"""The frame store: JPEGs under content and sampling, written once, read for every later use.

    ROOT/ab/abcd.../SAMPLING/index.json, 00000.jpg, 00001.jpg, ...      whole or absent
    ROOT/ab/abcd.../SAMPLING.decodes                                    one byte for each time the video was decoded

It outlives runs and may be used by several processes at once. Limits on its size belong here.
"""

from __future__ import annotations

import fcntl
import hashlib
import io
import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from hardcut.media.frames import Frame, FrameSet
from hardcut.schemas.errors import StorageError
from hardcut.schemas.ids import digest
from hardcut.schemas.settings import MediaSettings

if TYPE_CHECKING:
    from hardcut.media.sampler import Samples

SAMPLER_VERSION = 1
"""Part of every entry's name; see `sampler.py`, which is not imported here: whoever only reads needs no decoder."""
_INDEX = "index.json"


def sampling_digest(settings: MediaSettings) -> str:
    """Names a sampling by all that can change its pictures, and nothing else."""
    named = settings.model_dump(include={"fps", "max_frames", "max_pixels", "jpeg_quality", "reader", "mode"})
    return digest(SAMPLER_VERSION, named)[:20]


class FrameStore:
    """Frames by the SHA-256 of the video's bytes and the settings of the sampling."""

    def __init__(self, root: Path | str) -> None:
        self._root = Path(root)

    def get(self, sha256: str, settings: MediaSettings) -> FrameSet | None:
        """The stored frames, or None where they are not (any more) all there. Raises StorageError."""
        folder = self._folder(sha256, settings)
        try:
            index = json.loads((folder / _INDEX).read_text("utf-8"))
            frames = []
            for name, time_s, sha, size in index["frames"]:
                if (folder / name).stat().st_size != size:
                    return None
                frames.append(Frame(folder / name, time_s, sha))
        except (FileNotFoundError, NotADirectoryError, json.JSONDecodeError):
            return None
        except OSError as error:
            raise StorageError(f"the frame store {self._root} cannot be read: {error.strerror or error}") from error
        return FrameSet(tuple(frames), index["duration_s"], not index["missing"], tuple(index["missing"]))

    def fill(self, sha256: str, settings: MediaSettings, samples: Samples) -> FrameSet:
        """The stored frames; where they are not there, decodes `samples` into the store, a picture at a time.

        Of several processes that ask for the same frames one decodes and the others wait for it. Raises what the
        iteration raises, and StorageError where the disk does not take the frames; both leave nothing behind.
        """
        stored = self.get(sha256, settings)
        if stored is not None:
            return stored
        log = self._log(sha256, settings)
        try:
            log.parent.mkdir(parents=True, exist_ok=True)
            with log.open("ab") as decodes:
                fcntl.flock(decodes, fcntl.LOCK_EX)  # a killed process gives it up
                stored = self.get(sha256, settings)
                if stored is None:
                    os.write(decodes.fileno(), b".")
                    self._write(self._folder(sha256, settings), settings, samples)
                    stored = self.get(sha256, settings)
        except OSError as error:
            raise StorageError(
                f"the frame store {self._root} cannot be written ({error.strerror or error}): make room or name another"
            ) from error
        if stored is None:
            raise StorageError(
                f"frames vanished from the store {self._root} while they were written: is it being cleaned?"
            )
        return stored

    def decodes(self, sha256: str, settings: MediaSettings) -> int:
        """How many times the video was decoded for this sampling, by all processes."""
        log = self._log(sha256, settings)
        return log.stat().st_size if log.exists() else 0

    def _write(self, folder: Path, settings: MediaSettings, samples: Samples) -> None:
        """Fills a temporary folder and renames it. Under the lock: what lies there is damaged or left over."""
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
                frames.append((name, round(sample.time_s, 6), hashlib.sha256(jpeg).hexdigest(), len(jpeg)))
            index = {"frames": frames, "duration_s": round(samples.duration_s, 6), "missing": samples.missing}
            (temporary / _INDEX).write_text(json.dumps(index), "utf-8")
            if folder.exists():
                shutil.rmtree(folder)
            temporary.rename(folder)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise

    def _folder(self, sha256: str, settings: MediaSettings) -> Path:
        return self._root / sha256[:2] / sha256 / sampling_digest(settings)

    def _log(self, sha256: str, settings: MediaSettings) -> Path:
        return self._folder(sha256, settings).with_suffix(".decodes")
