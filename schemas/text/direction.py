"""Words for a direction of time or space. A text can be compared with each of them equal to its opposite."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

_OPPOSITES = (
    ("lefttoright", "righttoleft"), ("upwards", "downwards"), ("up", "down"), ("left", "right"), ("in", "out"),
    ("on", "off"), ("forward", "backward"), ("forwards", "backwards"), ("larger", "smaller"), ("open", "close"),
    ("opening", "closing"), ("opened", "closed"), ("enter", "leave"), ("entering", "leaving"), ("push", "pull"),
    ("pushing", "pulling"), ("rise", "fall"), ("rising", "falling"), ("raise", "lower"), ("raising", "lowering"),
    ("lift", "drop"), ("lifting", "dropping"), ("ascend", "descend"), ("appear", "disappear"),
    ("appearing", "disappearing"), ("arrive", "depart"), ("approach", "retreat"), ("fill", "empty"),
    ("filling", "emptying"), ("fold", "unfold"), ("folding", "unfolding"), ("cover", "uncover"), ("put", "take"),
    ("putting", "taking"), ("build", "dismantle"), ("sit", "stand"), ("increase", "decrease"),
    ("before", "after"), ("first", "last"), ("towards", "away"), ("into", "outof"),
)  # fmt: skip
"""Chiral words: each the other's reverse (after the antonyms of TARA, arXiv 2512.13511, temporal hard negatives)."""
_AXES: dict[str, tuple[str, int]] = {}
for _one, _other in _OPPOSITES:
    _AXES.setdefault(_one, (_one, 1))
    _AXES.setdefault(_other, (_one, -1))


class DirectedText(NamedTuple):
    """The words of a text, with each direction replaced by its axis, and the way that each direction goes."""

    words: tuple[str, ...]
    ways: tuple[int, ...]


def split_directions(words: Iterable[str]) -> DirectedText:
    """Splits directions off normalised words (`teacher.words.words`); an ending -s of a verb does not matter."""
    plain: list[str] = []
    ways: list[int] = []
    for word in words:
        found = _axis(word)
        plain.append(f"±{found[0]}" if found else word)
        if found:
            ways.append(found[1])
    return DirectedText(tuple(plain), tuple(ways))


def axis_directions(words: Iterable[str]) -> dict[str, int]:
    """The way of each axis that the words name. An axis that goes both ways is left out."""
    found: dict[str, set[int]] = {}
    for axis, way in filter(None, map(_axis, words)):
        found.setdefault(axis, set()).add(way)
    return {axis: ways.pop() for axis, ways in found.items() if len(ways) == 1}


def _axis(word: str) -> tuple[str, int] | None:
    found = _AXES.get(word) or (_AXES.get(word[:-1]) if word.endswith("s") else None)
    return found or (_AXES.get(word[:-2]) if word.endswith("es") else None)
