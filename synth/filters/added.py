"""Filters of text that look at one query and its video and at nothing else: each is a file beside this one, and a line
here. They come before those that stand in `negatives.py`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hardcut.schemas.records import Caption, Query, Video


@dataclass(frozen=True, slots=True)
class AddedFilter:
    """A filter. `name` is the reason in `dropped.jsonl`; `version` is counted up whenever the filter would find
    something else. `fault` says what is wrong with a query that was written from a video, None where nothing is."""

    name: str
    version: int
    fault: Callable[[Query, Video, Sequence[Caption]], str | None]


ADDED_FILTERS: tuple[AddedFilter, ...] = (
    # AddedFilter(name, version, function),
)


def first_fault(query: Query, video: Video, captions: Sequence[Caption]) -> tuple[str, str] | None:
    """The first of these filters that leaves the query out, and why."""
    for each in ADDED_FILTERS:
        if fault := each.fault(query, video, captions):
            return each.name, fault
    return None
