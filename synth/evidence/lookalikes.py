"""Latin readings that may be Cyrillic or Greek: `MOCKBA`, `KACCA`, `TAMEIO`. The recogniser gives them at .99: the
letters are the same. What tells them from Latin words is which letters follow each other.

A line that has a letter without a twin in the other scripts (`STOP`, `COFFEE`) is Latin. The rest is weighed by the
log-odds of three letters in a row, fitted by `benchmarks/lookalikes.py`. Of single words held out 55 % of the Latin
ones pass and 3.5 % of the others, each counted by how often it is used. A line that does not pass is told as unread.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

Model = Mapping[str, int]
"""Log-odds in tenths of a letter after the two before it; `^` is before a word, `$` its end."""

LETTERS = frozenset("ABCEHIKMNOPTXYZ3")
"""Capitals that have a twin in Cyrillic or Greek, and the figure that is read for З."""
_SMALL = frozenset("aceiopxyk")
"""Small letters that have one."""
LEAST = 2.0
"""Log-odds above which a line is Latin: about 7 to 1."""


def may_be_lookalikes(text: str) -> bool:
    """Whether a reading in Latin letters may as well be of Cyrillic or Greek ones."""
    plain = "".join(c for c in unicodedata.normalize("NFD", text) if not unicodedata.combining(c))
    letters = [character for character in plain if character.isalpha()]
    if not letters or not all(character in LETTERS or character in _SMALL for character in letters):
        return False
    words = re.findall(r"[A-Z3]+", plain.upper())
    return sum(odds(word, _model()) for word in words if re.search("[A-Z]", word)) <= LEAST


def odds(word: str, model: Model) -> float:
    """Log-odds of a word in capitals: above 0 it is rather Latin."""
    padded = f"^^{word}$"
    return sum(model.get(padded[at : at + 3], 0) for at in range(len(padded) - 2)) / 10


@cache
def _model() -> Model:
    found: dict[str, int] = json.loads(files("hardcut.synth.evidence").joinpath("lookalikes.json").read_text("utf-8"))
    return found
