"""Limits of ids, grades and numbers from outside. Errors name file and line."""

from __future__ import annotations

MAX_ID = 512
"""Characters of an id, as in every record."""
MAX_GRADE = 1_000_000
"""Of a judgment, on either side of 0. trec_eval makes a table as long as the highest grade, and from 2^31 - 1 on counts
all documents as not relevant without a word."""
MAX_DIGITS = 300
"""Of a whole number: what is longer is no number that can be computed with (a float ends at 309 digits)."""
_SHOWN = 40


def shown(value: object) -> str:
    """A value for an error message. Long ones are cut."""
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}... ({len(text):,} characters)"


def whole_number(text: str) -> int:
    """The whole number in a text. Raises ValueError for other text and for more than `MAX_DIGITS` digits."""
    if len(text) > MAX_DIGITS:
        raise ValueError(f"a number of {len(text):,} digits, and {MAX_DIGITS} may be")
    return int(text)


def checked_grade(grade: int) -> int:
    """The grade. Raises ValueError where it is out of range."""
    if abs(grade) > MAX_GRADE:
        raise ValueError(f"is out of range: a grade is at most {MAX_GRADE:,} and at least -{MAX_GRADE:,}")
    return grade


def checked_id(id: str) -> str:
    """The id. Raises ValueError where it is too long."""
    if len(id) > MAX_ID:
        raise ValueError(f"has {len(id):,} characters: an id has at most {MAX_ID}")
    return id
