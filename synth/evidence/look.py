"""What an extractor is, and what it is handed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from hardcut.engine.pool import WorkerPool
from hardcut.media.frames import Frame
from hardcut.schemas.records import Evidence, Video


@dataclass(frozen=True, slots=True)
class Look:
    """What an extractor is handed: the video and its file, its stored frames in order, and worker processes for what
    takes long or may crash."""

    video: Video
    path: Path
    frames: tuple[Frame, ...]
    pool: WorkerPool


@dataclass(frozen=True, slots=True)
class Extractor:
    """An extractor. `version` is part of the key of the stage: it is counted up whenever the extractor would find
    something else, and names the library's version where one does the work."""

    name: str
    version: str
    extract: Callable[[Look], Awaitable[list[Evidence]]]
