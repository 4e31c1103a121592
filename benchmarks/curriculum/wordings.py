"""Every text of the world in other words, which say the same: what a teacher is asked for, and reads back."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from benchmarks.curriculum.stories import HALVES, Asked, Half

NOT, THEN, AND = " , not ", " , then ", " and "
_NOTHING, _AFTER, _WITH = " while nothing ", " after ", " together with "
_THERE = "there is a "
_BEGINS = ("as it begins", "as it closes")


def reworded(asked: Asked) -> str:
    """The same question in other words."""
    halves = [_told(each) for each in asked.wanted]
    text = _AFTER.join(halves[::-1]) if asked.ordered else _WITH.join(halves)
    if asked.at is not None:
        text = f"{_BEGINS[asked.at]} {text}"
    if asked.without is not None:
        denied = asked.without
        text += _NOTHING + (f"goes {denied.direction}" if denied.direction else f"is beneath {denied.sign}")
    return text


def read(text: str) -> Asked:
    """What a text of the world asks for, in either wording."""
    if _THERE in text:
        return _read(text, _NOTHING, _AFTER, _WITH, _BEGINS, after=True)
    return _read(text, NOT, THEN, AND, HALVES, after=False)


def means(asked: Asked) -> object:
    """The same for texts that ask for the same."""
    wanted = asked.wanted if asked.ordered else tuple(sorted(map(str, asked.wanted)))
    return wanted, asked.ordered, asked.at, asked.without


def half_of(text: str) -> Half:
    """What half a clip must show, in either wording; a denial alone too."""
    words = text.split()
    found = dict(pairwise(words))
    direction = found.get("moves") or found.get("goes") or ""
    sign = found.get("under") or found.get("beneath") or ""
    if text.startswith(_THERE):
        return Half(found["in"], words[3], direction, sign)
    if words[:1] == ["a"]:
        return Half(words[1], words[2], direction, sign)
    return Half(direction=direction, sign=sign)


def _told(half: Half) -> str:
    moves = f" goes {half.direction}" if half.direction else ""
    return f"{_THERE}{half.shape} in {half.colour}" + moves + (f" beneath {half.sign}" if half.sign else "")


def _read(text: str, denies: str, order: str, both: str, when: Sequence[str], *, after: bool) -> Asked:
    told, _, denied = text.partition(denies)
    at = next((place for place, name in enumerate(when) if told.startswith(name)), None)
    if at is not None:
        told = told.removeprefix(when[at]).strip()
    ordered = order in told
    halves = [half_of(each) for each in told.split(order if ordered else both)]
    wanted = tuple(halves[::-1] if ordered and after else halves)
    kind = "negation" if denied else "moment" if at is not None else "temporal" if ordered else "event"
    return Asked(kind, text, wanted, ordered, at, half_of(denied) if denied else None)
