"""Texts that say the same in all but a letter or two: the near duplicates that must not straddle splits."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hardcut.publish.same_wording import HAN, MARKS, SYLLABLES, numbers, same_wording

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
_NEIGHBOURS = 16
"""How many texts of a crowded band one text is compared with."""


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
    than a million others.
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
    for bucket in _buckets(unique):
        for alike in _by_numbers([unique[place] for place in bucket]):
            for place, here in enumerate(alike):
                for there in alike[place + 1 : place + 1 + _NEIGHBOURS]:
                    if joined.root(here) != joined.root(there) and _near(here, there, threshold):
                        joined.join(here, there)
                        yield same[here][0], same[there][0]


def _by_numbers(texts: Sequence[str]) -> list[list[str]]:
    found: defaultdict[tuple[str, ...], list[str]] = defaultdict(list)
    for text in texts:
        found[numbers(text)].append(text)
    return list(found.values())


def _near(here: str, there: str, threshold: float) -> bool:
    return _jaccard(here, there) >= threshold and same_wording(here, there)


def _buckets(texts: Sequence[str]) -> Iterator[list[int]]:
    """Places of texts that share a band of their signatures, in rising order."""
    import numpy as np

    random = np.random.default_rng(0)
    factors = random.integers(1, 1 << 32, size=_BANDS * _ROWS, dtype=np.uint32) | np.uint32(1)
    offsets = random.integers(0, 1 << 32, size=_BANDS * _ROWS, dtype=np.uint32)
    weights = random.integers(1, 1 << 64, size=_ROWS, dtype=np.uint64) | np.uint64(1)
    signatures = np.empty((len(texts), _BANDS * _ROWS), dtype=np.uint32)
    for start in range(0, len(texts), _CHUNK):
        hashes, starts = _hashed(texts[start : start + _CHUNK])
        mixed = hashes[:, None] * factors + offsets
        signatures[start : start + _CHUNK] = np.minimum.reduceat(mixed, starts, axis=0)
    for band in range(_BANDS):
        keys = signatures[:, band * _ROWS : (band + 1) * _ROWS].astype(np.uint64) @ weights
        order = np.argsort(keys, kind="stable")
        bounds = np.flatnonzero(np.diff(keys[order], prepend=keys[order[0]] ^ np.uint64(1), append=~keys[order[-1]]))
        crowded = np.flatnonzero(np.diff(bounds) > 1)
        yield from (order[bounds[place] : bounds[place + 1]].tolist() for place in crowded)


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


def _jaccard(first: str, second: str) -> float:
    here, there = _grams(first), _grams(second)
    return len(here & there) / len(here | there)


def _grams(text: str) -> set[str]:
    padded = f" {_spelled_out(text)} "
    return {padded[place : place + _GRAM] for place in range(max(1, len(padded) - _GRAM + 1))}
