"""Pairs that were paid for or answered, and that stay pairs when the collection grows."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from hardcut.schemas.base import Record
from hardcut.schemas.records import Id, Origin


class KeptPair(Record):
    """A pair that a teacher scored or a person reviewed."""

    FILE: ClassVar[str] = "kept.jsonl"
    ID: ClassVar[str] = "pair_id"

    pair_id: Id
    query_id: Id
    video_id: Id
    origins: tuple[Origin, ...] = Field(min_length=1)
    expected: Literal["yes", "no", "unknown"]
    reviewed: bool = False
