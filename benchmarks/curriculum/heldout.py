"""What of the world only one split has, so that nothing of a test can be known by heart: pairs of things, and texts.

A pair of things is two colours and two shapes. A text about one half alone has no pair, so a split owns the text.
"""

from __future__ import annotations

from itertools import combinations, product

from benchmarks.curriculum.stories import COLOURS, HALVES, OPPOSITE, SHAPES, SIGNS, Half

Pair = tuple[tuple[str, str], tuple[str, str]]
"""Two colours and two shapes: eight ways to have them in the two halves, two of which a search over words can tell."""
_COLOURS, _SHAPES = tuple(combinations(COLOURS, 2)), tuple(combinations(SHAPES, 2))
_AXIS = {way: number // 2 for number, way in enumerate(OPPOSITE)}
"""Of a direction and its opposite alike: both sides of a block about directions belong to one split."""
_SHARES = 5
"""A text about one half is the test's or validation's with one in so many each."""


def pairs_of(split: str, seed: int) -> tuple[Pair, ...]:
    """The pairs of colours and shapes of a split: 24 in training, 6 in each of the others.

    They are diagonals of a Latin square, another one for each seed. So every two colours and every two shapes are
    together in each split, and everything is seen in training but these pairs.
    """
    found = []
    for (row, colours), (column, shapes) in product(enumerate(_COLOURS), enumerate(_SHAPES)):
        diagonal = (row - column - seed) % len(_COLOURS)
        if _split(diagonal) == split:
            found.append((colours, shapes))
    return tuple(found)


def texts_of_others(split: str) -> frozenset[str]:
    """Texts about one half that belong to another split: none of them is asked, told or shown in this one."""
    places = product(enumerate(COLOURS), enumerate(SHAPES), _AXIS.items(), enumerate(("", *SIGNS)))
    texts = []
    for (c, colour), (s, shape), (way, axis), (g, sign) in places:
        if _split((c + s + axis + g) % _SHARES) != split:
            half = Half(colour, shape, way, sign)
            texts += [str(half), *(f"{at} {half}" for at in HALVES)]
    return frozenset(texts)


def _split(number: int) -> str:
    return {0: "test", 1: "validation"}.get(number, "train")
