"""Near duplicates: which videos may be copies of one recording, by what their stored frames show.

Videos that share half of a perceptual hash (pHash, by imagehash) meet (`meetings.py`), also with the hashes that they
have cropped, mirrored, or without bars (`altered.py`). Those that meet are laid over one another (`recordings.py`).
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hardcut.media.frames import Frame
from hardcut.schemas.copies import Group

FRAMES = 32
"""Frames of a video that are compared, spread over its length."""
_SIDE, _COLUMNS = 48, 8
"""Pixels of a thumbnail's side, and thumbnails in a row of the sheet."""


@dataclass(frozen=True)
class Fingerprint:
    """What is compared of a video: seconds, pHashes (64 bits), and a JPEG sheet of thumbnails, one for each frame."""

    times: tuple[float, ...]
    hashes: tuple[int, ...]
    sheet: bytes

    @cached_property
    def thumbnails(self) -> NDArray[np.uint8]:
        """RGB, shape (frames, 48, 48, 3)."""
        sheet = np.asarray(Image.open(io.BytesIO(self.sheet)).convert("RGB"))
        rows = len(sheet) // _SIDE
        tiles = sheet.reshape(rows, _SIDE, _COLUMNS, _SIDE, 3).swapaxes(1, 2).reshape(-1, _SIDE, _SIDE, 3)
        return tiles[: len(self.times)]


def fingerprint(frames: Sequence[Frame]) -> Fingerprint:
    """Reads the stored `frames` (at least one, at most FRAMES are useful). Runs in a worker; needs imagehash."""
    import imagehash

    sheet = Image.new("RGB", (_COLUMNS * _SIDE, -(-len(frames) // _COLUMNS) * _SIDE))
    hashes = []
    for number, frame in enumerate(frames):
        with Image.open(io.BytesIO(frame.read())) as picture:
            rgb = picture.convert("RGB")
        hashes.append(int(str(imagehash.phash(rgb)), 16))
        tile = rgb.resize((_SIDE, _SIDE), Image.Resampling.BICUBIC)
        sheet.paste(tile, (number % _COLUMNS * _SIDE, number // _COLUMNS * _SIDE))
    buffer = io.BytesIO()
    sheet.save(buffer, "JPEG", quality=90)
    return Fingerprint(tuple(frame.time_s for frame in frames), tuple(hashes), buffer.getvalue())


def families(groups: Iterable[Group]) -> dict[str, str]:
    """The family of each video in a group: all copies of its recording, mirrored ones too."""
    return group_pairs(
        pair
        for each in groups
        for pair in [(each.video_id, each.group_id), *((each.video_id, id) for id in each.mirrored)]
    )


def group_pairs(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """`{video_id: group}` of all videos in `pairs`; a group bears the first id in it, by order of text."""
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        while parent.setdefault(name, name) != name:
            parent[name] = name = parent[parent[name]]
        return name

    for one, other in pairs:
        first, second = sorted((root(one), root(other)))
        parent[second] = first
    return {video_id: root(video_id) for video_id in sorted(parent)}
