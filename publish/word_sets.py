"""The words of a million texts as numbers: most pairs that `same_wording` refuses are told by these."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import TYPE_CHECKING

from hardcut.publish.same_wording import ENDING, slips_of, words_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Numbers = NDArray[np.int64]
    Truths = NDArray[np.bool_]

_CROSSED = 64
"""Pairs of words that are held against each other for a pair of texts, at most."""


class WordSets:
    """The words of each text, as `same_wording` takes them. Memory holds four bytes
    for each, and some 30 for each word that is new."""

    def __init__(self, texts: Sequence[str]) -> None:
        import numpy as np

        known: dict[tuple[str, int], int] = {}
        ids, sizes = array("I"), array("Q", [0])
        for text in texts:
            words = [(word, turn) for word, count in words_of(text).items() for turn in range(count)]
            ids.extend(known.setdefault(each, len(known)) for each in words)
            sizes.append(len(words))
        self._ids = np.frombuffer(ids, dtype=np.uint32)
        self._starts = np.cumsum(np.frombuffer(sizes, dtype=np.uint64)).astype(np.int64)
        spelled = [word for word, _ in known]  # by id; one that a text has twice has two ids, one for each time
        self._lengths = np.array([len(word) for word in spelled], dtype=np.int64)
        self._slips = np.array([slips_of(word) for word in spelled], dtype=np.uint8)
        self._letters = np.array([_letters(word) for word in spelled], dtype=np.uint64).reshape(-1, 2).T

    def may_be_one(self, here: Numbers, there: Numbers) -> Truths:
        """Whether `same_wording` may hold for the two texts of each pair, [pairs]; where this says no, it does not.

        Of the words that one text has and the other lacks, each of the fewer needs one that it is spelled like. Texts
        that differ by very many words are not looked at.
        """
        import numpy as np

        places, sides, words = self._left(here, there)
        ours, theirs = (np.bincount(places[sides == side], minlength=len(here)) for side in (0, 1))
        may: Truths = (ours == 0) | (theirs == 0) | (ours * theirs > _CROSSED)
        of_fewer = sides == (ours > theirs)[places]
        looked = ~may[places]
        few, many = np.flatnonzero(of_fewer & looked), np.flatnonzero(~of_fewer & looked)
        counts = np.where(may, 0, np.maximum(ours, theirs))

        def alike(asked: Numbers) -> tuple[Numbers, Numbers]:
            """Of these of the fewer words those with a word that may be spelled so, each with that."""
            each = counts[places[asked]]
            one = np.repeat(asked, each)
            other = many[spread((np.cumsum(counts) - counts)[places[asked]], each)]
            kept = self._alike(words[one], words[other])
            return one[kept], other[kept]

        last = np.diff(places[few], append=-1) != 0  # most pairs end with one of these words, the rarest
        hopeful = np.zeros(len(here), dtype=bool)
        hopeful[places[alike(few[last])[0]]] = True
        met = np.zeros(len(places), dtype=bool)
        for found in alike(few[hopeful[places[few]]]):
            met[found] = True
        matched = np.bincount(places[met & of_fewer], minlength=len(here)) == np.minimum(ours, theirs)
        others = np.bincount(places[met & ~of_fewer], minlength=len(here)) == counts
        may |= matched & (others | (ours != theirs))
        return may

    def _left(self, here: Numbers, there: Numbers) -> tuple[Numbers, Numbers, Numbers]:
        """What one of two texts has and the other lacks: which pair, which side (0, 1) and which word, by the pair."""
        import numpy as np

        places = np.arange(len(here), dtype=np.uint64) << np.uint64(33)
        codes = []
        for side, texts in enumerate((here, there)):
            lengths = self._starts[texts + 1] - self._starts[texts]
            words = self._ids[spread(self._starts[texts], lengths)].astype(np.uint64)
            codes.append(np.repeat(places, lengths) | words << np.uint64(1) | np.uint64(side))
        both = np.sort(np.concatenate(codes))
        alone = np.ones(len(both), dtype=bool)
        twice = np.flatnonzero(both[1:] >> np.uint64(1) == both[:-1] >> np.uint64(1))
        alone[twice] = alone[twice + 1] = False
        left = both[alone].astype(np.int64)
        return left >> 33, left & 1, (left >> 1) & 0xFFFFFFFF

    def _alike(self, here: Numbers, there: Numbers) -> Truths:
        """Whether the two words of each pair may be spelled alike, by their lengths and letters."""
        import numpy as np

        longer = self._lengths[here] > self._lengths[there]
        short, long = np.where(longer, there, here), np.where(longer, here, there)
        alike: Truths = self._lengths[long] - self._lengths[short] <= ENDING
        near = np.flatnonzero(alike)
        short, long = short[near], long[near]
        lacking = np.zeros(len(near), dtype=np.uint8)
        added = np.zeros(len(near), dtype=np.uint8)
        for letters in self._letters:
            ours, theirs = letters[short], letters[long]
            lacking += np.bitwise_count(ours & ~theirs)
            added += np.bitwise_count(theirs & ~ours)
        alike[near] = (lacking <= self._slips[short]) & (added <= ENDING)
        return alike


def spread(starts: Numbers, lengths: Numbers) -> Numbers:
    """All places of stretches that begin at `starts`, one stretch behind the other."""
    import numpy as np

    ends = np.cumsum(lengths)
    found: Numbers = np.arange(ends[-1] if len(ends) else 0) + np.repeat(starts - (ends - lengths), lengths)
    return found


def _letters(word: str) -> tuple[int, int]:
    """Which letters a word has, and how often up to four times, as bits. Some letters share theirs."""
    bits = [0, 0]
    for letter in word:
        half, place = divmod(ord(letter) % 32, 16)
        free = ~bits[half] >> 4 * place & 0xF
        bits[half] |= (free & -free) << 4 * place
    return bits[0], bits[1]
