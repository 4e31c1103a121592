"""Which of very many videos are worth laying over one another: those whose pictures share half of a perceptual hash.

All hashes of a collection are held as numbers in a row. What shares a key is found by sorting, part by part. So memory
grows with the videos and with the pairs that meet, and time by n log n.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from hardcut.schemas.copies import Signature

Hashes = Sequence[int] | NDArray[np.uint64]
"""pHashes of 64 bits."""
Codes = NDArray[np.uint64]
"""Pairs of numbers, the smaller one in the upper half of each."""
_BANDS = (11, 11, 11, 11, 10, 10)
_TOGETHER = 3
"""Bits of the parts of a hash. Videos meet where three of the six parts are the same in a frame of either: so of two
hashes that differ in 4 bits seven in ten meet, and of a million others hardly any."""
_KEY_BITS = 33
_OWNER_BITS = 64 - _KEY_BITS
_OWNER = np.uint64((1 << _OWNER_BITS) - 1)
CROWD = 64
"""What more videos share says nothing (a black picture, say) and brings nobody together."""
_HASH_BITS = 14
"""Bits of 64 that the hashes of half the frames may be apart."""
_AT_ONCE = 1 << 20
"""Keys, and comparisons of two hashes, that are worked on at once."""


class HashTable(Mapping[str, NDArray[np.uint64]]):
    """The hashes of each video, all in one row: 8 bytes a hash and some 150 a video. A video's are of shape (frames,)
    or (ways, frames)."""

    def __init__(self, items: Iterable[tuple[str, NDArray[np.uint64]]]) -> None:
        self._places: dict[str, int] = {}
        self._values, self._starts, self._widths = array("Q"), array("Q", [0]), array("I")
        for video_id, hashes in items:
            self._places[video_id] = len(self._places)
            self._values.frombytes(np.ascontiguousarray(hashes, dtype=np.uint64).tobytes())
            self._starts.append(len(self._values))
            self._widths.append(hashes.shape[-1] if hashes.ndim > 1 else 0)

    def __getitem__(self, video_id: str) -> NDArray[np.uint64]:
        at = self._places[video_id]
        found = np.array(self._values[self._starts[at] : self._starts[at + 1]], dtype=np.uint64)
        return found.reshape(-1, self._widths[at]) if self._widths[at] else found

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


def hashes_of(signatures: Iterable[Signature]) -> HashTable:
    """The hashes of each video."""
    return HashTable(
        (each.video_id, np.frombuffer(bytes.fromhex("".join(each.hashes)), dtype=">u8")) for each in signatures
    )


def candidate_pairs(
    hashes: Mapping[str, Hashes], altered: Mapping[str, Sequence[Hashes] | NDArray[np.uint64]] | None = None
) -> Iterator[tuple[str, str]]:
    """The pairs of videos (ids in order, sorted, each once) that are worth a closer look. The others never meet.

    `altered`: the hashes that a video has when it is cropped, mirrored and so on, a list for each of these ways. They
    meet the hashes of other videos. Memory takes 30 bytes a hash, and 8 a pair that meets.
    """
    ids = sorted(hashes)
    views = _Views(ids, hashes, altered or {})
    crowd = 2 * CROWD if altered else CROWD
    met = np.empty(0, np.uint64)
    for chosen in _chosen():
        keys = views.keys(chosen)
        found = [views.of_two(codes) for codes in _codes(keys, crowd)]
        met = np.unique(np.concatenate([met, *found]))
    for one, other in _pairs(views.alike(met)):
        yield ids[one], ids[other]


def pairs_with_shared_key(keys: Sequence[int], owners: Sequence[int]) -> Iterator[tuple[int, int]]:
    """The pairs of owners (numbers from 0) that share a key, smaller first, sorted, each once. A key that more than
    `CROWD` share brings nobody together. Of the keys, digests, the last 33 bits count."""
    packed = np.array(keys, dtype=np.uint64)
    packed <<= np.uint64(_OWNER_BITS)
    packed |= np.asarray(owners, dtype=np.uint64)
    found = [np.empty(0, np.uint64), *(np.unique(codes) for codes in _codes(packed, CROWD))]
    return _pairs(np.unique(np.concatenate(found)))


def look_alike(one: Hashes, other: Hashes) -> bool:
    """Whether videos show the same scene by their hashes, in whatever order of time."""
    here, there = (np.asarray(each, dtype=np.uint64)[None] for each in (one, other))
    return bool(_look_alike(here, there)[0])


class _Views:
    """What is known of the videos' pictures: the hashes of each as it is, then of each in other ways; a view is either,
    and goes by its number. The first views are the videos themselves, in the order of their ids."""

    def __init__(
        self,
        ids: Sequence[str],
        hashes: Mapping[str, Hashes],
        altered: Mapping[str, Sequence[Hashes] | NDArray[np.uint64]],
    ) -> None:
        values, sizes, videos = array("Q"), array("L"), array("L")
        for place, way in _all_views(ids, hashes, altered):
            values.frombytes(np.ascontiguousarray(way, dtype=np.uint64).tobytes())
            sizes.append(len(way))
            videos.append(place)
        self._values = np.frombuffer(values, dtype=np.uint64) if values else np.empty(0, np.uint64)
        self._sizes = np.array(sizes, dtype=np.int64)
        self._starts = np.cumsum(self._sizes) - self._sizes
        self._videos = np.array(videos, dtype=np.uint32)
        self._plain = len(ids)

    def keys(self, chosen: Sequence[tuple[int, int]]) -> NDArray[np.uint64]:
        """These parts (first bit and bits) of every hash, with the number of its view below them."""
        keys = np.zeros_like(self._values)
        for start, bits in chosen:
            keys <<= np.uint64(bits)
            for at in range(0, len(keys), _AT_ONCE):
                part = self._values[at : at + _AT_ONCE] >> np.uint64(start)
                keys[at : at + _AT_ONCE] |= part & np.uint64((1 << bits) - 1)
        keys <<= np.uint64(_OWNER_BITS)
        keys |= np.repeat(np.arange(len(self._sizes), dtype=np.uint32), self._sizes)
        return keys

    def of_two(self, codes: Codes) -> Codes:
        """Those of the pairs that are of two videos, one of them as it is."""
        first, second = _apart(codes)
        return np.unique(codes[(first < self._plain) & (self._videos[first] != self._videos[second])])

    def alike(self, codes: Codes) -> Codes:
        """The pairs of videos, of these pairs of views, that look alike."""
        found = [np.empty(0, np.uint64)]
        one, other = _apart(codes)
        shapes = self._sizes[one] * (self._sizes.max(initial=0) + 1) + self._sizes[other]
        order = np.argsort(shapes, kind="stable")
        bounds = np.flatnonzero(np.diff(shapes[order], prepend=-1, append=-1))
        for start, end in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
            same = order[start:end]
            step = max(1, _AT_ONCE // int(self._sizes[one[same[0]]] * self._sizes[other[same[0]]]))
            for at in range(0, len(same), step):
                some = same[at : at + step]
                good = some[_look_alike(self._hashes(one[some]), self._hashes(other[some]))]
                videos = self._videos[one[good]], self._videos[other[good]]
                found.append(np.minimum(*videos).astype(np.uint64) << np.uint64(32) | np.maximum(*videos))
        return np.unique(np.concatenate(found))

    def _hashes(self, views: NDArray[np.intp]) -> NDArray[np.uint64]:
        """Of views with equally many hashes, shape (views, hashes)."""
        found: NDArray[np.uint64] = self._values[self._starts[views][:, None] + np.arange(self._sizes[views[0]])]
        return found


def _all_views(
    ids: Sequence[str],
    hashes: Mapping[str, Hashes],
    altered: Mapping[str, Sequence[Hashes] | NDArray[np.uint64]],
) -> Iterator[tuple[int, Hashes]]:
    for place, video_id in enumerate(ids):
        yield place, hashes[video_id]
    for place, video_id in enumerate(ids):
        for way in altered.get(video_id, ()):
            yield place, way


def _chosen() -> Iterator[tuple[tuple[int, int], ...]]:
    """The parts of a hash that make a key together: of each the first bit and how many bits."""
    starts = np.cumsum((0, *_BANDS[:-1])).tolist()
    return combinations(zip(starts, _BANDS, strict=True), _TOGETHER)


def _look_alike(one: NDArray[np.uint64], other: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """For pairs of videos, hashes of shape (pairs, frames) each: whether the median over the frames of either of the
    bits to the nearest of the other is small."""
    apart = np.bitwise_count(one[:, :, None] ^ other[:, None, :])
    here, there = (np.median(apart.min(axis=axis), axis=1) <= _HASH_BITS for axis in (1, 2))
    return np.asarray(here | there)


def _codes(packed: NDArray[np.uint64], crowd: int) -> Iterator[Codes]:
    """Pairs of owners that share a key, some at a time, not each once. `packed`: the key in the upper 33 bits, its
    owner in the others; they are sorted in place."""
    packed.sort()
    start = 0
    while start < len(packed):
        end = start + _AT_ONCE
        if end < len(packed):  # up to the end of a key
            end = int(np.searchsorted(packed, packed[end - 1] | _OWNER, side="right"))
        yield from _in_part(packed[start:end], crowd)
        start = end


def _in_part(packed: NDArray[np.uint64], crowd: int) -> Iterator[Codes]:
    once = packed[np.concatenate([[True], packed[1:] != packed[:-1]])]
    keys, owners = once >> np.uint64(_OWNER_BITS), once & _OWNER
    starts = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
    sizes = np.diff(np.concatenate([starts, [len(keys)]]))
    for size in range(2, crowd + 1):
        members = owners[starts[sizes == size][:, None] + np.arange(size)]
        if len(members):
            first, second = np.triu_indices(size, 1)
            yield (members[:, first] << np.uint64(32) | members[:, second]).ravel()


def _apart(codes: Codes) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    first, second = codes >> np.uint64(32), codes & np.uint64(0xFFFFFFFF)
    return first.astype(np.intp), second.astype(np.intp)


def _pairs(codes: Codes) -> Iterator[tuple[int, int]]:
    for start in range(0, len(codes), 4096):
        for code in codes[start : start + 4096].tolist():
            yield code >> 32, code & 0xFFFFFFFF
