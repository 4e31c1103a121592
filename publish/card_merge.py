"""A card that people edited on the Hub and a new version of it: both texts in one. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher

from hardcut.schemas.errors import UsageError


class CardConflict(UsageError):
    """People changed lines that the new version changes too. The message has the first of them."""


def merge_cards(before: str, theirs: str, ours: str) -> str:
    """The new card `ours` with what people made of `before`, the card that Hardcut wrote last: `theirs`.

    A three-way merge by lines: where only one side changed a stretch its text stands. Raises CardConflict where both
    changed one differently.

    >>> merge_cards("# A\\n10 rows\\n", "# A\\nAsk Jo.\\n10 rows\\n", "# A\\n12 rows\\n")
    '# A\\nAsk Jo.\\n12 rows\\n'
    """
    base, here, there = (text.splitlines(keepends=True) for text in (before, ours, theirs))
    merged: list[str] = []
    at, at_here, at_there = 0, 0, 0
    for start, start_here, start_there, length in _common(base, here, there):
        merged += _one_of(base[at:start], here[at_here:start_here], there[at_there:start_there])
        merged += base[start : start + length]
        at, at_here, at_there = start + length, start_here + length, start_there + length
    return "".join(merged)


def _one_of(base: Sequence[str], here: Sequence[str], there: Sequence[str]) -> Sequence[str]:
    """The text of the side that changed a stretch."""
    if there in (base, here):
        return here
    if here == base:
        return there
    line = next(iter(there or base)).strip()
    raise CardConflict(f"{line[:80]!r} was edited there, and this version changes it too")


def _common(base: Sequence[str], here: Sequence[str], there: Sequence[str]) -> Iterator[tuple[int, int, int, int]]:
    """Stretches that all three have, in order: where each begins, and how many lines it has. The last is empty and
    stands at the ends."""
    ours = SequenceMatcher(None, base, here, autojunk=False).get_matching_blocks()
    theirs = SequenceMatcher(None, base, there, autojunk=False).get_matching_blocks()
    for in_base, in_here, size in ours:
        for in_base_too, in_there, size_too in theirs:
            start, end = max(in_base, in_base_too), min(in_base + size, in_base_too + size_too)
            if start < end:
                yield start, in_here + start - in_base, in_there + start - in_base_too, end - start
    yield len(base), len(here), len(there), 0
