"""Whether one video would answer two texts of nearly the same letters: the same words, numbers and signs."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from functools import lru_cache

HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
SYLLABLES = "\u3040-\u30ff\uac00-\ud7a3"
"""Kana and Hangul."""
UNSPACED = "\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff"
"""Thai, Lao, Tibetan, Burmese and Khmer: letters as in Latin, and no blank between words."""


def _marks() -> str:
    """The ranges of combining marks (Unicode's category M). They are letters in the scripts of India and South-East
    Asia, and `\\w` of `re` knows none of them."""
    found: list[list[int]] = []
    for code in range(0x300, 0x1F000):
        if unicodedata.category(chr(code))[0] == "M":
            if found and found[-1][1] == code - 1:
                found[-1][1] = code
            else:
                found.append([code, code])
    return "".join(f"{chr(first)}-{chr(last)}" for first, last in found)


MARKS = _marks()
_NUMBER = re.compile(r"\d+")
_WORD = re.compile(
    f"[{HAN}]|(?![{MARKS}])[{UNSPACED}][{MARKS}]*|(?:[^\\W{HAN}{SYLLABLES}{UNSPACED}]|(?![{UNSPACED}])[{MARKS}])+"
)
_ARTICLES = frozenset(
    ["a", "an", "the", "ein", "eine", "der", "die", "das", "un", "une", "le", "la", "les", "el", "los", "las", "una"]
)
ENDING = 2
"""How many letters an ending has at most."""


def numbers(text: str) -> tuple[str, ...]:
    """The numbers of a text, sorted. Texts whose numbers differ ask for different videos."""
    return tuple(sorted(_NUMBER.findall(text)))


def same_wording(here: str, there: str) -> bool:
    """Whether the texts (as `normalised_text` gives them) differ in spelling, endings, articles or an added word alone.

    Another number, or another word in the place of one, is another question: "number 7 wins" and "number 8 wins" share
    nearly all of their letters and no video. Where words have no ends that can be seen, Chinese characters and the
    letters of South-East Asia stand for them; kana and Hangul are not compared so.
    """
    if numbers(here) != numbers(there):
        return False
    ours, theirs = words_of(here), words_of(there)
    left = [*(theirs - ours).elements()]
    replaced = False
    for word in (ours - theirs).elements():
        match = next((other for other in left if spelled_alike(word, other)), None)
        if match is None:
            replaced = True
        else:
            left.remove(match)
    return not (replaced and left)


def words_of(text: str) -> Counter[str]:
    """The words of a text, articles left out, each with how often it comes."""
    return Counter(word for word in _WORD.findall(text) if word not in _ARTICLES)


@lru_cache(maxsize=1 << 16)
def spelled_alike(here: str, there: str) -> bool:
    """Whether two words are one but for an ending or a slip: a letter of four to seven, two of eight and more."""
    short, long = sorted((here, there), key=len)
    if len(long) - len(short) <= ENDING and long.startswith(short):
        return True
    slips = slips_of(short)
    return len(long) - len(short) <= slips and _within(short, long, slips)


def slips_of(word: str) -> int:
    """How many letters of a word may be slips, where the other is no shorter."""
    return 0 if len(word) < 4 else 1 if len(word) < 8 else 2


def _within(here: str, there: str, slips: int) -> bool:
    """Whether so many letters put in, taken out or replaced, or fewer, make one of the other (Levenshtein, 1966)."""
    least = min(len(here), len(there))
    same = next((at for at in range(least) if here[at] != there[at]), least)
    here, there = here[same:], there[same:]
    least -= same
    same = next((at for at in range(least) if here[-1 - at] != there[-1 - at]), least)
    here, there = here[: len(here) - same], there[: len(there) - same]
    if not slips or not here or not there:
        return max(len(here), len(there)) <= slips
    return (
        _within(here[1:], there[1:], slips - 1)
        or _within(here, there[1:], slips - 1)
        or _within(here[1:], there, slips - 1)
    )
