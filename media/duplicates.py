"""Near duplicates: which videos may be copies of one recording, by what their stored frames show.

Videos that share half of a perceptual hash (pHash, by imagehash) meet, also with the hashes that they have cropped,
mirrored, or without bars (`altered.py`). Those that meet are laid over one another (`recordings.py`).
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hardcut.media.frames import Frame
from hardcut.schemas.records import Group, Signature

Hashes = Sequence[int] | NDArray[np.uint64]
"""pHashes of 64 bits."""
FRAMES = 32
"""Frames of a video that are compared, spread over its length."""
_SIDE, _COLUMNS = 48, 8
"""Pixels of a thumbnail's side, and thumbnails in a row of the sheet."""
_BANDS = (11, 11, 11, 11, 10, 10)
_TOGETHER = 3
"""Bits of the parts of a hash. Videos meet where three of the six parts are the same in a frame of either: so of two
hashes that differ in 4 bits seven in ten meet, and of a million others hardly any."""
_KEY_BITS = 33
CROWD = 64
"""What more videos share says nothing (a black picture, say) and brings nobody together."""
_HASH_BITS = 14
"""Bits of 64 that the hashes of half the frames may be apart."""


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


def hashes_of(signatures: Iterable[Signature]) -> dict[str, NDArray[np.uint64]]:
    """The hashes of each video."""
    return {each.video_id: np.array([int(value, 16) for value in each.hashes], dtype=np.uint64) for each in signatures}


def candidate_pairs(
    hashes: Mapping[str, Hashes], altered: Mapping[str, Sequence[Hashes] | NDArray[np.uint64]] | None = None
) -> Iterator[tuple[str, str]]:
    """The pairs of videos (ids in order, sorted, each once) that are worth a closer look. The others never meet.

    `altered`: the hashes that a video has when it is cropped, mirrored and so on, a list for each of these ways. They
    meet the hashes of other videos. Time and memory grow with the videos and not with their pairs: what is compared is
    sorted, one part after another.
    """
    ids = sorted(hashes)
    views = [(place, hashes[video_id]) for place, video_id in enumerate(ids)]
    views += [(place, way) for place, video_id in enumerate(ids) for way in (altered or {}).get(video_id, ())]
    video_of = np.array([place for place, _ in views], dtype=np.uint64)
    found = [np.unique(np.asarray(each, dtype=np.uint64)) for _, each in views]
    values = np.concatenate(found) if found else np.empty(0, np.uint64)
    owners = np.repeat(np.arange(len(views), dtype=np.uint32), [len(each) for each in found])
    del found
    parts = list(zip(np.cumsum((0, *_BANDS[:-1])).tolist(), _BANDS, strict=True))
    crowd = CROWD if len(views) == len(ids) else 2 * CROWD
    met = []
    for chosen in combinations(parts, _TOGETHER):
        keys = np.zeros_like(values)
        for start, bits in chosen:
            keys <<= np.uint64(bits)
            keys |= values >> np.uint64(start) & np.uint64((1 << bits) - 1)
        codes = _codes(keys, owners, crowd)
        first, second = codes >> np.uint64(32), codes & np.uint64(0xFFFFFFFF)
        met.append(codes[(first < len(ids)) & (video_of[first] != video_of[second])] if len(codes) else codes)
    alike: set[tuple[int, int]] = set()
    for plain, there in _pairs(np.unique(np.concatenate(met))):
        pair = (plain, views[there][0]) if plain < views[there][0] else (views[there][0], plain)
        if pair not in alike and look_alike(views[plain][1], views[there][1]):
            alike.add(pair)
    for one, other in sorted(alike):
        yield ids[one], ids[other]


def pairs_with_shared_key(keys: Sequence[int], owners: Sequence[int]) -> Iterator[tuple[int, int]]:
    """The pairs of owners (numbers from 0) that share a key, smaller first, sorted, each once. A key that more than
    `CROWD` share brings nobody together. Of the keys, digests, the last 33 bits count."""
    return _pairs(_codes(np.asarray(keys, np.uint64) & np.uint64((1 << _KEY_BITS) - 1), np.asarray(owners)))


def _codes(keys: NDArray[np.uint64], owners: NDArray[Any], crowd: int = CROWD) -> NDArray[np.uint64]:
    """As `meetings`, each pair as one number."""
    low = np.uint64(64 - _KEY_BITS)
    packed = np.unique(keys << low | owners.astype(np.uint64))
    keys, owners = packed >> low, packed & np.uint64((1 << int(low)) - 1)
    starts = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]])) if len(keys) else np.empty(0, np.intp)
    sizes = np.diff(np.concatenate([starts, [len(keys)]]))
    codes = [np.empty(0, np.uint64)]
    for size in range(2, crowd + 1):
        members = owners[starts[sizes == size][:, None] + np.arange(size)]
        first, second = np.triu_indices(size, 1)
        codes.append((members[:, first] << np.uint64(32) | members[:, second]).ravel())
    return np.unique(np.concatenate(codes))


def _pairs(codes: NDArray[np.uint64]) -> Iterator[tuple[int, int]]:
    for start in range(0, len(codes), 4096):
        for code in codes[start : start + 4096].tolist():
            yield code >> 32, code & 0xFFFFFFFF


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


def look_alike(one: Hashes, other: Hashes) -> bool:
    """Whether videos show the same scene by their hashes, in whatever order of time."""
    few, many = sorted((one, other), key=len)
    return _spread(few, many) <= _HASH_BITS or _spread(many, few) <= _HASH_BITS


def _spread(some: Hashes, others: Hashes) -> float:
    """The median over `some` of the bits to the nearest of `others`."""
    differing = np.array(some, dtype=np.uint64)[:, None] ^ np.array(others, dtype=np.uint64)
    apart = np.unpackbits(differing[..., None].view(np.uint8), axis=2).sum(axis=2)
    return float(np.median(apart.min(axis=1)))
