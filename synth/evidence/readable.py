"""Which readings are evidence: a recogniser answers whatever it is shown, and most of what it says of a texture is a
sign or two that another crop would give differently."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from difflib import SequenceMatcher
from math import ceil
from typing import TYPE_CHECKING

from hardcut.synth.evidence.tracks import SAME_LINE, Line, likeness

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Image = NDArray[np.uint8]

LONE_CONFIDENCE, LONE_SECONDS = 0.95, 1.0
"""A lone sign is read so surely and stands so long; mostly they are wheels, doors and windows."""
SURE, FAIRLY_SURE = 0.8, 0.7
"""Least confidence of a word, and of one that was read the same in two pictures and in half of those it stood in."""
STABLE, FAIRLY_STABLE = 0.8, 0.6
"""Share of the crops that give the same reading."""
CROPS = 5
VERY_SURE, ENOUGH, LEAST_LETTERS = 0.95, 2, 4
"""A reading of so many letters that is so sure is not read again once the first crops say the same. On the shared clips
all 28 such readings whose first two crops agreed had the other three too."""
_SAME, _LONG, _ALIKE = 0.9, 9, 2
"""Likeness from which on two readings of a line of so many signs are one, and how many crops must give each of its
letters: where every crop slips in another one, as of small print, so does the reading."""
_FAINT = 20.0
"""Least difference (0..255, in some channel) of letters and what is behind them. What is fainter is misread alike in
all crops. On the shared clips no line that is evidence has less than 65."""
_LEAST_OF_EACH = 2
"""Signs of either script in a word of Han signs and Latin letters, which are at home in one word (`卡拉OK`)."""

_AT_HOME = ({"HAN", "LATIN"}, {"HAN", "KANA", "LATIN"}, {"KANA", "LATIN"}, {"HAN", "KANA"}, {"HAN", "HANGUL"})
_SCRIPTS = {"CJK": "HAN", "HIRAGANA": "KANA", "KATAKANA": "KANA", "KATAKANA-HIRAGANA": "KANA", "HALFWIDTH": "KANA"}


def believable(line: Line, others: Iterable[str], before: Sequence[Line] = ()) -> bool:
    """Whether a line is evidence. `others` are what slightly other crops of it (`crops`) are read as; no more of them
    are asked for than decide it. `before` are lines of the same video that are evidence: what another picture of it
    said in the same place needs no crops."""
    least = least_agreement(line)
    if least is None:
        return False
    if line.confidence >= SURE and any(_recurs(line, each) for each in before):
        return True
    return agree(line, others, least)


def least_agreement(line: Line) -> float | None:
    """The share of other crops that must give a line's reading before it is evidence; None where it cannot be any."""
    letters = _letters(line.text)
    if mixes_scripts(line.text):
        return None
    lasts = line.end - line.start >= LONE_SECONDS
    if letters == 1:
        plain = line.text.isascii()  # of a script with thousands of signs, one is always near
        return 1.0 if plain and lasts and line.confidence >= LONE_CONFIDENCE else None
    if letters == 2:
        return 1.0 if line.confidence >= SURE and (line.repeated > 1 or lasts) else None
    mostly = line.repeated > 1 and 2 * line.repeated >= len(line.readings)
    if mostly and line.confidence >= FAIRLY_SURE:
        return FAIRLY_STABLE
    return STABLE if line.confidence >= SURE else None


def agree(line: Line, others: Iterable[str], least: float) -> bool:
    """Whether at least that share of all crops say what the line says, and some of them all its letters."""
    needed = ceil(least * CROPS - 1e-9)
    sure = line.confidence >= VERY_SURE and _letters(line.text) >= LEAST_LETTERS
    agreeing = alike = 0
    for number, other in enumerate(others, start=1):
        agreeing += _says(line.text, other)
        alike += _signs(line.text) == _signs(other)
        if alike >= _ALIKE and (agreeing >= needed or (sure and agreeing == number == ENOUGH)):
            return True
        left = CROPS - number
        if agreeing + left < needed or alike + left < _ALIKE:
            return False
    return False


def is_faint(line: Image) -> bool:
    """Whether the picture of a line hardly shows its letters."""
    import numpy as np

    low, high = np.quantile(line.reshape(-1, line.shape[-1]), (0.02, 0.98), axis=0)
    return bool((high - low).max() < _FAINT)


def _recurs(line: Line, before: Line) -> bool:
    same_place = likeness(line.box, before.box) >= SAME_LINE
    return same_place and _letters(line.text) > _LEAST_OF_EACH and line.text == before.text


def _letters(text: str) -> int:
    return sum(character.isalnum() for character in text)


def mixes_scripts(text: str) -> bool:
    """Whether a word is of letters of two scripts that do not go together: then it was read as look-alikes."""
    return any(_is_mixed(word) for word in text.split())


def scripts_of(text: str) -> set[str]:
    """The scripts of the letters of a text, as Unicode names them; Chinese signs are `HAN`, and kana `KANA`."""
    return {script for character in text if (script := _script(character))}


def _is_mixed(word: str) -> bool:
    scripts = [script for character in word if (script := _script(character))]
    kinds = set(scripts)
    if len(kinds) < 2:
        return False
    if kinds not in _AT_HOME:
        return True
    if "LATIN" not in kinds:
        return False
    latin = scripts.count("LATIN")
    return min(latin, len(scripts) - latin) < _LEAST_OF_EACH


def _script(character: str) -> str:
    """The script of a letter by its name in Unicode; empty for what is none."""
    if not character.isalpha():
        return ""
    name = unicodedata.name(character, "").split(" ")[0]
    return _SCRIPTS.get(name, name)


def crops(line: Image) -> Iterator[Image]:
    """The picture of a line, cut and scaled a little differently: CROPS of them."""
    import cv2
    import numpy as np

    height, width = line.shape[:2]
    down, across = max(1, height // 10), max(1, height // 6)
    trim = height // 16
    yield np.asarray(cv2.copyMakeBorder(line, down, down, across, across, cv2.BORDER_REPLICATE), dtype=np.uint8)
    smaller = (max(4, round(width * 0.75)), max(4, round(height * 0.75)))
    yield np.asarray(cv2.resize(line, smaller, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    yield np.asarray(cv2.GaussianBlur(line, (0, 0), max(0.6, height / 40)), dtype=np.uint8)
    wider = (max(4, round(width * 1.1)), height)
    yield np.asarray(cv2.resize(line, wider, interpolation=cv2.INTER_LINEAR), dtype=np.uint8)
    yield line[trim : height - trim, trim : width - trim] if min(height, width) > 4 * trim + 4 else line


def _signs(text: str) -> str:
    return "".join(filter(str.isalnum, text.casefold()))


def _says(text: str, reading: str) -> bool:
    one, other = _signs(text), _signs(reading)
    if one == other or len(one) < _LONG:
        return one == other
    return SequenceMatcher(None, one, other, autojunk=False).ratio() >= _SAME
