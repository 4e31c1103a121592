"""Near duplicates: re-encoded, scaled and trimmed copies of one recording, found by what their stored frames show.

Videos that share half of a perceptual hash (pHash, by imagehash) meet; those that meet are laid over one another in
time. They are copies where the shorter lies in the longer as a whole and, at every moment, shows the same picture: as
a whole and in colour (averaged over seconds, so that fast motion between two frames evens out), and in every detail
(a lasting difference somewhere in the picture counts, a passing one does not). A clip and its reverse, or two clips of
one template, differ in one or the other. A crop of more than a few pixels is not recognised.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hardcut.media.frames import Frame
from hardcut.schemas.records import Signature

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
_SLACK_S = 0.3
"""How far the shorter video may stick out of the longer, in seconds."""
_STEP_S = 0.0625
_WHOLE_S = 2.0
_WHOLE_LEVELS = 12.7
"""Levels of 255 by which an eighth by an eighth of the picture may differ, averaged over two seconds."""
_BACKWARDS = 0.85
"""A video that fits this much better when the other runs in reverse is its twin and no copy."""
_DETAIL_CELLS = 2
_DETAIL_LEVELS = 22.0
"""Levels by which the two worst cells of 48 x 48 may differ. Chosen on one rendered world, checked on another."""


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


def candidate_pairs(hashes: Mapping[str, Hashes]) -> Iterator[tuple[str, str]]:
    """The pairs of videos (ids in order, sorted, each once) that are worth a closer look. The others never meet.

    Time and memory grow with the videos and not with their pairs: what is compared is sorted, one part after another.
    """
    ids = sorted(hashes)
    found = [np.unique(np.asarray(hashes[video_id], dtype=np.uint64)) for video_id in ids]
    values = np.concatenate(found) if found else np.empty(0, np.uint64)
    owners = np.repeat(np.arange(len(ids), dtype=np.uint32), [len(each) for each in found])
    del found
    parts = list(zip(np.cumsum((0, *_BANDS[:-1])).tolist(), _BANDS, strict=True))
    met = []
    for chosen in combinations(parts, _TOGETHER):
        keys = np.zeros_like(values)
        for start, bits in chosen:
            keys <<= np.uint64(bits)
            keys |= values >> np.uint64(start) & np.uint64((1 << bits) - 1)
        met.append(_codes(keys, owners))
    for here, there in _pairs(np.unique(np.concatenate(met))):
        one, other = ids[here], ids[there]
        if look_alike(hashes[one], hashes[other]):
            yield one, other


def pairs_with_shared_key(keys: Sequence[int], owners: Sequence[int]) -> Iterator[tuple[int, int]]:
    """The pairs of owners (numbers from 0) that share a key, smaller first, sorted, each once. A key that more than
    `CROWD` share brings nobody together. Of the keys, digests, the last 33 bits count."""
    return _pairs(_codes(np.asarray(keys, np.uint64) & np.uint64((1 << _KEY_BITS) - 1), np.asarray(owners)))


def _codes(keys: NDArray[np.uint64], owners: NDArray[Any]) -> NDArray[np.uint64]:
    """As `meetings`, each pair as one number."""
    low = np.uint64(64 - _KEY_BITS)
    packed = np.unique(keys << low | owners.astype(np.uint64))
    keys, owners = packed >> low, packed & np.uint64((1 << int(low)) - 1)
    starts = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]])) if len(keys) else np.empty(0, np.intp)
    sizes = np.diff(np.concatenate([starts, [len(keys)]]))
    codes = [np.empty(0, np.uint64)]
    for size in range(2, CROWD + 1):
        members = owners[starts[sizes == size][:, None] + np.arange(size)]
        first, second = np.triu_indices(size, 1)
        codes.append((members[:, first] << np.uint64(32) | members[:, second]).ravel())
    return np.unique(np.concatenate(codes))


def _pairs(codes: NDArray[np.uint64]) -> Iterator[tuple[int, int]]:
    for start in range(0, len(codes), 4096):
        for code in codes[start : start + 4096].tolist():
            yield code >> 32, code & 0xFFFFFFFF


def same_recording(one: Fingerprint, other: Fingerprint) -> bool:
    """Whether one is a copy of the other, or of a part of it."""
    short, long = sorted((_Film(one), _Film(other)), key=lambda film: film.length_s)
    offsets = np.arange(
        long.times[0] - short.times[0] - _SLACK_S, long.times[-1] - short.times[-1] + _SLACK_S + 1e-9, _STEP_S
    )
    forwards, backwards = (
        min(short.mean_apart(film, offset) for offset in offsets.tolist()) for film in (long, long.reversed())
    )
    if backwards < _BACKWARDS * forwards:
        return False
    apart = sorted((short.whole_apart(long, offset), offset) for offset in offsets.tolist())
    return any(
        whole <= _WHOLE_LEVELS and short.detail_apart(long, offset) <= _DETAIL_LEVELS for whole, offset in apart[:4]
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


def _toned(given: NDArray[np.float32], wanted: NDArray[np.float32]) -> Callable[[NDArray[np.float32]], Any]:
    """The brightness and contrast that bring `given` closest to `wanted`, within what an encoder can have changed."""
    mean, wanted_mean = given.mean(), wanted.mean()
    gain = float(((given - mean) * (wanted - wanted_mean)).mean() / max(float(given.var()), 1.0))
    gain = min(max(gain, 0.8), 1.25)
    bias = min(max(float(wanted_mean - gain * mean), -40.0), 40.0)
    return lambda levels: levels * gain + bias


class _Film:
    """A fingerprint made ready for comparison: its whole pictures, and the bounds of each detail around each moment."""

    def __init__(self, given: Fingerprint) -> None:
        from scipy.ndimage import maximum_filter, minimum_filter

        self.times = np.array(given.times)
        self.length_s = given.times[-1] - given.times[0]
        tiles = given.thumbnails.astype(np.float32)
        count, part = len(tiles), _SIDE // 8
        self.whole = tiles.reshape(count, 8, part, 8, part, 3).mean(axis=(2, 4)).reshape(count, -1)
        luma = tiles @ np.array([0.299, 0.587, 0.114], dtype=np.float32)
        low, high = minimum_filter(luma, (3, 1, 1)), maximum_filter(luma, (3, 1, 1))
        self.low, self.high = low.reshape(count, -1), high.reshape(count, -1)
        # A cell's neighbours bound it too: a copy of another size is not cut into the same cells.
        self.lower = minimum_filter(low, (1, 3, 3)).reshape(count, -1)
        self.higher = maximum_filter(high, (1, 3, 3)).reshape(count, -1)

    def reversed(self) -> _Film:
        """The film in reverse, over the same stretch of time."""
        film = copy(self)
        film.times = (self.times[0] + self.times[-1]) - self.times[::-1]
        film.whole = self.whole[::-1]
        return film

    def mean_apart(self, other: _Film, offset: float) -> float:
        """The mean difference of eighths by eighths; `other` runs `offset` seconds late."""
        return float(np.abs(self._differences(other, offset)).mean())

    def whole_apart(self, other: _Film, offset: float) -> float:
        """The largest difference of an eighth by an eighth, averaged over time; `other` runs `offset` seconds late."""
        differences = self._differences(other, offset)
        step = self.length_s / max(1, len(self.times) - 1)
        count = min(len(self.times), max(1, round(_WHOLE_S / step))) if step else 1
        sums = np.cumsum(np.vstack([np.zeros_like(differences[:1]), differences]), axis=0)
        return float(np.abs(sums[count:] - sums[:-count]).max() / count)

    def detail_apart(self, other: _Film, offset: float) -> float:
        """The largest difference of single cells that lasts for two frames and that no neighbour explains."""
        before, after, share = self._meets(other, offset)
        near = np.where(share > 0.5, after, before)
        toned = _toned(other.low[near], self.low)
        low, high, lower, higher = (toned(bound[near]) for bound in (other.low, other.high, other.lower, other.higher))
        gaps = np.maximum.reduce(
            [self.low - higher, lower - self.high, low - self.higher, self.lower - high, np.zeros_like(self.low)]
        )
        lasting = np.minimum(gaps[:-1], gaps[1:]) if len(gaps) > 1 else gaps
        return float(np.partition(lasting, -_DETAIL_CELLS, axis=1)[:, -_DETAIL_CELLS:].mean(axis=1).max())

    def _differences(self, other: _Film, offset: float) -> NDArray[np.float32]:
        before, after, share = self._meets(other, offset)
        weight = share[:, None].astype(np.float32)
        met: NDArray[np.float32] = other.whole[before] * (1 - weight) + other.whole[after] * weight
        for channel in range(3):  # an encoder may have taken the colours for others (range, matrix)
            met[:, channel::3] = _toned(met[:, channel::3], self.whole[:, channel::3])(met[:, channel::3])
        differences: NDArray[np.float32] = self.whole - met
        return differences

    def _meets(self, other: _Film, offset: float) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]:
        """The other's frames before and after each of ours, and how far between the two ours is (0..1)."""
        times = self.times + offset
        after = np.clip(np.searchsorted(other.times, times), 0, len(other.times) - 1)
        before = np.maximum(after - 1, 0)
        between = np.maximum(other.times[after] - other.times[before], 1e-9)
        return before, after, np.clip((times - other.times[before]) / between, 0, 1)
