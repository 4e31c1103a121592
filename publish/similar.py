"""Texts that say the same in all but a letter or two: the near duplicates that must not straddle splits."""

from __future__ import annotations

import re
import unicodedata
from array import array
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from hardcut.publish.same_wording import HAN, MARKS, SYLLABLES, numbers, same_wording

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Signatures = NDArray[np.uint32]
    Numbers = NDArray[np.int64]

_NOT_WORD = re.compile(f"[^\\w{MARKS}]+", re.UNICODE)
_UNWRITTEN = re.compile("[\u0300-\u036f\u0591-\u05bd\u05bf\u05c1\u05c2\u0610-\u061a\u0640\u064b-\u0652\u0670]")
"""Marks that one writer sets and another leaves out: points of Hebrew and Arabic, the dot that small letters of a
Turkish I keep, accents that no letter holds."""
_GRAM = 4
_SIGN = re.compile(f"[{HAN}{SYLLABLES}]")
"""Kana, Hangul and Chinese characters."""
_BANDS, _ROWS = 20, 5
_CHUNK = 64
"""Texts whose signatures are made at once."""
_AT_ONCE = 1 << 14
"""Texts whose neighbours in a band are looked up at once."""
_PAIRS = 1 << 12
"""Pairs that are compared at once: their signatures fit into a processor's cache."""
_NEIGHBOURS = 16
"""How many texts of a crowded band one text is compared with."""
_DOUBT = 0.15
"""By how much less signatures may agree than texts that are alike do: at .75 three times their usual error."""


def normalised_text(text: str) -> str:
    """A text without regard to case, width, punctuation, accents' encoding, points of vowels and white space. Signs of
    vowels in the scripts of India and South-East Asia stay: they are letters."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return _NOT_WORD.sub(" ", _UNWRITTEN.sub("", folded)).strip()


class DisjointSets:
    """Names that were joined, directly or through others (union-find). A set goes by the least name in it."""

    def __init__(self) -> None:
        self._parent: dict[str, str] = {}

    def root(self, name: str) -> str:
        """The name that the set of `name` goes by: its own, where it was never joined."""
        parent = self._parent
        while parent.setdefault(name, name) != name:
            parent[name] = name = parent[parent[name]]
        return name

    def join(self, first: str, second: str) -> None:
        """Makes one set of two."""
        here, there = self.root(first), self.root(second)
        self._parent[max(here, there)] = min(here, there)


def similar_pairs(texts: Mapping[str, str], threshold: float) -> Iterator[tuple[str, str]]:
    """Pairs of ids whose texts are near duplicates, enough of them that their links join every cluster.

    Near duplicates: the Jaccard similarity of their sets of four-letter pieces, over word ends, is at least
    `threshold` (0 < threshold <= 1). Around .75 that is a typo, an ending or punctuation. Another word is less, and so
    is another order of the same words. A Chinese, Japanese or Korean sign counts as four letters.

    Texts that differ by a number, or by a word in the place of another, are none, however many letters they share: no
    video would answer both (`same_wording`).

    Every pair that is given was compared exactly. Candidates come from MinHash signatures in bands (Broder, 1997; Indyk
    and Motwani, 1998): a pair at .75 is found with .995, one at .85 with .9999. In a crowded band texts are compared
    with their neighbours in the order of the alphabet alone, so that a million texts out of one template cost no more
    than a million others. Memory holds some 900 bytes a text.
    """
    same: defaultdict[str, list[str]] = defaultdict(list)
    for id in sorted(texts):
        same[normalised_text(texts[id])].append(id)
    for ids in same.values():
        yield from ((ids[0], other) for other in ids[1:])
    unique = sorted(text for text in same if text)
    if threshold >= 1 or len(unique) < 2:
        return
    joined = DisjointSets()
    for here, there in _Candidates(unique, threshold):
        one, other = unique[here], unique[there]
        if joined.root(one) != joined.root(other) and _near(one, other, threshold):
            joined.join(one, other)
            yield same[one][0], same[other][0]


class _Candidates:
    """Pairs of places of texts (sorted, each once) that may be near duplicates: which share a band of their signatures
    and all numbers, are near each other there, and share enough pieces. In the order of bands, and of places in each;
    each once, but for a few.
    """

    def __init__(self, texts: Sequence[str], threshold: float) -> None:
        import numpy as np

        self._threshold = threshold
        self._signatures, self._pieces, self._starts = _signatures(texts)
        self._low = self._signatures.astype(np.uint8)
        """The last bytes of the signatures: where too few of these agree, the rest need not be read."""
        self._least = (threshold - _DOUBT) * self._signatures.shape[1]
        known: dict[tuple[str, ...], int] = {}
        self._numbers = np.array([known.setdefault(numbers(text), len(known)) for text in texts], dtype=np.uint32)
        self._ranks = np.empty((_BANDS, len(texts)), dtype=np.int32)
        """The places of the texts in the bands that have been gone through."""

    def __iter__(self) -> Iterator[tuple[int, int]]:
        import numpy as np

        *_, weights = _constants()
        for band in range(_BANDS):
            keys = self._signatures[:, band * _ROWS : (band + 1) * _ROWS].astype(np.uint64) @ weights
            order = np.lexsort((self._numbers, keys))
            keys, groups = keys[order], self._numbers[order]
            runs = np.cumsum(np.concatenate([[True], (keys[1:] != keys[:-1]) | (groups[1:] != groups[:-1])])) - 1
            self._ranks[band, order] = np.arange(len(order), dtype=np.int32)
            sizes = np.bincount(runs)
            for start in range(0, len(order), _AT_ONCE):
                yield from self._in_part(band, order, runs, sizes, start)

    def _in_part(
        self, band: int, order: Numbers, runs: Numbers, sizes: Numbers, start: int
    ) -> Iterator[tuple[int, int]]:
        """The pairs of a band whose first text is one of `_AT_ONCE` from `start` on. `runs`: which texts share band and
        numbers, by their places in `order`; `sizes`: how many."""
        import numpy as np

        end = min(start + _AT_ONCE, len(order))
        firsts, seconds = [], []
        for distance in range(1, min(_NEIGHBOURS, len(order) - 1) + 1):
            last = min(end, len(order) - distance)
            found = np.flatnonzero(runs[start:last] == runs[start + distance : last + distance]) + start
            firsts.append(found)
            seconds.append(found + distance)
        first, second = np.concatenate(firsts), np.concatenate(seconds)
        by_place = np.lexsort((second, first))
        first, second = first[by_place], second[by_place]
        for at in range(0, len(first), _PAIRS):
            here, there = order[first[at : at + _PAIRS]], order[second[at : at + _PAIRS]]
            few = sizes[runs[first[at : at + _PAIRS]]] == 2
            kept = self._worth(band, here, there, few)
            here, there = here[kept], there[kept]
            kept = self._shares(here, there)
            yield from zip(here[kept].tolist(), there[kept].tolist(), strict=True)

    def _worth(self, band: int, here: Numbers, there: Numbers, few: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Those that did not come in an earlier band and whose signatures do not say that they are far from alike: the
        share of the signatures that agrees is their similarity, give or take .05. `few`: pairs that are alone."""
        import numpy as np

        worth = few.copy()
        likely = np.flatnonzero(np.count_nonzero(self._low[here] == self._low[there], axis=1) >= self._least)
        here, there = here[likely], there[likely]
        agree = self._signatures[here] == self._signatures[there]
        sure = np.count_nonzero(agree, axis=1) >= self._least
        shared = agree[:, : band * _ROWS].reshape(len(here), band, _ROWS).all(axis=2)
        apart = np.abs(self._ranks[:band, here] - self._ranks[:band, there]).T
        met = (shared & (apart <= _NEIGHBOURS)).any(axis=1)
        worth[likely] = np.where(sure, ~met, few[likely])
        return worth

    def _shares(self, here: Numbers, there: Numbers) -> NDArray[np.bool_]:
        """Whether the two texts of each pair share enough pieces, by the pieces' hashes."""
        import numpy as np

        places = np.arange(len(here), dtype=np.uint64)
        codes, sizes = [], []
        for texts in (here, there):
            lengths = self._starts[texts + 1] - self._starts[texts]
            ends = np.cumsum(lengths)
            at = np.arange(ends[-1] if len(ends) else 0) + np.repeat(self._starts[texts] - (ends - lengths), lengths)
            codes.append(np.repeat(places << np.uint64(32), lengths) | self._pieces[at])
            sizes.append(lengths)
        both = np.sort(np.concatenate(codes), kind="stable")  # a merge of two sorted rows
        twice = both[:-1][both[1:] == both[:-1]] >> np.uint64(32)
        shared = np.bincount(twice.astype(np.int64), minlength=len(here))
        enough: NDArray[np.bool_] = shared >= self._threshold * (sizes[0] + sizes[1] - shared)
        return enough


def _near(here: str, there: str, threshold: float) -> bool:
    one, other = _grams(here), _grams(there)
    shared = len(one & other)
    return shared / (len(one) + len(other) - shared) >= threshold and same_wording(here, there)


def _signatures(texts: Sequence[str]) -> tuple[Signatures, Signatures, Numbers]:
    """The MinHash signature of each text, [texts, bands x rows]; then the hashes of the pieces of all texts, each
    once a text and sorted, and where those of each text begin, [texts + 1]."""
    import numpy as np

    factors, offsets, _ = _constants()
    signatures = np.empty((len(texts), _BANDS * _ROWS), dtype=np.uint32)
    pieces, sizes = array("I"), array("Q", [0])
    for start in range(0, len(texts), _CHUNK):
        hashes, starts = _hashed(texts[start : start + _CHUNK])
        mixed = hashes[:, None] * factors + offsets
        signatures[start : start + _CHUNK] = np.minimum.reduceat(mixed, starts, axis=0)
        owners = np.repeat(np.arange(len(starts), dtype=np.uint64), np.diff(starts, append=len(hashes)))
        once = np.unique(owners << np.uint64(32) | hashes)
        pieces.frombytes((once & np.uint64(0xFFFFFFFF)).astype(np.uint32).tobytes())
        sizes.frombytes(np.bincount((once >> np.uint64(32)).astype(np.int64)).astype(np.uint64).tobytes())
    return (
        signatures,
        np.frombuffer(pieces, dtype=np.uint32),
        np.cumsum(np.frombuffer(sizes, dtype=np.uint64)).astype(np.int64),
    )


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

    padded = [f" {_spelled_out(text)} ".ljust(_GRAM, "\0") for text in texts]
    lengths = np.array([len(text) for text in padded])
    letters = np.frombuffer("".join(padded).encode("utf-32-le", "surrogatepass"), dtype="<u4")
    hashes = np.zeros(len(letters) - _GRAM + 1, dtype=np.uint32)
    for place in range(_GRAM):
        hashes = (hashes ^ letters[place : len(hashes) + place]) * np.uint32(0x9E3779B1)
        hashes ^= hashes >> np.uint32(15)
    whole = np.ones(len(hashes), dtype=bool)
    for place in range(1, _GRAM):
        whole[np.cumsum(lengths)[:-1] - place] = False  # a piece of two texts is none
    return hashes[whole], np.cumsum([0, *(lengths[:-1] - _GRAM + 1)])


def _spelled_out(text: str) -> str:
    """The text with as many letters for each sign of a syllable or a word as such a sign says: in these scripts a query
    has ten signs where another has fifty letters."""
    return _SIGN.sub(lambda sign: sign[0] * _GRAM, text)


@lru_cache(maxsize=4096)
def _grams(text: str) -> frozenset[str]:
    padded = f" {_spelled_out(text)} "
    return frozenset(padded[place : place + _GRAM] for place in range(max(1, len(padded) - _GRAM + 1)))
