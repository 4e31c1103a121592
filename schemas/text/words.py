"""Words of any script, lightly normalised, and an index that finds them in texts despite small reading errors."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\W_]+(?:'[^\W_]+)*")
"""A run of letters and digits; in Chinese and Japanese, written without spaces, each character."""

STOP_WORDS = frozenset(
    """a about an and any are as at be been but by can could did do does for from had has have he her his i if in into
    is it its let now of on or our over she should so some than that the their them there these they this those to us
    was we were what when where which who whose will with would you your""".split()  # noqa: SIM905 - read as prose
)


_DIRECTIONS = {
    "left to right": "lefttoright", "right to left": "righttoleft", "upward": "upwards", "downward": "downwards",
}  # fmt: skip
"""A direction is one word, so that the other way round is another one."""
DIRECTIONS = frozenset(("lefttoright", "righttoleft", "upwards", "downwards"))
MOVEMENT = DIRECTIONS | {"moves"}
COLOURS = frozenset(
    "black grey white brown red orange yellow green turquoise blue purple pink".split()  # noqa: SIM905 - read as prose
)
"""As evidence of motion and colour names them."""
_DIRECTION = re.compile(r"\b(left to right|right to left|upward|downward)\b")
_MOVING = frozenset(
    """cross crosses drive drives fly flies glide glides move moves pass passes roll rolls sail sails slide slides
    travel travels walk walks""".split()  # noqa: SIM905 - read as prose
)
"""Ways of moving that evidence of motion cannot tell apart."""


def normalise(text: str) -> str:
    """Case, width, accents and vowel marks removed."""
    if text.isascii():
        return text.lower()
    folded = unicodedata.normalize("NFKD", text).casefold().replace("\u2019", "'")
    return "".join(letter for letter in folded if not unicodedata.category(letter).startswith("M"))


def words(text: str) -> list[str]:
    """The words of a text in order, normalised, without a possessive 's. Synonyms of a direction, and of a way of
    moving, are one word each."""
    plain = _DIRECTION.sub(lambda match: _DIRECTIONS[match[1]], normalise(text))
    found = (word.removesuffix("'s") for word in _WORD.findall(plain))
    return ["moves" if word in _MOVING else word for word in found]


def word_weight(word: str) -> float:
    """The weight of a word: its length, between 2 and 8. There is no corpus to count words in."""
    return float(min(max(len(word), 2), 8))


def contains_phrase(text: Sequence[str], phrase: Sequence[str]) -> bool:
    """Whether the words of `phrase` follow each other in `text`."""
    size = len(phrase)
    return any(list(text[at : at + size]) == list(phrase) for at in range(len(text) - size + 1)) if size else False


def one_letter_apart(one: str, other: str) -> bool:
    """Whether two words of five letters or more are one letter apart: wrong, missing, added or swapped."""
    return not deletion_variants(one).isdisjoint(deletion_variants(other))


class WordIndex:
    """Finds a word in numbered texts. A word of five letters or more is also found with one letter wrong, missing,
    added or swapped, for less credit; numbers and short words only as they are."""

    EXACT = 1.0
    FUZZY = 0.85

    def __init__(self, texts: Sequence[str]) -> None:
        self._exact: dict[str, set[int]] = {}
        self._fuzzy: dict[str, set[int]] = {}
        for number, text in enumerate(texts):
            for word in words(text):
                self._exact.setdefault(word, set()).add(number)
        for word, numbers in self._exact.items():
            for variant in deletion_variants(word):
                self._fuzzy.setdefault(variant, set()).update(numbers)

    def find(self, word: str) -> dict[int, float]:
        """The numbers of the texts that contain the normalised `word`, each with its credit (0 to 1)."""
        exact = self._exact.get(word)
        if exact:
            return dict.fromkeys(exact, self.EXACT)
        found: set[int] = set()
        for variant in deletion_variants(word):
            found |= self._fuzzy.get(variant, set())
        return dict.fromkeys(found, self.FUZZY)


def deletion_variants(word: str) -> set[str]:
    """A word of five letters or more, and all versions of it without one letter. Two words that are one edit apart
    share one of these."""
    if len(word) < 5 or word.isdigit():
        return set()
    return {word, *(word[:at] + word[at + 1 :] for at in range(len(word)))}
