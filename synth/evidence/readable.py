"""Which readings are evidence: a recogniser answers whatever it is shown, and most of what it says of a texture is a
sign or two that another crop would give differently."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from typing import TYPE_CHECKING

from hardcut.synth.evidence.tracks import Line

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
_SAME, _LONG = 0.9, 9
"""Likeness from which on two readings of a line of so many signs are one."""
_LEAST_OF_EACH = 2
"""Signs of either script in a word of Han signs and Latin letters, which are at home in one word (`卡拉OK`)."""

_AT_HOME = ({"HAN", "LATIN"}, {"HAN", "KANA", "LATIN"}, {"KANA", "LATIN"}, {"HAN", "KANA"}, {"HAN", "HANGUL"})
_SCRIPTS = {"CJK": "HAN", "HIRAGANA": "KANA", "KATAKANA": "KANA", "KATAKANA-HIRAGANA": "KANA", "HALFWIDTH": "KANA"}


def believable(line: Line, stable: float) -> bool:
    """Whether a line is evidence. `stable` is the share of slightly other crops of it that read the same."""
    letters = sum(character.isalnum() for character in line.text)
    if mixes_scripts(line.text):
        return False
    if letters == 1:
        plain = line.text.isascii()  # of a script with thousands of signs, one is always near
        lasts = line.end - line.start >= LONE_SECONDS
        return plain and lasts and stable == 1.0 and line.confidence >= LONE_CONFIDENCE
    if letters == 2:
        return (
            stable == 1.0 and line.confidence >= SURE and (line.repeated > 1 or line.end - line.start >= LONE_SECONDS)
        )
    once = line.confidence >= SURE and stable >= STABLE
    mostly = line.repeated > 1 and 2 * line.repeated >= len(line.readings)
    return once or (mostly and line.confidence >= FAIRLY_SURE and stable >= FAIRLY_STABLE)


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
    """The picture of a line, cut and scaled a little differently."""
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


def agreement(text: str, readings: Sequence[str]) -> float:
    """The share of readings that say the text."""
    return sum(_says(text, reading) for reading in readings) / max(1, len(readings))


def _says(text: str, reading: str) -> bool:
    one, other = ("".join(filter(str.isalnum, each.casefold())) for each in (text, reading))
    if one == other or len(one) < _LONG:
        return one == other
    return SequenceMatcher(None, one, other, autojunk=False).ratio() >= _SAME
