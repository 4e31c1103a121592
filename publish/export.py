"""A run's folder in, a Hugging Face dataset's folder out: Parquet and a card, the same bytes each time."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

from hardcut import __version__
from hardcut.publish._folder import MARKER, replaced
from hardcut.publish._parquet import ConfigWriter, SplitSize
from hardcut.publish._scratch import Merge, Scratch
from hardcut.publish.card import Facts, Step, card
from hardcut.publish.columns import Row, caption_row, corpus_row, pair_row, qrels_row, query_row
from hardcut.publish.judgments import deciding_label, negative_kind
from hardcut.publish.splits import SPLITS, QueryRef, Split, may_use, split_groups, split_queries, video_groups
from hardcut.schemas.base import Record
from hardcut.schemas.errors import UsageError
from hardcut.schemas.ids import canonical_json, content_id
from hardcut.schemas.jsonl import format_record, parse_record, read_records
from hardcut.schemas.records import Caption, Dropped, Evidence, Group, Judgment, Pair, Query, TeacherLabel, Video
from hardcut.schemas.settings import Settings

R = TypeVar("R", bound=Record)
Sizes = dict[str, SplitSize]

LEFT_OUT = "left_out.jsonl"
STAGES: dict[str, type[Record]] = {
    "probe": Video,
    "evidence": Evidence,
    "captions": Caption,
    "queries": Query,
    "negatives": Pair,
    "scores": TeacherLabel,
    "judgments": Judgment,
}
"""What the card's funnel shows: the stages of a run, and what each makes."""


@dataclass(frozen=True, slots=True)
class ExportSummary:
    """What an export wrote: rows by config and split, and the judged pairs that it left out, by reason."""

    out: Path
    rows: Mapping[str, Mapping[str, int]]
    left_out: Mapping[str, int]


def export(run: Path, out: Path, settings: Settings, failed: Mapping[str, int] | None = None) -> ExportSummary:
    """Writes the dataset of a run to the folder `out`, which is swapped in whole.

    Every judged pair is in the dataset or, with a reason, in its `left_out.jsonl`. `settings` are the run's; `failed`
    is how many units failed, by stage, for the card. Memory holds ids and never texts: rows are joined over sorted
    streams and tables on disk, so it grows with the number of videos and queries alone.

    Raises UsageError where the run has no judgment yet, where its files do not belong together, or where `out` is not
    ours to replace; StorageError where the disk fails.
    """
    if next(_read(run, Judgment), None) is None:
        raise UsageError(f"{run}: no pair has a judgment yet, so there is nothing to export: `hardcut status {run}`")
    with replaced(out) as folder:
        facts = Facts()
        sizes = _write(_plan(run, folder, settings), facts)
        text = card(sizes, facts, _funnel(run), failed, settings)
        (folder / "README.md").write_text(text, encoding="utf-8", newline="\n")
        rows = {config: {split: size.rows for split, size in of.items()} for config, of in sizes.items()}
        (folder / MARKER).write_text(_marker(rows, settings), encoding="utf-8", newline="\n")
    return ExportSummary(out=out, rows=rows, left_out=dict(sorted(facts.left_out.items())))


@dataclass(frozen=True, slots=True)
class _Plan:
    """Where everything goes, known before the first row is written."""

    run: Path
    folder: Path
    settings: Settings
    groups: Mapping[str, str]
    video_splits: Mapping[str, Split]
    query_splits: Mapping[str, Split]

    def writer(self, config: str) -> ConfigWriter:
        used = {*self.video_splits.values(), *self.query_splits.values()}
        return ConfigWriter(self.folder / "data", config, [split for split in SPLITS if split in used])


def _plan(run: Path, folder: Path, settings: Settings) -> _Plan:
    copies = {record.video_id: record.group_id for record in _read(run, Group)}
    groups = video_groups(_read(run, Video), copies)
    split_of = split_groups(groups.values(), settings.export)
    video_splits = {video_id: split_of[group] for video_id, group in groups.items()}
    queries = {query.query_id: QueryRef.of(query) for query in _read(run, Query)}
    relevant: defaultdict[str, list[str]] = defaultdict(list)
    for judgment in _read(run, Judgment):
        query = queries.get(judgment.query_id)
        if judgment.grade > 0 and query is not None and query.source_video_id not in groups:
            relevant[judgment.query_id].append(judgment.video_id)
    query_splits = split_queries(queries, relevant, video_splits, settings.export)
    return _Plan(run, folder, settings, groups, video_splits, query_splits)


def _write(plan: _Plan, facts: Facts) -> dict[str, Sizes]:
    """Writes the five configs; rows that others need lie in tables on disk meanwhile."""
    at = plan.folder
    with Scratch(at) as videos, Scratch(at) as queries, Scratch(at) as captions, Scratch(at) as labels:
        corpus_sizes = _write_corpus(plan, facts, videos)
        query_sizes = _write_queries(plan, facts, queries)
        caption_sizes = _write_captions(plan, facts, captions, _row(videos))
        labels.fill((label.pair_id, format_record(label)) for label in _read(plan.run, TeacherLabel))
        pair_sizes, qrels_sizes = _write_pairs(plan, facts, _row(videos), _row(queries), captions, labels)
    return {
        "pairs": pair_sizes,
        "captions": caption_sizes,
        "queries": query_sizes,
        "corpus": corpus_sizes,
        "qrels": qrels_sizes,
    }


def _write_corpus(plan: _Plan, facts: Facts, table: Scratch) -> Sizes:
    def rows(writer: ConfigWriter) -> Iterator[tuple[str, str]]:
        fields = plan.settings.evidence.metadata_fields
        for video in _read(plan.run, Video):
            row = corpus_row(video, content_id("g", plan.groups[video.video_id]), fields)
            facts.seconds += video.duration_s
            writer.add(plan.video_splits[video.video_id], row)
            yield video.video_id, canonical_json(row)

    with plan.writer("corpus") as writer:
        table.fill(rows(writer))
    return writer.sizes


def _write_queries(plan: _Plan, facts: Facts, table: Scratch) -> Sizes:
    def rows(writer: ConfigWriter) -> Iterator[tuple[str, str]]:
        for query in _read(plan.run, Query):
            row = query_row(query)
            facts.query(query)
            writer.add(plan.query_splits[query.query_id], row)
            yield query.query_id, canonical_json(row)

    with plan.writer("queries") as writer:
        table.fill(rows(writer))
    return writer.sizes


def _write_captions(plan: _Plan, facts: Facts, table: Scratch, video_of: Callable[[str], Row | None]) -> Sizes:
    def rows(writer: ConfigWriter) -> Iterator[tuple[str, str]]:
        for caption in _read(plan.run, Caption):
            video = video_of(caption.video_id)
            if video is None:
                raise _torn(plan.run, Caption, caption.id, Video, caption.video_id)
            facts.teacher(caption.teacher, "captions")
            writer.add(plan.video_splits[caption.video_id], caption_row(caption, video))
            yield caption.video_id, caption.text

    with plan.writer("captions") as writer:
        table.fill(rows(writer))
    return writer.sizes


def _write_pairs(
    plan: _Plan,
    facts: Facts,
    video_of: Callable[[str], Row | None],
    query_of: Callable[[str], Row | None],
    captions: Scratch,
    labels: Scratch,
) -> tuple[Sizes, Sizes]:
    """Pairs and qrels in one pass over the pairs; one without a judgment is in the run's `dropped.jsonl` already."""
    pairs = Merge((pair.pair_id, pair) for pair in _read(plan.run, Pair))
    labels_of = Merge(labels.groups())
    with (
        plan.writer("pairs") as pair_writer,
        plan.writer("qrels") as qrels_writer,
        (plan.folder / LEFT_OUT).open("w", encoding="utf-8", newline="\n") as left_out,
    ):
        for judgment in _read(plan.run, Judgment):
            pair = pairs(judgment.pair_id)
            if pair is None:
                raise _torn(plan.run, Judgment, judgment.id, Pair, judgment.pair_id)
            query, video = query_of(pair.query_id), video_of(pair.video_id)
            if query is None:
                raise _torn(plan.run, Pair, pair.id, Query, pair.query_id)
            if video is None:
                raise _torn(plan.run, Pair, pair.id, Video, pair.video_id)
            split = plan.query_splits[pair.query_id]
            held_out = _held_out(plan, split, pair.video_id, query["reference_video_id"])
            if held_out is not None:
                facts.left_out["held_out_video"] += 1
                record = _left_out(pair, split, held_out, plan.video_splits[held_out])
                left_out.write(format_record(record) + "\n")
                continue
            told = [parse_record(TeacherLabel, body) for body in labels_of(pair.pair_id) or ()]
            label = deciding_label(judgment, told)
            negative = negative_kind(judgment, told, plan.settings.judgments)
            caption = next(iter(captions.get(pair.video_id)), None)
            facts.pair(judgment, label)
            pair_writer.add(split, pair_row(pair, judgment, negative, label, query, video, caption))
            qrels_writer.add(split, qrels_row(judgment, query))
    return pair_writer.sizes, qrels_writer.sizes


def _held_out(plan: _Plan, split: Split, *videos: str | None) -> str | None:
    """The first of the videos that the split may not use."""
    for video_id in videos:
        if video_id is not None and video_id in plan.video_splits and not may_use(split, plan.video_splits[video_id]):
            return video_id
    return None


def _left_out(pair: Pair, split: Split, video_id: str, video_split: Split) -> Dropped:
    """Why a judged pair is in no split."""
    detail = f"the query is in {split}, the video {video_id} is held out for {video_split}"
    return Dropped.create(item=pair.pair_id, stage="export", reason="held_out_video", detail=detail)


def _funnel(run: Path) -> list[Step]:
    dropped: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for record in _read(run, Dropped):
        dropped[record.stage][record.reason] += 1
    steps = [Step(stage, _count(run / kind.FILE), dropped.pop(stage, Counter())) for stage, kind in STAGES.items()]
    return [*steps, *(Step(stage, None, dropped[stage]) for stage in sorted(dropped))]


def _count(path: Path) -> int:
    if not path.exists():
        return 0
    with path.open("rb") as file:
        return sum(1 for line in file if line.strip())


def _marker(rows: Mapping[str, Mapping[str, int]], settings: Settings) -> str:
    """What the dataset was made with, for people and for later versions of Hardcut."""
    told = {
        "hardcut": __version__,
        "format": 1,
        "settings": {
            "judgments": settings.judgments.model_dump(mode="json"),
            "export": settings.export.model_dump(mode="json"),
        },
        "rows": rows,
    }
    return json.dumps(told, indent=2, ensure_ascii=False) + "\n"


def _read(run: Path, kind: type[R]) -> Iterator[R]:
    """The records of one of the run's files; a file that no stage has written yet holds none."""
    path = run / kind.FILE
    if path.exists():
        yield from read_records(path, kind)


def _row(table: Scratch) -> Callable[[str], Row | None]:
    """Rows of a table on disk by id, the last few thousand kept."""

    @lru_cache(maxsize=4096)
    def get(key: str) -> Row | None:
        found = table.get(key)
        return json.loads(found[0]) if found else None

    return get


def _torn(run: Path, kind: type[Record], id: str, wanted: type[Record], wanted_id: str) -> UsageError:
    return UsageError(
        f"{run / kind.FILE}: {id} belongs to {wanted_id}, which {wanted.FILE} lacks: run `hardcut run` to its end first"
    )
