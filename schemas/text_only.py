"""The pairs that a judge is also asked about without the video, by its metadata alone."""

from __future__ import annotations

from hardcut.schemas.records import Pair

TEXT_ONLY_RANK = 5
"""Mined candidates up to this rank are also judged without the video: four or five a query, so that a judge that
guesses is right about all of them and the source less than once in thirty times."""


def asked_text_only(pair: Pair) -> bool:
    """Whether a pair shows if a query can be answered without watching: its source, and its best candidates."""
    near = any(found.rank <= TEXT_ONLY_RANK for found in pair.first_stage)
    return "source" in pair.origins or ("mined" in pair.origins and pair.expected == "no" and near)
