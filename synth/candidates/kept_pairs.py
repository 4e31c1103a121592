"""What was paid for or said by people stays: pairs of earlier starts beside those that a first stage finds now."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import JsonValue

from hardcut.engine.files import sha256_of
from hardcut.engine.stage import Output
from hardcut.schemas.ids import digest
from hardcut.schemas.jsonl import read_records
from hardcut.schemas.kept import KeptPair
from hardcut.schemas.records import Dropped, FirstStage, Pair, Query
from hardcut.schemas.settings import Keep
from hardcut.synth.candidates.collection_index import CollectionIndex


@dataclass(frozen=True, slots=True)
class KeptFile:
    """The run's kept.jsonl, which need not be there. `keep` says what of it stays."""

    path: Path | None = None
    keep: Keep = "scored"

    @property
    def settings(self) -> Mapping[str, JsonValue]:
        """What of it changes the pairs; nothing where it is not there, as in every run that never grew."""
        if self.path is None or not self.path.exists() or self.keep == "nothing":
            return {}
        return {"kept": digest(sha256_of(self.path), self.keep)}

    def read(self) -> KeptPairs:
        """The pairs, by their queries."""
        pairs: defaultdict[str, list[KeptPair]] = defaultdict(list)
        if self.settings and self.path is not None:
            for pair in read_records(self.path, KeptPair):
                pairs[pair.query_id].append(pair)
        return KeptPairs(pairs, self.keep)


@dataclass(frozen=True, slots=True)
class KeptPairs:
    """The kept pairs by query. A query that has some passed the filters when they were made."""

    by_query: Mapping[str, list[KeptPair]] = field(default_factory=dict)
    keep: Keep = "scored"

    def videos(self, query_id: str) -> list[str]:
        """The videos that the query was judged with."""
        return [pair.video_id for pair in self.by_query.get(query_id, ())]

    def holds(self, query_id: str) -> bool:
        """Whether the query stays although the collection has grown around it."""
        return any(self._stays(pair) for pair in self.by_query.get(query_id, ()))

    def added(self, query: Query, output: Output, ranks: Mapping[str, FirstStage], index: CollectionIndex) -> Output:
        """The query's output with its kept pairs; one that cannot stay is dropped with the reason."""
        made = {record.id for record in (*output.records, *output.dropped) if isinstance(record, Pair)}
        made |= {record.item for record in output.dropped}
        missing = [pair for pair in self.by_query.get(query.query_id, ()) if pair.pair_id not in made]
        if not missing:
            return output
        aside = index.copies(query.source_video_id) | index.copies(query.reference_video_id)
        records, dropped = [*output.records], [*output.dropped]
        for pair in missing:
            why = self._why_not(pair, query, output.drop, aside, index)
            if why is None:
                records.append(_pair(pair, ranks))
            else:
                dropped.append(_dropped(pair, *why))
        return Output(records=records, dropped=dropped, drop=output.drop, failure=output.failure)

    def gone(self, queries: set[str], index: CollectionIndex) -> Iterator[tuple[str, Output]]:
        """The pairs of queries that are no part of the run any more."""
        for query_id in sorted(self.by_query.keys() - queries):
            for pair in self.by_query[query_id]:
                reason, detail = "query_gone", f"its query {query_id} is no part of the run any more"
                if pair.video_id not in index.videos:
                    reason, detail = "video_gone", f"its video {pair.video_id!r} is not among the videos any more"
                yield f"kept pair {pair.pair_id}", Output(drop=_dropped(pair, reason, detail))

    def _stays(self, pair: KeptPair) -> bool:
        return self.keep == "scored" or (self.keep == "reviewed" and pair.reviewed)

    def _why_not(
        self, pair: KeptPair, query: Query, drop: Dropped | None, aside: set[str], index: CollectionIndex
    ) -> tuple[str, str] | None:
        if pair.video_id not in index.videos:
            return "video_gone", f"its video {pair.video_id!r} is not among the videos any more"
        if drop is not None:
            return "query_left_out", f"its query {query.query_id}: {drop.reason}"
        if pair.video_id in aside and pair.video_id != query.source_video_id:
            return (
                "duplicate_of_source",
                f"query {query.query_id}: its video {pair.video_id} is a copy of its own video",
            )
        if not self._stays(pair):
            return "displaced", f"query {query.query_id}: others stand before {pair.video_id} (negatives.keep)"
        return None


def _pair(kept: KeptPair, ranks: Mapping[str, FirstStage]) -> Pair:
    found = (ranks[kept.video_id],) if kept.video_id in ranks else ()
    given = {"query_id": kept.query_id, "video_id": kept.video_id, "origins": kept.origins, "expected": kept.expected}
    return Pair.create(**given, first_stage=found)


def _dropped(pair: KeptPair, reason: str, detail: str) -> Dropped:
    return Dropped.create(item=pair.pair_id, stage="negatives", reason=reason, detail=detail)
