"""Triplets of texts: what an embedding model learns order, negation and edits from (TARA, arXiv 2512.13511)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import ClassVar, Literal

from hardcut.schemas.base import Frozen, Record
from hardcut.schemas.records import Id, Split, TeacherRef, Text

Nuance = Literal["temporal", "negation", "composed", "facet"]
"""In what the hard negative differs: order or direction; what is denied; an edit that was not made; one thing."""
NUANCES: tuple[Nuance, ...] = ("temporal", "negation", "composed", "facet")
TextKind = Literal["query", "counterfactual", "affirmed", "caption", "edited", "given", "written", "paraphrase"]
"""Where a text is from: a query, or a counterfactual; a denial without its denial; claims of a caption, or those
of another one and an edit; a line of the user's own file, or what was written of it; another wording of these."""


AFFIRMED = "#affirmed"
"""What the id of a denial's query ends in where its denial was taken out."""


class TextSource(Frozen):
    """Where a text of a triplet is from. `id` is that of the query (of a paraphrase: the one that is reworded), of the
    caption, or of the line of the user's file (`captions.txt:12`). `teacher` wrote it; None where nobody did."""

    kind: TextKind
    id: Id
    teacher: TeacherRef | None = None


class Triplet(Record):
    """Three texts: the positive says the same as the anchor, and the hard negative, in nearly the same words, does not.

    `anchor` of a composed one is a caption and the edit that is asked for, as `composed_anchor` joins them. Triplets of
    one `set_id` have the same texts in other roles, so that no text tells by itself whether it is a positive; they
    stay together. `video_id` is a video that anchor and positive are true of, and the negative is not; None where no
    such video is known. `made_from` is the video whose texts they are, and `family` the query that they began with;
    None without videos.
    """

    FILE: ClassVar[str] = "triplets.jsonl"
    ID: ClassVar[str] = "triplet_id"
    PREFIX: ClassVar[str] = "t"
    IDENTITY: ClassVar[tuple[str, ...]] = ("set_id", "nuance", "anchor", "positive", "hard_negative")

    triplet_id: Id
    set_id: Id
    nuance: Nuance
    anchor: Text
    positive: Text
    hard_negative: Text
    anchor_source: TextSource
    positive_source: TextSource
    hard_negative_source: TextSource
    video_id: Id | None = None
    made_from: Id | None = None
    family: Id | None = None
    split: Split | None = None

    @property
    def about(self) -> str:
        return self.made_from or ""


def is_balanced(triplets: Iterable[Triplet]) -> bool:
    """Whether each text is as often a positive as a hard negative."""
    counts: Counter[str] = Counter()
    for each in triplets:
        counts[each.positive] += 1
        counts[each.hard_negative] -= 1
    return not any(counts.values())


def composed_anchor(caption: str, edit: str) -> str:
    """The anchor of a composed triplet: a caption, and what is to be changed."""
    return f"{caption} Edit: {edit}"
