"""Whether words in common with the anchor tell the positive of a triplet from its hard negative. Pure functions.

A hard negative in the positive's wording usually has fewer words of the anchor than the positive, and one in the
anchor's wording has more. Where a bag of words is right more often than not over a whole nuance, halves of sets with
negatives of the first kind go, those first that it is surest of.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from hardcut.schemas.triplets import Triplet

_WORD = re.compile(r"\w+")


def is_worded_as_the_positive(triplet: Triplet) -> bool:
    """Whether the hard negative is in the wording of the positive, and not of the anchor."""
    kinds = triplet.positive_source.kind, triplet.hard_negative_source.kind
    return (kinds[0] == "paraphrase") == (kinds[1] == "paraphrase")


def rate(triplets: Sequence[Triplet]) -> float:
    """How often a bag of words is right, by the words in common with the anchor (a tie is half): the mean of two
    measures, cosine of counts and Jaccard."""
    return sum(map(_right, triplets)) / len(triplets) if triplets else 0.5


@dataclass(slots=True)
class AnchorTally:
    """How often a bag of words is right over the sets of one nuance and split. Memory holds two numbers a set."""

    right: float = 0.0
    count: int = 0
    halves: list[tuple[float, str, int]] = field(default_factory=list)

    def add(self, set_id: str, members: Sequence[Triplet]) -> None:
        """Counts a set."""
        self.right += sum(map(_right, members))
        self.count += len(members)
        half = [each for each in members if is_worded_as_the_positive(each)]
        if 0 < len(half) < len(members):
            self.halves.append((sum(map(_right, half)), set_id, len(half)))

    def too_easy(self) -> set[str]:
        """The ids of sets whose half with negatives in the positive's wording must go, for a bag of words to be right
        no more often than not in the rest. None where that cannot be had: wordings that only add to their texts are
        told by their anchors whatever goes."""
        right, count, gone = self.right, self.count, set()
        for of_half, set_id, size in sorted(self.halves, key=lambda each: (-each[0] / each[2], each[1])):
            if right <= count / 2 or of_half <= size / 2:
                break
            gone.add(set_id)
            right, count = right - of_half, count - size
        return gone if right <= count / 2 else set()


def _right(triplet: Triplet) -> float:
    anchor, positive, negative = (
        Counter(_WORD.findall(text.casefold())) for text in (triplet.anchor, triplet.positive, triplet.hard_negative)
    )
    return (
        sum(
            1.0 if one > other + 1e-9 else 0.5 if one > other - 1e-9 else 0.0
            for one, other in (
                (_cosine(anchor, positive), _cosine(anchor, negative)),
                (_jaccard(anchor, positive), _jaccard(anchor, negative)),
            )
        )
        / 2
    )


def _cosine(one: Counter[str], other: Counter[str]) -> float:
    norms = math.sqrt(sum(n * n for n in one.values()) * sum(n * n for n in other.values()))
    return sum(count * other[word] for word, count in one.items()) / norms if norms else 0.0


def _jaccard(one: Counter[str], other: Counter[str]) -> float:
    whole = one.keys() | other.keys()
    return len(one.keys() & other.keys()) / len(whole) if whole else 0.0
