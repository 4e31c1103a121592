"""Filters of text that look at one query and its video and at nothing else: each is a file beside this one, and a line
here. They come before those that stand in `negatives.py`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hardcut.schemas.guards import PASSED, Answer, found
from hardcut.schemas.records import Caption, Query, Video


@dataclass(frozen=True, slots=True)
class AddedFilter:
    """A filter. `name` is the reason in `dropped.jsonl`; `version` is counted up whenever the filter would find
    something else. `fault` says what is wrong with a query that was written from a video, None where nothing is, and
    `could_not_look(why)` where it has no answer, which keeps the dataset from being published."""

    name: str
    version: int
    fault: Callable[[Query, Video, Sequence[Caption]], str | Answer | None]

    def answer(self, query: Query, video: Video, captions: Sequence[Caption]) -> Answer:
        """What the filter says of a query."""
        told = self.fault(query, video, captions)
        return told if isinstance(told, Answer) else found(told) if told else PASSED


ADDED_FILTERS: tuple[AddedFilter, ...] = (
    # AddedFilter(name, version, function),
)
