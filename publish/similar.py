"""Texts that say the same in all but a letter or two: the near duplicates that must not straddle splits."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import lru_cache

from hardcut.publish.minhash import GRAM, Candidates, spelled_out
from hardcut.publish.same_wording import MARKS, same_wording

_NOT_WORD = re.compile(f"[^\\w{MARKS}]+", re.UNICODE)
_UNWRITTEN = re.compile("[\u0300-\u036f\u0591-\u05bd\u05bf\u05c1\u05c2\u0610-\u061a\u0640\u064b-\u0652\u0670]")
"""Marks that one writer sets and another leaves out: points of Hebrew and Arabic, the dot that small letters of a
Turkish I keep, accents that no letter holds."""


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
    for here, there in Candidates(unique, threshold):
        one, other = unique[here], unique[there]
        if joined.root(one) != joined.root(other) and _near(one, other, threshold):
            joined.join(one, other)
            yield same[one][0], same[other][0]


def _near(here: str, there: str, threshold: float) -> bool:
    if not same_wording(here, there):
        return False
    one, other = _grams(here), _grams(there)
    shared = len(one & other)
    return shared / (len(one) + len(other) - shared) >= threshold


@lru_cache(maxsize=4096)
def _grams(text: str) -> frozenset[str]:
    padded = f" {spelled_out(text)} "
    return frozenset(padded[place : place + GRAM] for place in range(max(1, len(padded) - GRAM + 1)))
