"""Which of two videos answers a query better, as people say: the record, what they agree on, and which labels
contradict it. Pure functions."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from hardcut.schemas.base import Frozen, Record
from hardcut.schemas.judgments import Judgment
from hardcut.schemas.records import Id, Query, Sha256, Text
from hardcut.schemas.reviews import query_digest

Better = Literal["left", "right", "both", "neither"]
"""The one that answers better; `both`: alike; `neither`: none of them answers."""
PEOPLE = 2
"""Answers that two videos need: one person alone overrides no teacher here."""


class Side(Frozen):
    """One of the two: its pair with the query, the video, and the digest of the file that was seen."""

    pair_id: Id
    video_id: Id
    video_sha256: Sha256


class Comparison(Record):
    """A person's answer to which of two videos answers a query better, blind to teachers and to how they met the query.

    It belongs to the words (`query_digest`) and to the files that were seen. Which video is `left` hangs on a digest.
    `given_at` is when the server first had the answer (UTC, ISO 8601), `record_id` the record there.
    """

    FILE: ClassVar[str] = "comparisons.jsonl"
    ID: ClassVar[str] = "comparison_id"
    PREFIX: ClassVar[str] = "b"
    IDENTITY: ClassVar[tuple[str, ...]] = ("query_digest", "left", "right", "reviewer")

    comparison_id: Id
    query_id: Id
    query_digest: Sha256
    left: Side
    right: Side
    reviewer: Text
    better: Better | None = None
    given_at: Text
    record_id: Text
    status: Literal["submitted", "draft", "discarded"]

    @property
    def sides(self) -> tuple[Side, Side]:
        return self.left, self.right


@dataclass(frozen=True, slots=True)
class Agreed:
    """What most of the people who compared two pairs say; `people` of them, of `of`."""

    left: str
    right: str
    said: Better
    people: int
    of: int

    @property
    def order(self) -> tuple[str, str] | None:
        """The pair that answers better and the other; `None` where people put neither first."""
        if self.said == "left":
            return self.left, self.right
        return (self.right, self.left) if self.said == "right" else None


def is_compared(comparison: Comparison) -> bool:
    """Whether it is an answer: no draft, not discarded."""
    return comparison.status == "submitted" and comparison.better is not None


def applies(comparison: Comparison, query: Query | None, contents: Mapping[str, str]) -> bool:
    """Whether the run still has the words and both files that were compared; `contents` are the digests of its
    videos' files."""
    if query is None or query_digest(query) != comparison.query_digest:
        return False
    return all(contents.get(side.video_id) == side.video_sha256 for side in comparison.sides)


def agreed_orders(comparisons: Iterable[Comparison]) -> list[Agreed]:
    """What people agree on, of the comparisons that apply: at least `PEOPLE` say the same, and more than half of those
    who compared the two. Sorted by pairs."""
    said: defaultdict[tuple[str, str], dict[str, Better]] = defaultdict(dict)
    for each in comparisons:
        if is_compared(each) and each.better is not None:
            said[each.left.pair_id, each.right.pair_id][each.reviewer] = each.better
    found = []
    for (left, right), people in sorted(said.items()):
        [(better, count)] = Counter(people.values()).most_common(1)
        if count >= PEOPLE and 2 * count > len(people):
            found.append(Agreed(left, right, better, count, len(people)))
    return found


def contradictions(agreed: Iterable[Agreed], judgments: Mapping[str, Judgment]) -> dict[str, str]:
    """The pairs whose label of a teacher contradicts what people agree on, each with what they say. `judgments`: of
    these pairs, those that have one.

    People who put A before B contradict a grade of B above A's; *alike* contradicts a yes beside a no; *neither* a yes.
    Labels that people or the user's own file gave stand: only teachers' labels become undecided. Margins contradict
    nothing where the labels agree with people.
    """
    found: dict[str, str] = {}
    for each in agreed:
        told = f"{each.people} of {each.of} people say {_TOLD[each.said]}"
        for pair_id in _against(each, judgments):
            if judgments[pair_id].source == "teacher":
                other = each.right if pair_id == each.left else each.left
                found.setdefault(pair_id, f"{told}, of this pair ({_place(each, pair_id)}) and {other}")
    return found


_TOLD: Mapping[Better, str] = {
    "left": "that the left one answers better",
    "right": "that the right one answers better",
    "both": "that both answer alike",
    "neither": "that neither answers",
}


def _place(agreed: Agreed, pair_id: str) -> str:
    return "left" if pair_id == agreed.left else "right"


def _against(agreed: Agreed, judgments: Mapping[str, Judgment]) -> Iterator[str]:
    """The pairs whose labels cannot all be right if people are."""
    sides = (agreed.left, agreed.right)
    grades = [judgments[id].grade if id in judgments else None for id in sides]
    if agreed.said == "neither":
        yield from (id for id, grade in zip(sides, grades, strict=True) if grade)
        return
    left, right = grades
    if left is None or right is None:
        return
    if agreed.said == "both":
        wrong = (left > 0) != (right > 0)
    else:
        wrong = right > left if agreed.said == "left" else left > right
    if wrong:
        yield from sides
