"""Stage rewrites: the wordings that reviewers propose become queries of their own, scored like any other."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import JsonValue

from hardcut.engine.files import sha256_of
from hardcut.engine.stage import Output, Reader
from hardcut.schemas.base import Record
from hardcut.schemas.jsonl import read_records
from hardcut.schemas.judgments import Review
from hardcut.schemas.records import COUNTERFACTUAL, Dropped, Query
from hardcut.schemas.reviews import query_digest
from hardcut.schemas.text.clean import clean, length_class

MAX_CHARACTERS = 500
"""A longer wording is no query: it is left out, not cut."""


@dataclass(frozen=True, slots=True)
class RewriteStage:
    """Makes a Query of every wording in `reviews` (a run's reviews.jsonl, which need not be there yet); its units are
    the queries that were rewritten.

    A rewrite keeps what its parent is about: view, kind, facets, source and reference video, but not the user's own
    id, whose judgments and first stage belong to the user's own words. One of a counterfactual has no source: nobody
    knows before it is judged whether the video answers it. A wording for a text that the query no longer has is
    passed over, as all of that review is.
    """

    reviews: Path

    kind: ClassVar[Literal["collection"]] = "collection"
    name: ClassVar[str] = "rewrites"
    version: ClassVar[int] = 2
    reads: ClassVar[tuple[type[Record], ...]] = (Query,)
    makes: ClassVar[tuple[type[Record], ...]] = (Query,)

    @property
    def settings(self) -> Mapping[str, JsonValue]:
        return {"reviews": sha256_of(self.reviews) if self.reviews.exists() else None}

    def run(self, records: Reader) -> Iterable[tuple[str, Output]]:
        wordings: defaultdict[str, set[tuple[str, str]]] = defaultdict(set)
        for review in read_records(self.reviews, Review) if self.reviews.exists() else ():
            if review.status == "submitted" and review.rewritten_query is not None:
                wordings[review.query_id].add((clean(review.rewritten_query), review.query_digest))
        made: set[str] = set()
        for query_id, texts in sorted(wordings.items()):
            parent = records.get(Query, query_id)
            if parent is not None:
                yield query_id, _output(parent, sorted(text for text, of in texts if of == query_digest(parent)), made)


def _output(parent: Query, texts: Iterable[str], made: set[str]) -> Output:
    """The parent's rewrites; `made` are the ids of all so far, since two parents can be given one wording."""
    queries, dropped = [], []
    for text in texts:
        if not text or text == clean(parent.text):
            continue
        query = _rewrite(parent, text)
        if len(text) > MAX_CHARACTERS:
            detail = f"the wording that a reviewer proposes has {len(text)} characters, at most {MAX_CHARACTERS} can be"
            dropped.append(
                Dropped.create(item=parent.query_id, stage=RewriteStage.name, reason="too_long", detail=detail)
            )
        elif query.query_id not in made:
            made.add(query.query_id)
            queries.append(query)
    return Output(records=queries, dropped=dropped)


def _rewrite(parent: Query, text: str) -> Query:
    return Query.create(
        text=text,
        language=parent.language,
        view=parent.view,
        kind=parent.kind,
        variant="rewritten",
        length=length_class(text),
        facets=parent.facets,
        source_video_id=None if parent.variant in COUNTERFACTUAL else parent.source_video_id,
        parent_query_id=parent.query_id,
        reference_video_id=parent.reference_video_id,
    )
