"""A filter of text, and its argument."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from hardcut.engine.stage import Reader
from hardcut.schemas.guards import PASSED, Answer, found
from hardcut.schemas.records import COUNTERFACTUAL, Caption, Evidence, Query, Video
from hardcut.schemas.settings import FilterSettings


@dataclass(frozen=True)
class WrittenQuery:
    """A query, the video that it was written from, and what is known of that video.

    `repeats` names, by the id of a query, the query that it repeats. It is empty where nobody looked for repeats.
    """

    query: Query
    video: Video
    records: Reader
    settings: FilterSettings
    repeats: Mapping[str, str]

    @cached_property
    def captions(self) -> Sequence[Caption]:
        """The captions of the video."""
        return self.records.about(Caption, self.video.video_id)

    @cached_property
    def evidence(self) -> Sequence[Evidence]:
        """The evidence of the video."""
        return self.records.about(Evidence, self.video.video_id)


def _always(settings: FilterSettings) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Filter:
    """A filter. `name` is the reason in `dropped.jsonl`.

    `version` is part of the stage's key. Count it up when the filter would find something else. None means that the
    version of the stage counts, as for the filters that every run of Hardcut had.

    `fault` says what is wrong with a query, and None where nothing is. Where the filter has no answer it returns
    `could_not_look(why)`, which keeps the dataset from being published. `on` says whether the settings ask for it.
    `counterfactuals` says whether it looks at counterfactuals too.
    """

    name: str
    version: int | None
    fault: Callable[[WrittenQuery], str | Answer | None]
    on: Callable[[FilterSettings], bool] = _always
    counterfactuals: bool = True

    def looks_at(self, written: WrittenQuery) -> bool:
        """Whether the filter looks at this query."""
        return self.on(written.settings) and (self.counterfactuals or written.query.variant not in COUNTERFACTUAL)

    def answer(self, written: WrittenQuery) -> Answer:
        """The filter's answer about a query."""
        fault = self.fault(written)
        return fault if isinstance(fault, Answer) else found(fault) if fault else PASSED
