"""Stage negatives: each query meets its source and what a first stage finds for it (RANKVIDEO, synthesis)."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, NamedTuple

from pydantic import JsonValue

from hardcut.engine.stage import Output, Reader
from hardcut.schemas.base import Record
from hardcut.schemas.errors import UsageError
from hardcut.schemas.records import Caption, Dropped, Evidence, FirstStage, Group, Pair, Query, Video
from hardcut.schemas.settings import NegativeSettings
from hardcut.schemas.trec import TrecRun, read_run
from hardcut.synth.extras import installed
from hardcut.synth.first_stage import BM25_RUN, Bm25, Hit, ranked, tokens

USER_DEPTH = 10
"""A user's query is judged at least this deep, so that nDCG@10 of the first stage can be told."""
SILENT_KINDS = frozenset({"shot"})
"""Evidence that says nothing of a video's content and is left out of its document."""


class _Content(NamedTuple):
    """What a video is, apart from its name: the digest of its file, and the group of its near duplicates."""

    sha256: str
    group_id: str | None

    def copy_of(self, other: _Content) -> str | None:
        """In words, in which way this is the other's copy; None where it is none."""
        if self.sha256 == other.sha256:
            return "the same file content as"
        if self.group_id is not None and self.group_id == other.group_id:
            return "the same recording as"
        return None


@dataclass(frozen=True, slots=True)
class NegativeStage:
    """Makes the Pairs of every query.

    A written query: its source (expected yes) and the best `per_query` other videos (mined, expected no; the teacher
    and the margins decide later). It is dropped where the source is not within `depth` (`positive_below_depth`) or
    the best other video scores more than `max_ratio` times the source (`negative_outscores_positive`; only where the
    source's score is positive). Copies of the source, exact and near, are no candidates. A user's query: the best
    max(10, per_query) videos (mined, expected unknown).

    The first stage is BM25 over evidence and captions. A TREC run (`run`) takes its place for the queries it lists, by
    the user's id or ours, and for all of the user's queries: one that the run lacks is dropped (`not_in_run`), but not
    a reviewer's wording of one, which no run of theirs can know.
    """

    options: NegativeSettings
    run_file: Path | None = None

    name: ClassVar[str] = "negatives"
    version: ClassVar[int] = 2
    reads: ClassVar[tuple[type[Record], ...]] = (Video, Evidence, Caption, Query, Group)
    makes: ClassVar[tuple[type[Record], ...]] = (Pair,)

    @property
    def settings(self) -> Mapping[str, JsonValue]:
        """Raises MissingDependency without bm25s and UsageError where the run cannot be read."""
        return {
            **self.options.model_dump(mode="json"),
            "bm25s": installed("bm25s", "eval"),
            "run": _digest(self.run_file) if self.run_file else None,
        }

    def run(self, records: Reader) -> Iterable[tuple[str, Output]]:
        copies = {record.video_id: record.group_id for record in records.all(Group)}
        contents = {video.video_id: _Content(video.sha256, copies.get(video.video_id)) for video in records.all(Video)}
        index = Bm25(_documents(records, contents))
        given = read_run(self.run_file) if self.run_file else None
        listed: set[str] = set()
        for query in records.all(Query):
            key = _key(query, given)
            listed.add(key or "")
            yield query.query_id, self._pairs(query, key, given, index, contents)
        if given is not None:
            yield from _unknown(given, listed, contents)

    def _pairs(
        self, query: Query, key: str | None, given: TrecRun | None, index: Bm25, contents: Mapping[str, _Content]
    ) -> Output:
        dropped: list[Dropped] = []
        if given is not None and key is not None:
            run, hits = given.tag, ranked(given.scores[key])
            hits = tuple(hit for hit in hits[: self._depth(query)] if hit.video_id in contents)
        elif given is not None and query.view == "user" and query.variant != "rewritten":
            return Output(
                drop=_dropped(query.query_id, "not_in_run", f"{given.tag} has no line for {query.external_id!r}")
            )
        else:
            run, hits = BM25_RUN, tuple(index.search(query.text, self._depth(query)))
        if query.source_video_id is None:
            return self._user_pairs(query, run, hits, dropped)
        return self._written_pairs(query, query.source_video_id, run, hits, contents, dropped)

    def _depth(self, query: Query) -> int:
        return max(USER_DEPTH, self.options.per_query) if query.source_video_id is None else self.options.depth

    def _user_pairs(self, query: Query, run: str, hits: Sequence[Hit], dropped: list[Dropped]) -> Output:
        if not hits:
            detail = f"{run} finds no video for it"
            return Output(dropped=dropped, drop=_dropped(query.query_id, "no_candidates", detail))
        pairs = [_pair(query, hit, run, origins=("mined",), expected="unknown") for hit in hits]
        return Output(records=pairs, dropped=dropped)

    def _written_pairs(
        self,
        query: Query,
        source: str,
        run: str,
        hits: Sequence[Hit],
        contents: Mapping[str, _Content],
        dropped: list[Dropped],
    ) -> Output:
        def drop(reason: str, detail: str) -> Output:
            return Output(dropped=dropped, drop=_dropped(query.query_id, reason, detail))

        if source not in contents:
            return drop("source_missing", f"its source {source!r} is not among the videos any more")
        positive = next((hit for hit in hits if hit.video_id == source), None)
        if positive is None:
            return drop(
                "positive_below_depth", f"{run} does not find its source {source!r} within {self.options.depth}"
            )
        others: list[Hit] = []
        for hit in hits:
            if hit.video_id != source and (copy := contents[hit.video_id].copy_of(contents[source])):
                twin = Pair.create(
                    query_id=query.query_id, video_id=hit.video_id, origins=("mined",), expected="unknown"
                )
                detail = f"query {query.query_id}, video {hit.video_id}: {copy} its source {source}"
                dropped.append(_dropped(twin.pair_id, "duplicate_of_source", detail))
            elif hit.video_id != source and len(others) < self.options.per_query:
                others.append(hit)
        limit = self.options.max_ratio * positive.score
        if others and positive.score > 0 and others[0].score > limit:
            detail = f"{others[0].video_id} scores {others[0].score:g}, its source {source} {positive.score:g} in {run}"
            return drop("negative_outscores_positive", detail)
        pairs = [_pair(query, positive, run, origins=("source",), expected="yes")]
        pairs += [_pair(query, hit, run, origins=("mined",), expected="no") for hit in others]
        return Output(records=pairs, dropped=dropped)


def _documents(records: Reader, contents: Mapping[str, _Content]) -> Iterator[tuple[str, list[str]]]:
    """One document a video, sorted by id: the words of its evidence and caption. Words are held once for all videos."""
    words: dict[str, str] = {}
    documents: defaultdict[str, list[str]] = defaultdict(list)
    kinds: tuple[type[Evidence] | type[Caption], ...] = (Evidence, Caption)
    for kind in kinds:
        for record in records.all(kind):
            if not (isinstance(record, Evidence) and record.kind in SILENT_KINDS):
                documents[record.video_id] += [words.setdefault(word, word) for word in tokens(record.text)]
    for video_id in sorted(contents):
        yield video_id, documents.pop(video_id, [])


def _unknown(given: TrecRun, listed: set[str], contents: Mapping[str, _Content]) -> Iterator[tuple[str, Output]]:
    """What the run lists and the collection does not have, each as a dropped unit. The ranks of the rest stay."""
    for query_id in sorted(set(given.scores) - listed):
        detail = f"the first-stage run {given.tag} lists this query, and there is none of this id"
        yield f"run query {query_id}", Output(drop=_dropped(query_id, "unknown_query", detail))
    videos = Counter(video_id for scores in given.scores.values() for video_id in scores if video_id not in contents)
    for video_id, count in sorted(videos.items()):
        detail = f"the first-stage run {given.tag} lists this video for {count} queries, and there is none of this id"
        yield f"run video {video_id}", Output(drop=_dropped(video_id, "unknown_video", detail))


def _key(query: Query, given: TrecRun | None) -> str | None:
    """The id under which the run lists the query, if it does."""
    if given is None:
        return None
    return next((key for key in (query.external_id, query.query_id) if key is not None and key in given.scores), None)


def _pair(query: Query, hit: Hit, run: str, **fields: object) -> Pair:
    first_stage = (FirstStage(run=run, rank=hit.rank, score=hit.score),)
    return Pair.create(query_id=query.query_id, video_id=hit.video_id, first_stage=first_stage, **fields)


def _dropped(item: str, reason: str, detail: str) -> Dropped:
    return Dropped.create(item=item, stage="negatives", reason=reason, detail=detail)


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UsageError(f"{path}: the first-stage run cannot be read: {error.strerror}") from error
