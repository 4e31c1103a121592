"""A run's folder in, a Hugging Face dataset's folder out: Parquet and a card, the same bytes each time."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from hardcut import __version__
from hardcut.publish._folder import MARKER, replaced
from hardcut.publish._parquet import ConfigWriter, SplitSize
from hardcut.publish._scratch import Merge, Scratch
from hardcut.publish.calibrated import read_calibrations
from hardcut.publish.card import Agreement, Facts, Step, Told, card
from hardcut.publish.checks.result import Result
from hardcut.publish.columns import (
    CONFIGS,
    OF_QUERY,
    Row,
    caption_row,
    corpus_row,
    group_row,
    pair_row,
    qrels_row,
    query_row,
)
from hardcut.publish.dataset import FILES, Dataset, digests
from hardcut.publish.diagnostic import diagnostic_parts, write_diagnostic
from hardcut.publish.difficulty import Difficulty, difficulty
from hardcut.publish.filters import text_only
from hardcut.publish.gate import check
from hardcut.publish.groups import training_groups
from hardcut.publish.judgments import deciding_label, negative_kind
from hardcut.publish.media import write_media
from hardcut.publish.plots import write_plots
from hardcut.publish.splits import SPLITS, QueryRef, Split, Splits, may_use, near_duplicates, plan_splits
from hardcut.schemas.base import Record
from hardcut.schemas.errors import UsageError
from hardcut.schemas.ids import canonical_json, content_id
from hardcut.schemas.jsonl import format_record, parse_record, read_records, write_records
from hardcut.schemas.records import (
    COUNTERFACTUAL,
    Caption,
    Dropped,
    Evidence,
    Group,
    Judgment,
    Pair,
    Query,
    TeacherLabel,
    Twin,
    Video,
)
from hardcut.schemas.settings import Settings

R = TypeVar("R", bound=Record)
Sizes = dict[str, SplitSize]

LEFT_OUT = "left_out.jsonl"
METADATA_CHARACTERS = 2_000
STAGES: dict[str, type[Record]] = {
    "probe": Video,
    "evidence": Evidence,
    "captions": Caption,
    "twins": Twin,
    "queries": Query,
    "negatives": Pair,
    "scores": TeacherLabel,
    "judgments": Judgment,
}
"""What the card's funnel shows: the stages of a run, and what each makes."""


@dataclass(frozen=True, slots=True)
class ExportSummary:
    """What an export wrote: rows by config and split. By reason: the judged pairs that it left out and, where
    clips were asked for, the videos without one."""

    out: Path
    rows: Mapping[str, Mapping[str, int]]
    left_out: Mapping[str, int]
    unpacked: Mapping[str, int]
    gate: Sequence[Result]


@dataclass(frozen=True, slots=True)
class Options:
    """`allow`: checks of the gate that are overridden by name. `media`: the root of the videos, to pack their clips.
    `min_difficulty`: queries of a lower score are left out, with what was rewritten from them. `agreement`: that of the
    run's reviewers, for the card."""

    allow: Collection[str] = ()
    media: Path | None = None
    min_difficulty: float | None = None
    agreement: Agreement | None = None


def export(
    run: Path, out: Path, settings: Settings, failed: Mapping[str, int] | None = None, options: Options = Options()
) -> ExportSummary:
    """Writes the dataset of a run to the folder `out`, which is swapped in whole, and runs the gate over it.

    Every judged pair is in the dataset or, with a reason, in its `left_out.jsonl`. `settings` are the run's; `failed`
    is how many units failed, by stage, for the card. Memory holds ids and the queries' texts: rows are joined over
    sorted streams and tables on disk, so it grows with the number of videos and queries alone.

    What the gate finds is on the card and in the summary, and does not keep the dataset from being written: whoever
    made it looks at it, and `publish` refuses it.

    Raises UsageError where the run has no judgment yet, where its files do not belong together, or where `out` is not
    ours to replace; StorageError where the disk fails.
    """
    if next(_read(run, Judgment), None) is None:
        raise UsageError(f"{run}: no pair has a judgment yet, so there is nothing to export: `hardcut status {run}`")
    with replaced(out) as folder:
        facts = Facts()
        sizes = _write(_plan(run, folder, settings), facts, options.min_difficulty)
        if options.media is not None:
            clips, unpacked = write_media(Dataset(folder), options.media)
            sizes |= clips
            facts.unpacked.update(record.detail for record in unpacked)
            with (folder / LEFT_OUT).open("a", encoding="utf-8", newline="\n") as left_out:
                write_records(left_out, unpacked)
        margins = write_plots(Dataset(folder), folder / "plots", settings.judgments)
        rows = {config: {split: size.rows for split, size in of.items()} for config, of in sizes.items()}
        write_marker(folder, _recipe(rows, facts, settings), digests(folder))
        results = check(Dataset(folder), settings, options.allow)
        told = Told(_funnel(run), failed, margins, results, options.agreement)
        text = card(sizes, facts, told, settings)
        (folder / "README.md").write_text(text, encoding="utf-8", newline="\n")
        write_marker(folder, _recipe(rows, facts, settings, results), digests(folder))
    left = dict(sorted(facts.left_out.items()))
    return ExportSummary(out, rows, left, dict(sorted(facts.unpacked.items())), results)


@dataclass(frozen=True, slots=True)
class _Plan:
    """Where everything goes, known before the first row is written."""

    run: Path
    folder: Path
    settings: Settings
    splits: Splits

    def writer(self, config: str) -> ConfigWriter:
        used = {*self.splits.videos.values(), *self.splits.queries.values()}
        return ConfigWriter(self.folder / "data", config, [split for split in SPLITS if split in used])


def _plan(run: Path, folder: Path, settings: Settings) -> _Plan:
    queries = {query.query_id: QueryRef.of(query) for query in _read(run, Query)}
    relevant: defaultdict[str, list[str]] = defaultdict(list)
    for judgment in _read(run, Judgment):
        query = queries.get(judgment.query_id)
        if judgment.grade > 0 and query is not None and query.source_video_id is None:
            relevant[judgment.query_id].append(judgment.video_id)
    copies = near_duplicates((record.group_id, record.video_id) for record in _read(run, Group))
    splits = plan_splits(_read(run, Video), queries, relevant, settings.export, copies)
    return _Plan(run, folder, settings, splits)


def _write(plan: _Plan, facts: Facts, min_difficulty: float | None) -> dict[str, Sizes]:
    """Writes every config; rows that others need lie in tables on disk meanwhile."""
    at = plan.folder
    with (
        Scratch(at) as videos,
        Scratch(at) as queries,
        Scratch(at) as captions,
        Scratch(at) as judged,
        Scratch(at) as suites,
    ):
        found = {"corpus": _write_corpus(plan, facts, videos)}
        video_of = _row(videos)
        found["captions"] = _write_captions(plan, facts, captions, video_of)
        judged.fill(_judged(plan, facts, video_of, captions))
        _read_queries(plan, facts, queries)
        easy = _easy(queries, judged, min_difficulty) if min_difficulty is not None else {}
        found |= _write_by_query(plan, facts, queries, judged, suites, easy)
        found |= write_diagnostic(plan.writer, suites, _row(queries), video_of)
    return {config: found[config] for config in CONFIGS if config in found}


def _write_corpus(plan: _Plan, facts: Facts, table: Scratch) -> Sizes:
    def rows(writer: ConfigWriter) -> Iterator[tuple[str, str]]:
        # What splits went by is published with the rest, so that anybody can look whether it straddles them.
        fields = tuple(dict.fromkeys([*plan.settings.evidence.metadata_fields, *plan.settings.export.group_by]))
        for video in _read(plan.run, Video):
            said = " ".join(json.loads(body)[1] for body in sorted(heard(video.video_id) or ()))
            row = corpus_row(video, content_id("g", plan.splits.groups[video.video_id]), fields, said or None)
            row["metadata"] = [{**entry, "value": _cut(entry["value"])} for entry in row["metadata"]]
            facts.video(video, row["licence"])
            writer.add(plan.splits.videos[video.video_id], row)
            yield video.video_id, canonical_json(row)

    with Scratch(plan.folder) as speech, plan.writer("corpus") as writer:
        speech.fill(
            (evidence.video_id, canonical_json([evidence.span.start if evidence.span else 0.0, evidence.text]))
            for evidence in _read(plan.run, Evidence)
            if evidence.kind == "speech"
        )
        heard = Merge(speech.groups())
        table.fill(rows(writer))
    return writer.sizes


def _cut(text: str) -> str:
    """A value of the metadata, as far as teachers read it too: what stands beside a video may be megabytes."""
    return text if len(text) <= METADATA_CHARACTERS else f"{text[:METADATA_CHARACTERS]} ..."


def _write_captions(plan: _Plan, facts: Facts, table: Scratch, video_of: Callable[[str], Row | None]) -> Sizes:
    def rows(writer: ConfigWriter) -> Iterator[tuple[str, str]]:
        for caption in _read(plan.run, Caption):
            video = video_of(caption.video_id)
            if video is None:
                raise _torn(plan.run, Caption, caption.id, Video, caption.video_id)
            facts.teacher(caption.teacher, "captions")
            writer.add(plan.splits.videos[caption.video_id], caption_row(caption, video))
            yield caption.video_id, caption.text

    with plan.writer("captions") as writer:
        table.fill(rows(writer))
    return writer.sizes


def _judged(
    plan: _Plan, facts: Facts, video_of: Callable[[str], Row | None], captions: Scratch
) -> Iterator[tuple[str, str]]:
    """(query id, row of `pairs` without what the query brings) of every judged pair that its split may use.

    One without a judgment is in the run's `dropped.jsonl` already.
    """
    with Scratch(plan.folder) as labels, (plan.folder / LEFT_OUT).open("w", encoding="utf-8", newline="\n") as left_out:
        labels.fill((label.pair_id, format_record(label)) for label in _read(plan.run, TeacherLabel))
        labels_of = Merge(labels.groups())
        pairs = Merge((pair.pair_id, pair) for pair in _read(plan.run, Pair))
        calibrated = read_calibrations(plan.run)
        references = {q.query_id: q.reference_video_id for q in _read(plan.run, Query) if q.reference_video_id}
        for judgment in _read(plan.run, Judgment):
            pair = pairs(judgment.pair_id)
            if pair is None:
                raise _torn(plan.run, Judgment, judgment.id, Pair, judgment.pair_id)
            video = video_of(pair.video_id)
            if pair.query_id not in plan.splits.queries:
                raise _torn(plan.run, Pair, pair.id, Query, pair.query_id)
            if video is None:
                raise _torn(plan.run, Pair, pair.id, Video, pair.video_id)
            split = plan.splits.queries[pair.query_id]
            held_out = _held_out(plan, split, pair.video_id, references.get(pair.query_id))
            if held_out is not None:
                facts.left_out["held_out_video"] += 1
                record = _left_out(pair, split, held_out, plan.splits.videos[held_out])
                left_out.write(format_record(record) + "\n")
                continue
            told = [parse_record(TeacherLabel, body) for body in labels_of(pair.pair_id) or ()]
            label = deciding_label(judgment, told)
            negative = negative_kind(judgment, told, plan.settings.judgments)
            caption = next(iter(captions.get(pair.video_id)), None)
            if label is not None:
                facts.teacher(label.teacher, "labels")
            row = pair_row(pair, judgment, negative, label, text_only(told), calibrated(label), told, video, caption)
            yield pair.query_id, json.dumps(row)


def _read_queries(plan: _Plan, facts: Facts, table: Scratch) -> None:
    def rows() -> Iterator[tuple[str, str]]:
        for query in _read(plan.run, Query):
            facts.teacher(query.teacher, "queries")
            yield query.query_id, canonical_json(query_row(query))

    table.fill(rows())


def _measured(queries: Scratch, judged: Scratch) -> Iterator[tuple[Row, list[Row], Difficulty]]:
    """Every query with its pairs and its difficulty, sorted by id."""
    pairs_of = Merge(judged.groups())
    for query_id, (body,) in queries.groups():
        query: Row = json.loads(body)
        rows: list[Row] = [json.loads(pair) for pair in pairs_of(query_id) or ()]
        yield query, rows, difficulty(rows, query["facets"])


def _easy(queries: Scratch, judged: Scratch, least: float) -> dict[str, str]:
    """Why queries are left out as too easy: by their own score, or, without a positive, with their parent."""
    found: dict[str, str] = {}
    parents: dict[str, str] = {}
    for query, rows, measured in _measured(queries, judged):
        if any(row["label"] > 0 for row in rows):
            if measured.score is None or measured.score < least:
                score = "not known" if measured.score is None else f"{measured.score:g}"
                found[query["query_id"]] = f"the query's difficulty is {score}, less than {least:g}"
        elif query["parent_query_id"] is not None:
            parents[query["query_id"]] = query["parent_query_id"]
    return found | {id: found[parent] for id, parent in parents.items() if parent in found}


def _write_by_query(
    plan: _Plan, facts: Facts, queries: Scratch, judged: Scratch, suites: Scratch, easy: Mapping[str, str]
) -> dict[str, Sizes]:
    """Queries, their pairs, qrels and training groups, in one pass by query: a query's pairs lie together."""

    def suite_parts(writers: Mapping[str, ConfigWriter]) -> Iterator[tuple[str, str]]:
        for query, rows, measured in _measured(queries, judged):
            query_id = query["query_id"]
            if query_id in easy:
                facts.left_out["too_easy"] += len(rows)
                left_out.writelines(format_record(_too_easy(row, easy[query_id])) + "\n" for row in rows)
                continue
            split = plan.splits.queries[query_id]
            query["difficulty"] = asdict(measured)
            facts.query(query)
            writers["queries"].add(split, query)
            for row in rows:
                facts.pair(row)
                row.update({name: query[name] for name in OF_QUERY})
                writers["pairs"].add(split, row)
                writers["qrels"].add(split, qrels_row(row, query))
            made = 0
            for group_id, positive, negatives in training_groups(rows, plan.settings.export):
                writers["groups"].add(split, group_row(group_id, positive, negatives))
                made += 1
            if made or query["variant"] not in COUNTERFACTUAL:  # most of these are answered by no video
                facts.grouped[split][made > 0] += 1
            yield from diagnostic_parts(query, rows, split)

    with ExitStack() as stack:
        names = ("pairs", "groups", "queries", "qrels")
        writers = {name: stack.enter_context(plan.writer(name)) for name in names}
        left_out = stack.enter_context((plan.folder / LEFT_OUT).open("a", encoding="utf-8", newline="\n"))
        suites.fill(suite_parts(writers))
    return {name: writer.sizes for name, writer in writers.items()}


def _held_out(plan: _Plan, split: Split, *videos: str | None) -> str | None:
    """The first of the videos that the split may not use."""
    for video_id in videos:
        if video_id is not None and not may_use(split, plan.splits.videos.get(video_id, split)):
            return video_id
    return None


def _left_out(pair: Pair, split: Split, video_id: str, video_split: Split) -> Dropped:
    """Why a judged pair is in no split."""
    detail = f"the query is in {split}, the video {video_id} is held out for {video_split}"
    return Dropped.create(item=pair.pair_id, stage="export", reason="held_out_video", detail=detail)


def _too_easy(row: Row, detail: str) -> Dropped:
    return Dropped.create(item=row["pair_id"], stage="export", reason="too_easy", detail=detail)


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


def _recipe(
    rows: Mapping[str, Mapping[str, int]], facts: Facts, settings: Settings, results: Sequence[Result] = ()
) -> dict[str, Any]:
    """What the dataset was made with, for people and for later versions of Hardcut. Names no place of this machine."""
    told = settings.model_dump(mode="json")
    told["export"]["splits"] = settings.export.splits and Path(settings.export.splits).name
    kept = (
        *("media", "evidence", "captions", "queries", "counterfactuals", "negatives", "filters"),
        *("judgments", "export", "check"),
    )
    return {
        "hardcut": __version__,
        "format": 2,
        "settings": {name: told[name] for name in kept},
        "teachers": [asdict(teacher) for teacher in facts.teachers],
        "rows": rows,
        "gate": {result.name: result.state for result in results},
    }


def write_marker(folder: Path, recipe: Mapping[str, Any], files: Mapping[str, Any] | None = None) -> None:
    """Writes `hardcut.json`: the recipe, and the digests of all other files of the dataset."""
    told = {**recipe, **({FILES: files} if files is not None else {})}
    text = json.dumps(told, indent=2, ensure_ascii=False) + "\n"
    (folder / MARKER).write_text(text, encoding="utf-8", newline="\n")


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
