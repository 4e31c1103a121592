"""Stage negatives: each query meets its source, what a first stage finds for it, and twins (RANKVIDEO, TARA).

What makes a pair a hard negative is said by `origins`: mined (a first stage found the video), counterfactual (the
query was rewritten so that its source does not answer it, or the video is a twin of the source).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import JsonValue

from hardcut.engine.stage import Output, Reader
from hardcut.schemas.base import Record
from hardcut.schemas.copies import Group
from hardcut.schemas.dependencies import installed
from hardcut.schemas.guards import Answer, Unchecked, could_not_look
from hardcut.schemas.ids import digest
from hardcut.schemas.records import COUNTERFACTUAL, Caption, Dropped, Evidence, FirstStage, Origin, Pair, Query, Video
from hardcut.schemas.settings import FilterSettings, NegativeSettings
from hardcut.schemas.twin import Twin
from hardcut.schemas.user_judgments import read_judgments
from hardcut.synth.candidates.collection_index import CollectionIndex
from hardcut.synth.candidates.first_stage import Bm25, Hit
from hardcut.synth.candidates.kept_pairs import KeptFile, KeptPairs
from hardcut.synth.candidates.ranked import FirstStages, first_stage_digest, listed_as, open_first_stages
from hardcut.synth.filters.filter import WrittenQuery
from hardcut.synth.filters.repeated import duplicates
from hardcut.synth.filters.text_filters import TEXT_FILTERS

DENIAL_CANDIDATES = 2
"""Mined candidates of the answered side of a denial: without any, its words would go with one label."""
USER_DEPTH = 10
"""A user's query is judged at least this deep, so that the first stage's nDCG@10 can be measured."""


@dataclass(frozen=True, slots=True)
class NegativeStage:
    """Makes the Pairs of every query.

    A written query: its source (expected yes), the best `per_query` other videos (mined, expected no; the teacher and
    the margins decide later), and up to `twins` twins of the source of each relation (counterfactual, expected no: it
    is for people to say that a query holds of both). It is dropped where a filter of text says so, where the source is
    not within `depth` (`positive_below_depth`) or where the best other video scores more than `max_ratio` times the
    source (`negative_outscores_positive`; only where the source's score is positive). Copies of the source, and the
    video that a composed query starts from, are no candidates.

    A counterfactual query: the video that it was written not to be answered by (expected no), and twins of that
    (expected unknown) with mined candidates beside them, since such a query may have a positive. Where it is reversed,
    these are the chiral twins: what one shows backwards the other may show. Where it denies something, all twins: they
    have most of what is asked for, and perhaps not what is denied. The answered side of a denial (`negated_absent`):
    its source (expected yes), a few mined candidates and the twins, which often show what is denied.

    What a filter of text could not look at is told in `unchecked.jsonl`.

    Pairs that were scored or reviewed (`kept`) stay when others come to stand before them. A query that has such pairs
    passed the first stage when it was made: that the collection has grown around it does not leave it out, and of two
    queries that say the same it is the one that stays. A kept pair that cannot stay is dropped with the reason.

    A user's query: the best max(10, per_query) videos (mined, expected unknown), and every video of the collection that
    the user has judged for it (`judgments_file`; imported, expected unknown).

    The first stage is BM25 over evidence and captions. A TREC run or vectors (`run_file`) take its place for the
    queries that they list, by the user's id or ours, or rank these together with it (`candidates/ranked.py`), and for
    all of the user's queries: one that is not listed and that nothing is judged for is dropped (`not_in_run`), but not
    a reviewer's wording of one, which no run of theirs can know.
    """

    options: NegativeSettings
    filters: FilterSettings = field(default_factory=FilterSettings)
    run_file: Path | None = None
    judgments_file: Path | None = None
    kept: KeptFile = field(default_factory=KeptFile)

    kind: ClassVar[Literal["collection"]] = "collection"
    name: ClassVar[str] = "negatives"
    version: ClassVar[int] = 7
    reads: ClassVar[tuple[type[Record], ...]] = (Video, Evidence, Caption, Twin, Query, Group)
    makes: ClassVar[tuple[type[Record], ...]] = (Pair, Unchecked)

    @property
    def settings(self) -> Mapping[str, JsonValue]:
        """Raises MissingDependency without bm25s and UsageError where the run cannot be read."""
        versions = {each.name: each.version for each in TEXT_FILTERS if each.version is not None}
        return {
            **self.options.model_dump(mode="json", exclude={"keep", "first_stage"}),
            "filters": self.filters.model_dump(mode="json", include={"leak", "duplicate", "ungrounded", "unsafe"}),
            "bm25s": installed("bm25s", "eval"),
            "run": first_stage_digest(self.run_file) if self.run_file else None,
            "judged": digest(self._judged()) if self.judgments_file else None,
            **({"added": versions} if versions else {}),
            # Which queries a given first stage ranks; without one nothing was ever different.
            **({"ranks": self.options.first_stage, "counterfactuals": True} if self.run_file else {}),
            **self.kept.settings,
        }

    def run(self, records: Reader) -> Iterable[tuple[str, Output]]:
        collection = CollectionIndex.from_records(records)
        bm25, fused = Bm25(collection.documents(records)), self.options.first_stage == "fused"
        stages = open_first_stages(self.run_file, bm25, collection.videos, fused=fused, depth=self.options.depth)
        kept = self.kept.read()
        repeats = duplicates(records.all(Query), kept.holds) if self.filters.duplicate else {}
        judged = self._judged()
        listed: set[str] = set()
        seen: set[str] = set()
        for query in records.all(Query):
            listed.add(stages.key(query) or "")
            output = self._pairs(query, records, collection, stages, repeats, kept)
            own = [video for video in judged.get(listed_as(query, judged) or "", ()) if video in collection.videos]
            output = _with_judged(query, output, own) if query.source_video_id is None else output
            output = kept.added(query, output, _ranks(query, stages, kept), collection)
            yield query.query_id, _with_reference(query, output, records)
            seen.add(query.query_id)
        yield from kept.gone(seen, collection)
        yield from stages.unknown(listed)

    def _pairs(
        self,
        query: Query,
        records: Reader,
        collection: CollectionIndex,
        stages: FirstStages,
        repeats: Mapping[str, str],
        kept: KeptPairs,
    ) -> Output:
        source = query.source_video_id
        unchecked: list[Unchecked] = []
        if source is not None:
            missing = _missing(query, source, collection)
            if missing is not None:
                return Output(drop=_dropped(query.query_id, "source_missing", missing))
            for guard, answer in self._answers(query, source, records, repeats):
                if answer.state == "found":
                    return Output(drop=_dropped(query.query_id, guard, answer.detail))
                if answer.state == "unknown":
                    unchecked.append(Unchecked.from_answer(guard, query.query_id, answer))
            if query.variant == "negated_absent":
                met = self._twins(query, source, collection)
                mined = _mined(query, source, collection, stages, DENIAL_CANDIDATES, met)
                twins = [_counter(query, twin, "unknown") for twin in met]
                return Output(records=[_counter(query, source, "yes"), *twins, *mined, *unchecked])
            if query.variant in COUNTERFACTUAL:
                return Output(records=[*self._counterfactual(query, source, collection, stages), *unchecked])
        elif query.reference_video_id is not None:
            missing = _missing(query, None, collection)
            if missing is not None:
                return Output(drop=_dropped(query.query_id, "source_missing", missing))
        aside = collection.copies(source) | collection.copies(query.reference_video_id)
        if stages.given and stages.key(query) is None and query.view == "user" and query.variant != "rewritten":
            detail = f"{stages.given} has no line for {query.external_id!r}"
            return Output(drop=_dropped(query.query_id, "not_in_run", detail))
        wanted = (self._depth(query) if source is None else self.options.per_query) + len(aside)
        run, found = stages.rank(query, wanted, aside)
        hits = tuple(hit for hit in found if hit.rank <= self._depth(query))
        if source is None:
            return _user_pairs(query, run, [hit for hit in found if hit.video_id not in aside][: self._depth(query)])
        return self._written_pairs(query, source, run, hits, aside, collection, unchecked, kept.holds(query.query_id))

    def _judged(self) -> dict[str, list[str]]:
        """The videos that the user has judged, by query. The grades matter to the judgments alone."""
        found = read_judgments(self.judgments_file) if self.judgments_file else {}
        return {query: sorted(grades) for query, grades in sorted(found.items())}

    def _counterfactual(
        self, query: Query, source: str, collection: CollectionIndex, stages: FirstStages
    ) -> list[Pair]:
        pairs = [_counter(query, source, "no")]
        twins = self._twins(query, source, collection)
        if not twins:
            return pairs
        pairs += [_counter(query, twin, "unknown") for twin in twins]
        return pairs + _mined(query, source, collection, stages, self.options.per_query, twins)

    def _twins(self, query: Query, source: str, collection: CollectionIndex) -> list[str]:
        """Twins of its source that a turned query may be answered by, or that show what it denies; no copies."""
        aside = collection.copies(source) | collection.copies(query.reference_video_id)
        met = {"reversed": ("chiral",), "negated": ("chiral", "edit"), "negated_absent": ("chiral", "edit")}
        relations = met.get(query.variant, ())
        twins = collection.twins(source, self.options.twins)
        return [twin.video_id for twin in twins if twin.relation in relations and twin.video_id not in aside]

    def _depth(self, query: Query) -> int:
        return max(USER_DEPTH, self.options.per_query) if query.source_video_id is None else self.options.depth

    def _answers(
        self, query: Query, source: str, records: Reader, repeats: Mapping[str, str]
    ) -> Iterator[tuple[str, Answer]]:
        """What each filter of text says of the query, in their order."""
        video = records.get(Video, source)
        if video is None:  # `_missing` has dropped the query
            return
        written = WrittenQuery(query, video, records, self.filters, repeats)
        for each in TEXT_FILTERS:
            if each.looks_at(written):
                yield each.name, each.answer(written)

    def _written_pairs(
        self,
        query: Query,
        source: str,
        run: str,
        hits: Sequence[Hit],
        aside: set[str],
        collection: CollectionIndex,
        unchecked: list[Unchecked],
        held: bool,
    ) -> Output:
        dropped: list[Dropped] = []
        positive = next((hit for hit in hits if hit.video_id == source), None)
        if positive is None and not held:
            detail = f"{run} does not find its source {source!r} within {self.options.depth}"
            return Output(drop=_dropped(query.query_id, "positive_below_depth", detail))
        for hit in hits:
            if hit.video_id in aside and hit.video_id != source:
                dropped.append(_set_aside(query, hit.video_id, source, collection))
        others = [hit for hit in hits if hit.video_id not in aside][: self.options.per_query]
        score = positive.score if positive is not None else 0.0
        if others and not held and score > 0 and others[0].score > self.options.max_ratio * score:
            detail = f"{others[0].video_id} scores {others[0].score:g}, its source {source} {score:g} in {run}"
            return Output(dropped=dropped, drop=_dropped(query.query_id, "negative_outscores_positive", detail))
        if others and not held and score <= 0:
            answer = could_not_look(f"its own video scores {score:g} in {run}, of which no ratio can be told")
            unchecked = [*unchecked, Unchecked.from_answer("negative_outscores_positive", query.query_id, answer)]
        pairs = [_found(query, positive, run, ("source",), "yes")] if positive is not None else []
        twins = [twin for twin in collection.twins(source, self.options.twins) if twin.video_id not in aside]
        alike = {twin.video_id for twin in twins}
        for hit in others:
            origins: tuple[Origin, ...] = ("mined", "counterfactual") if hit.video_id in alike else ("mined",)
            pairs.append(_found(query, hit, run, origins, "no"))
        mined = {hit.video_id for hit in others}
        pairs += [_counter(query, twin.video_id, "no") for twin in twins if twin.video_id not in mined]
        return Output(records=[*pairs, *unchecked], dropped=dropped)


def _mined(
    query: Query,
    source: str,
    collection: CollectionIndex,
    stages: FirstStages,
    most: int,
    met: Sequence[str] = (),
) -> list[Pair]:
    """The best candidates that are no copies of the source or of videos that the query has met."""
    aside = (collection.copies(source) | collection.copies(query.reference_video_id)).union(
        *map(collection.copies, met)
    )
    run, hits = stages.rank(query, most + len(aside))
    others = [hit for hit in hits if hit.video_id not in aside][:most]
    return [_found(query, hit, run, ("mined",), "no") for hit in others]


def _ranks(query: Query, stages: FirstStages, kept: KeptPairs) -> dict[str, FirstStage]:
    """Where the first stage has the videos that the query was judged with, however far down."""
    videos = kept.videos(query.query_id)
    if not videos:
        return {}
    run, hits = stages.rank(query, 1, videos)
    return {hit.video_id: FirstStage(run=run, rank=hit.rank, score=hit.score) for hit in hits}


def _missing(query: Query, source: str | None, collection: CollectionIndex) -> str | None:
    """Which video that the query cannot do without is gone; None where all are there."""
    for name, video_id in (("source", source), ("reference", query.reference_video_id)):
        if video_id is not None and video_id not in collection.videos:
            return f"its {name} {video_id!r} is not among the videos any more"
    return None


def _user_pairs(query: Query, run: str, hits: Sequence[Hit]) -> Output:
    if not hits:
        return Output(drop=_dropped(query.query_id, "no_candidates", f"{run} finds no video for it"))
    return Output(records=[_found(query, hit, run, ("mined",), "unknown") for hit in hits])


def _with_judged(query: Query, output: Output, judged: Sequence[str]) -> Output:
    """A user's query with the videos that the user has judged for it, also where the first stage does not find them."""
    if not judged:
        return output
    mined = {pair.video_id: pair for pair in output.records if isinstance(pair, Pair)}
    pairs = [
        pair.model_copy(update={"origins": (*pair.origins, "imported")}) if video in judged else pair
        for video, pair in mined.items()
    ]
    for video in judged:
        if video not in mined:
            pairs.append(
                Pair.create(query_id=query.query_id, video_id=video, origins=("imported",), expected="unknown")
            )
    return Output(records=pairs, dropped=output.dropped)


def _with_reference(query: Query, output: Output, records: Reader) -> Output:
    """The pairs of a composed query with a digest of its reference: file and caption, which judges are shown."""
    if query.reference_video_id is None or not output.records:
        return output
    video = records.get(Video, query.reference_video_id)
    captions = [caption.text for caption in records.about(Caption, query.reference_video_id)]
    shown = digest(video.sha256 if video else None, captions)
    marked = [
        record.model_copy(update={"reference": shown}) if isinstance(record, Pair) else record
        for record in output.records
    ]
    return Output(records=marked, dropped=output.dropped)


def _set_aside(query: Query, video_id: str, source: str, collection: CollectionIndex) -> Dropped:
    """What the first stage found and is no candidate: a copy of the source, or what a composed query starts from."""
    pair = Pair.create(query_id=query.query_id, video_id=video_id, origins=("mined",), expected="unknown")
    copy = collection.copy_of(video_id, source)
    reason = "duplicate_of_source" if copy else "reference_video"
    why = f"{copy} its source {source}" if copy else f"the query starts from it ({query.reference_video_id})"
    return _dropped(pair.pair_id, reason, f"query {query.query_id}, video {video_id}: {why}")


def _found(query: Query, hit: Hit, run: str, origins: tuple[Origin, ...], expected: str) -> Pair:
    first_stage = (FirstStage(run=run, rank=hit.rank, score=hit.score),)
    return Pair.create(
        query_id=query.query_id, video_id=hit.video_id, origins=origins, expected=expected, first_stage=first_stage
    )


def _counter(query: Query, video_id: str, expected: str) -> Pair:
    return Pair.create(query_id=query.query_id, video_id=video_id, origins=("counterfactual",), expected=expected)


def _dropped(item: str, reason: str, detail: str) -> Dropped:
    return Dropped.create(item=item, stage="negatives", reason=reason, detail=detail)
