"""Which of a million texts may be near duplicates: MinHash signatures in bands (Broder, 1997; Indyk and Motwani, 1998),
then the words and the pieces of each text."""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from hardcut.publish.same_wording import HAN, SYLLABLES, numbers
from hardcut.publish.word_sets import WordSets, spread

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Numbers = NDArray[np.int64]
    Hashes = NDArray[np.uint32]
    Bits = NDArray[np.uint64]
    Truths = NDArray[np.bool_]

GRAM = 4
"""Letters of a piece."""
_SIGN = re.compile(f"[{HAN}{SYLLABLES}]")
"""Kana, Hangul and Chinese characters."""
_BANDS, _ROWS = 20, 5
_CHUNK = 64
"""Texts whose signatures are made at once."""
_AT_ONCE = 1 << 12
"""Texts whose neighbours in a band are looked up at once: their bits fit into a processor's cache."""
_PAIRS = 1 << 13
"""Pairs whose words and pieces are compared at once."""
_NEIGHBOURS = 16
"""How many texts of a crowded band one text is compared with."""
_DOUBT = 0.15
"""By how much less signatures may agree than texts that are alike do: at .75 three times their usual error."""
_BYTE, _WORDS = 8, 2
"""A byte of each of the rows of a signature, as bits: so many rows of so many 64-bit words."""


class Candidates:
    """Pairs of places of texts (sorted, each once) that may be near duplicates: which share a band of their signatures
    and all numbers, are near each other there, and share enough words and pieces. In the order of bands, and of places
    in each; each once, but for a few.

    What a text costs is bounded: in each band it is held against its next 16 neighbours. Most of these end at the bits
    of their signatures (some 10 ns a pair), most of the rest at their words.
    """

    def __init__(self, texts: Sequence[str], threshold: float) -> None:
        import numpy as np

        self._threshold = threshold
        self._keys, self._bits, self._pieces, self._starts = _signatures(texts)
        self._most = _BANDS * _ROWS * (1 - threshold + _DOUBT)
        """Rows that may differ."""
        known: dict[tuple[str, ...], int] = {}
        self._numbers = np.array([known.setdefault(numbers(text), len(known)) for text in texts], dtype=np.uint32)
        self._words = WordSets(texts)
        self._places = np.empty((len(texts), _BANDS), dtype=np.int32)
        """Where the texts are in the bands that have been gone through. Those that share a band lie side by side, with
        a gap before the next that do: so two that are no more than `_NEIGHBOURS` apart met there."""

    def __iter__(self) -> Iterator[tuple[int, int]]:
        import numpy as np

        for band, keys in enumerate(self._keys):
            order = np.lexsort((self._numbers, keys))
            keys, groups = keys[order], self._numbers[order]
            runs = np.cumsum(np.concatenate([[True], (keys[1:] != keys[:-1]) | (groups[1:] != groups[:-1])])) - 1
            self._places[order, band] = np.arange(len(order)) + _NEIGHBOURS * runs
            alone = (np.bincount(runs) == 2)[runs]
            for start in range(0, len(order), _AT_ONCE):
                first, second, sure = self._close(order, runs, alone, start)
                here, there = order[first], order[second]
                for at in range(0, len(first), _PAIRS):
                    part = slice(at, at + _PAIRS)
                    yield from self._worth(band, here[part], there[part], sure[part])

    def _close(self, order: Numbers, runs: Numbers, alone: Truths, start: int) -> tuple[Numbers, Numbers, Truths]:
        """Pairs of places in `order` whose first is one of `_AT_ONCE` from `start` on, by first and second, and which
        of them are to be compared whatever came before.

        They share a run and are close there, and their signatures do not say that they are far from alike: the share of
        the rows that agrees is their similarity, give or take .05. Where two are `alone` in their run, these may say
        what they will. `runs`: which texts share band and numbers, by their places in `order`.
        """
        import numpy as np

        end = min(start + _AT_ONCE, len(order))
        seen = order[start : end + _NEIGHBOURS]
        bits = np.ascontiguousarray(self._bits[seen].T).reshape(_BYTE, _WORDS, len(seen))
        codes = [np.empty(0, dtype=np.int64)]
        for distance in range(1, min(_NEIGHBOURS, len(seen) - 1) + 1):
            count = min(end - start, len(seen) - distance)
            differ = np.bitwise_or.reduce(bits[:, :, :count] ^ bits[:, :, distance : distance + count], axis=0)
            alike = np.bitwise_count(differ).sum(axis=0, dtype=np.uint8) <= self._most
            sure = alone[start : start + count] & ~alike
            same = runs[start : start + count] == runs[start + distance : start + distance + count]
            found = np.flatnonzero((alike | sure) & same)
            codes.append((found * (_NEIGHBOURS + 1) + distance) * 2 + sure[found])
        by_place = np.sort(np.concatenate(codes))
        first, distances = np.divmod(by_place >> 1, _NEIGHBOURS + 1)
        return first + start, first + start + distances, (by_place & 1).astype(bool)

    def _worth(self, band: int, here: Numbers, there: Numbers, sure: Truths) -> Iterator[tuple[int, int]]:
        """Those that did not come in an earlier band and share enough words and pieces."""
        import numpy as np

        apart = self._places[here, :band] - self._places[there, :band]
        new = sure | ~(np.abs(apart) <= _NEIGHBOURS).any(axis=1)
        here, there = here[new], there[new]
        for shares in (self._words.may_be_one, self._shares):
            kept = shares(here, there)
            here, there = here[kept], there[kept]
        yield from zip(here.tolist(), there.tolist(), strict=True)

    def _shares(self, here: Numbers, there: Numbers) -> Truths:
        """Whether the two texts of each pair share enough pieces, by the pieces' hashes."""
        import numpy as np

        places = np.arange(len(here), dtype=np.uint64)
        codes, sizes = [], []
        for texts in (here, there):
            lengths = self._starts[texts + 1] - self._starts[texts]
            codes.append(
                np.repeat(places << np.uint64(32), lengths) | self._pieces[spread(self._starts[texts], lengths)]
            )
            sizes.append(lengths)
        both = np.sort(np.concatenate(codes), kind="stable")  # a merge of two sorted rows
        twice = both[:-1][both[1:] == both[:-1]] >> np.uint64(32)
        shared = np.bincount(twice.astype(np.int64), minlength=len(here))
        enough: NDArray[np.bool_] = shared >= self._threshold * (sizes[0] + sizes[1] - shared)
        return enough


def _signatures(texts: Sequence[str]) -> tuple[Bits, Bits, Hashes, Numbers]:
    """Of the MinHash signature of each text: a key of each band, [bands, texts], and the last byte of each row as bits,
    [texts, 8 x 2]. Then the hashes of the pieces of all texts, each once a text and sorted, and where those of each
    text begin, [texts + 1]."""
    import numpy as np

    factors, offsets, weights = _constants()
    keys = np.empty((_BANDS, len(texts)), dtype=np.uint64)
    bits = np.empty((len(texts), _BYTE * _WORDS), dtype=np.uint64)
    pieces, sizes = array("I"), array("Q", [0])
    for start in range(0, len(texts), _CHUNK):
        hashes, starts = _hashed(texts[start : start + _CHUNK])
        mixed = hashes[:, None] * factors + offsets
        signatures = np.minimum.reduceat(mixed, starts, axis=0)
        keys[:, start : start + _CHUNK] = (signatures.reshape(-1, _BANDS, _ROWS).astype(np.uint64) @ weights).T
        bits[start : start + _CHUNK] = _bits_of(signatures.astype(np.uint8))
        owners = np.repeat(np.arange(len(starts), dtype=np.uint64), np.diff(starts, append=len(hashes)))
        once = np.unique(owners << np.uint64(32) | hashes)
        pieces.frombytes((once & np.uint64(0xFFFFFFFF)).astype(np.uint32).tobytes())
        sizes.frombytes(np.bincount((once >> np.uint64(32)).astype(np.int64)).astype(np.uint64).tobytes())
    return (
        keys,
        bits,
        np.frombuffer(pieces, dtype=np.uint32),
        np.cumsum(np.frombuffer(sizes, dtype=np.uint64)).astype(np.int64),
    )


def _bits_of(rows: NDArray[np.uint8]) -> Bits:
    """Bytes [texts, rows] as [texts, 8 x 2]: the first bit of all rows in two words, then the second, and so on."""
    import numpy as np

    planes = np.packbits(np.unpackbits(rows[:, :, None], axis=2).transpose(0, 2, 1), axis=2)
    padded = np.zeros((len(rows), _BYTE, _WORDS * 8), dtype=np.uint8)
    padded[:, :, : planes.shape[2]] = planes
    return padded.view(np.uint64).reshape(len(rows), _BYTE * _WORDS)


def _constants() -> tuple[Any, Any, Any]:
    """Factors and offsets of the hashes of a signature, and factors of the rows of a band; all of numpy."""
    import numpy as np

    random = np.random.default_rng(0)
    factors = random.integers(1, 1 << 32, size=_BANDS * _ROWS, dtype=np.uint32) | np.uint32(1)
    offsets = random.integers(0, 1 << 32, size=_BANDS * _ROWS, dtype=np.uint32)
    return factors, offsets, random.integers(1, 1 << 64, size=_ROWS, dtype=np.uint64) | np.uint64(1)


def _hashed(texts: Sequence[str]) -> tuple[Any, Any]:
    """A 32-bit hash of every piece of every text, in one array, and where each text's begin; both of numpy."""
    import numpy as np

    padded = [f" {spelled_out(text)} ".ljust(GRAM, "\0") for text in texts]
    lengths = np.array([len(text) for text in padded])
    letters = np.frombuffer("".join(padded).encode("utf-32-le", "surrogatepass"), dtype="<u4")
    hashes = np.zeros(len(letters) - GRAM + 1, dtype=np.uint32)
    for place in range(GRAM):
        hashes = (hashes ^ letters[place : len(hashes) + place]) * np.uint32(0x9E3779B1)
        hashes ^= hashes >> np.uint32(15)
    whole = np.ones(len(hashes), dtype=bool)
    for place in range(1, GRAM):
        whole[np.cumsum(lengths)[:-1] - place] = False  # a piece of two texts is none
    return hashes[whole], np.cumsum([0, *(lengths[:-1] - GRAM + 1)])


def spelled_out(text: str) -> str:
    """The text with as many letters for each sign of a syllable or a word as such a sign says: in these scripts a query
    has ten signs where another has fifty letters."""
    return _SIGN.sub(lambda sign: sign[0] * GRAM, text)
