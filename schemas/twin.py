"""The record of two videos that only watching tells apart."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from hardcut.schemas.base import Frozen, Record
from hardcut.schemas.records import Id, Text


class Difference(Frozen):
    """One difference of two videos: the text of each; `None` where a video has nothing to match."""

    here: Text | None
    there: Text | None


class Twin(Record):
    """Another video that differs little from this one, so that only watching tells them apart.

    `chiral`: the same things in another order or direction (TARA, chiral actions). `edit`: one thing differs. `caption`
    is the caption of the other video. Each pair of twins has two records, one for each direction.
    """

    FILE: ClassVar[str] = "twins.jsonl"
    ID: ClassVar[str] = "twin_id"
    PREFIX: ClassVar[str] = "w"
    IDENTITY: ClassVar[tuple[str, ...]] = ("video_id", "other_video_id", "relation")

    twin_id: Id
    video_id: Id
    other_video_id: Id
    relation: Literal["chiral", "edit"]
    caption: Text
    differences: tuple[Difference, ...] = Field(min_length=1)
