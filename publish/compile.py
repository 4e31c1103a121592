"""A run's records joined into the rows of a dataset, and written config by config.

What is known of a query's pairs is brought together in tables on disk, by query, and made into rows as it passes by.
Memory holds ids, the queries' texts and a caption for each video, so it does not grow with the number of pairs.
"""

from __future__ import annotations

import json
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from hardcut.engine.run_files import RunFiles
from hardcut.media.look import look_of
from hardcut.publish._parquet import ConfigWriter, SplitSize
from hardcut.publish._scratch import Merge, Scratch
from hardcut.publish.blocks import left_out_blocks, note_group, note_sides, write_blocks
from hardcut.publish.calibrated import read_calibrations
from hardcut.publish.card_facts import CardFacts
from hardcut.publish.columns import CONFIGS, OF_QUERY, Row
from hardcut.publish.dataset import LEFT_OUT, MOVED
from hardcut.publish.difficulty import difficulty
from hardcut.publish.filters import text_only_label
from hardcut.publish.given_splits import QueryRef
from hardcut.publish.groups import training_groups
from hardcut.publish.held_out import dropped_line, leak, out_of_split, untrained, without_contradictions
from hardcut.publish.inherited import FIRST, Earlier
from hardcut.publish.judgments import deciding_label, negative_kind
from hardcut.publish.mix import is_selective, unwanted_queries
from hardcut.publish.people import pseudonyms
from hardcut.publish.rows import caption_row, corpus_row, facets_of, group_row, pair_row, qrels_row, query_row
from hardcut.publish.same_meaning import read_meanings
from hardcut.publish.splits import SPLITS, Splits, near_duplicates, plan_splits, video_groups
from hardcut.publish.triplets import write_triplets
from hardcut.schemas.base import Record
from hardcut.schemas.comparisons import Comparison, is_compared
from hardcut.schemas.copies import Group, Signature
from hardcut.schemas.dataset_settings import ExportSettings
from hardcut.schemas.errors import UsageError
from hardcut.schemas.flags import Flagged, flagged
from hardcut.schemas.ids import canonical_json, content_id
from hardcut.schemas.jsonl import format_record, parse_record, write_records
from hardcut.schemas.judgments import Judgment, Review
from hardcut.schemas.records import (
    TURNED,
    Caption,
    Dropped,
    Evidence,
    Pair,
    Query,
    Split,
    TeacherLabel,
    TeacherRef,
    Video,
)
from hardcut.schemas.reviews import of_content, reviews_in_force
from hardcut.schemas.settings import Settings
from hardcut.schemas.triplets import Triplet

R = TypeVar("R", bound=Record)
Sizes = dict[str, SplitSize]


@dataclass(frozen=True, slots=True)
class _Tables:
    """What belongs to a query, each kind in a table by the query's id."""

    pairs: Scratch
    labels: Scratch
    judgments: Scratch
    reviews: Scratch


@dataclass(frozen=True, slots=True)
class _Plan:
    """Where everything goes, known before the first row is written."""

    run: Path
    folder: Path
    settings: Settings
    splits: Splits
    contents: Mapping[str, str]
    """What tells the content of each video: copies of one recording share it."""
    flags: Flagged
    files: Mapping[str, str]
    """The digest of each video's file."""
    names: Mapping[str, str]
    """What the dataset calls each reviewer."""

    def writer(self, config: str) -> ConfigWriter:
        used = {*self.splits.videos.values(), *self.splits.queries.values()}
        return ConfigWriter(self.folder / "data", config, [split for split in SPLITS if split in used])


@dataclass(frozen=True, slots=True)
class _Compiled:
    """A query with its rows of `pairs`, what of them its split may not use, and who gave the labels."""

    query: Row
    rows: list[Row]
    held_out: list[Dropped]
    teachers: list[TeacherRef]


def write_configs(
    run: Path, folder: Path, settings: Settings, facts: CardFacts, earlier: Earlier = FIRST
) -> dict[str, Sizes]:
    """Writes every config to `folder/data` and what is in none to `folder/left_out.jsonl`; sizes by config and split,
    of those that have rows. `facts` counts what passes by; `earlier` are the splits of the version before.

    Raises UsageError where the run's files do not belong together, StorageError where the disk fails.
    """
    with (
        Scratch(folder) as pairs,
        Scratch(folder) as labels,
        Scratch(folder) as judgments,
        Scratch(folder) as reviews,
        Scratch(folder) as families,
    ):
        tables = _Tables(pairs, labels, judgments, reviews)
        plan = _plan(run, folder, settings, facts, tables, earlier)
        videos: dict[str, Row] = {}
        found = {"corpus": _write_corpus(plan, facts, videos)}
        captions: dict[str, str] = {}
        found["captions"] = _write_captions(plan, facts, videos, captions)
        found |= _write_by_query(plan, facts, partial(_compiled, plan, facts, tables, videos, captions), families)
        found |= _write_families(plan, facts, families, videos)
        captioned = {video: plan.splits.videos[video] for video in captions}
        found["triplets"] = _write_triplets(plan, facts, families, captioned)
    return {config: found[config] for config in CONFIGS if found.get(config)}


class _Key(BaseModel):
    """As much of a line as says where it belongs: it is parsed in full once, with all that its query has."""

    query_id: str
    video_id: str
    grade: int = 0


def _lines(run: Path, kind: type[Record]) -> Iterator[tuple[_Key, str]]:
    path = RunFiles(run).sound(kind)
    if path:
        with _line_told(run, kind), path.open(encoding="utf-8-sig") as file:
            for line in file:
                if line.strip():
                    yield _Key.model_validate_json(line), line


@contextmanager
def _line_told(run: Path, kind: type[Record]) -> Iterator[None]:
    """Reads a file that cannot be read once more, for an error that names the line."""
    try:
        yield
    except (ValidationError, UnicodeDecodeError):
        deque(RunFiles(run).read(kind), maxlen=0)
        raise


def _plan(run: Path, folder: Path, settings: Settings, facts: CardFacts, tables: _Tables, earlier: Earlier) -> _Plan:
    """Reads what belongs to queries into the tables, and plans the splits."""
    queries: dict[str, QueryRef] = {}
    for query in RunFiles(run).read(Query):
        facts.teacher(query.teacher, "queries")
        queries[query.query_id] = QueryRef.from_query(query)
    relevant: defaultdict[str, list[str]] = defaultdict(list)

    def lines(kind: type[Record]) -> Iterator[tuple[str, str]]:
        for key, line in _lines(run, kind):
            ref = queries.get(key.query_id)
            if ref is None:
                raise _torn(run, kind, parse_record(kind, line).id, Query, key.query_id)
            if key.grade > 0 and ref.source_video_id is None:
                relevant[key.query_id].append(key.video_id)
            yield key.query_id, line

    tables.pairs.fill(lines(Pair))
    tables.labels.fill(lines(TeacherLabel))
    tables.judgments.fill(lines(Judgment))
    from hardcut.media.duplicates import families

    groups = list(RunFiles(run).read(Group))
    copies = list(near_duplicates((group.group_id, group.video_id) for group in groups))
    # A mirrored copy answers other queries, but who learned the one knows the other.
    linked = [*copies, *((group.video_id, other) for group in groups for other in group.mirrored)]
    reviews = list(RunFiles(run).read(Review))
    tables.reviews.fill((review.query_id, format_record(review)) for review in reviews)
    facts.comparisons = sum(is_compared(each) for each in RunFiles(run).read(Comparison))
    files = {video.video_id: video.sha256 for video in RunFiles(run).read(Video)}
    flags = facts.flags = flagged(reviews, RunFiles(run).read(Query), files, families(groups))
    meanings = None
    if settings.check.vectors is not None:
        meanings = read_meanings(Path(settings.check.vectors), queries, settings.check.meaning)
        facts.meaning = f"{meanings.model}, cosine of at least {meanings.least:g}"
    splits = plan_splits(RunFiles(run).read(Video), queries, relevant, settings.export, linked, earlier, meanings)
    contents = video_groups(RunFiles(run).read(Video), (), copies)
    return _Plan(run, folder, settings, splits, contents, flags, files, pseudonyms(reviews))


def _write_corpus(plan: _Plan, facts: CardFacts, videos: dict[str, Row]) -> Sizes:
    """Notes in `videos` what rows of other configs say of each video."""
    # What splits went by is published with the rest, so that anybody can look whether it straddles them.
    fields = tuple(dict.fromkeys([*plan.settings.evidence.metadata_fields, *plan.settings.export.group_by]))
    with Scratch(plan.folder) as speech, plan.writer("corpus") as writer:
        speech.fill(
            (evidence.video_id, canonical_json([evidence.span.start if evidence.span else 0.0, evidence.text]))
            for evidence in RunFiles(plan.run).read(Evidence)
            if evidence.kind == "speech"
        )
        heard = Merge(speech.groups())
        looks = Merge((each.video_id, each) for each in RunFiles(plan.run).read(Signature))
        for video in RunFiles(plan.run).read(Video):
            if video.video_id in plan.splits.moved or video.video_id in plan.flags.videos:
                continue
            said = " ".join(json.loads(body)[1] for body in sorted(heard(video.video_id) or ()))
            signature = looks(video.video_id)
            seen = look_of(signature) if signature is not None else None
            row = corpus_row(video, content_id("g", plan.splits.groups[video.video_id]), fields, said or None, seen)
            facts.video(video, row["licence"])
            writer.add(plan.splits.videos[video.video_id], row)
            videos[video.video_id] = {name: row[name] for name in ("video_path", "sha256")}
    return writer.sizes


def _write_captions(plan: _Plan, facts: CardFacts, videos: Mapping[str, Row], captions: dict[str, str]) -> Sizes:
    """In the order of the videos, with the kinds of evidence that each claim rests on. Notes in `captions` the first of
    each video."""
    with Scratch(plan.folder) as evidence, Scratch(plan.folder) as told, plan.writer("captions") as writer:
        evidence.fill(
            (line.video_id, canonical_json([line.evidence_id, line.kind])) for line in RunFiles(plan.run).read(Evidence)
        )
        told.fill((caption.video_id, format_record(caption)) for caption in RunFiles(plan.run).read(Caption))
        kinds_of = Merge(evidence.groups())
        out = plan.splits.moved.keys() | plan.flags.videos.keys()
        for video_id, bodies in told.groups():
            kinds = dict(json.loads(body) for body in kinds_of(video_id) or ())
            for caption in (parse_record(Caption, body) for body in bodies if video_id not in out):
                video = videos.get(video_id)
                if video is None:
                    raise _torn(plan.run, Caption, caption.id, Video, video_id)
                facts.teacher(caption.teacher, "captions")
                writer.add(plan.splits.videos[video_id], caption_row(caption, video, kinds))
                captions.setdefault(video_id, caption.text)
    return writer.sizes


def _write_by_query(
    plan: _Plan, facts: CardFacts, compiled: Callable[[], Iterator[_Compiled]], families: Scratch
) -> dict[str, Sizes]:
    """Queries, their pairs and qrels in one pass by query: a query's pairs lie together. What groups and blocks are
    made of goes to `families`."""
    settings = plan.settings.export
    out = unwanted_queries(((one.query, one.rows) for one in compiled()), settings) if is_selective(settings) else {}

    def parts(writers: Mapping[str, ConfigWriter]) -> Iterator[tuple[str, str]]:
        for one in compiled():
            query_id = one.query["query_id"]
            if query_id in plan.flags.queries:  # its pairs have no judgment
                continue
            unwanted = out.get(query_id) or leak(plan.splits, query_id) or untrained(plan.splits, plan.flags, query_id)
            dropped = one.held_out
            if unwanted:
                dropped = [*dropped, *(dropped_line(row["pair_id"], *unwanted) for row in one.rows)]
            facts.left_out.update(record.reason for record in dropped)
            write_records(left_out, dropped)
            if not unwanted:
                split = plan.splits.queries[query_id]
                yield from _write_query(one, split, writers, facts, settings)

    with ExitStack() as stack:
        names = ("pairs", "queries", "qrels")
        writers = {name: stack.enter_context(plan.writer(name)) for name in names}
        left_out = stack.enter_context((plan.folder / LEFT_OUT).open("w", encoding="utf-8", newline="\n"))
        withheld = plan.flags.videos.keys() | plan.flags.queries.keys()
        moved = ((id, why) for id, why in sorted(plan.splits.moved.items()) if id not in withheld)
        write_records(left_out, (dropped_line(id, MOVED, why) for id, why in moved))
        families.fill(parts(writers))
    return {name: writer.sizes for name, writer in writers.items()}


def _write_families(plan: _Plan, facts: CardFacts, families: Scratch, videos: Mapping[str, Row]) -> dict[str, Sizes]:
    """Training groups with their blocks, and the diagnostic set. Blocks that text alone tells apart are left out."""
    parts = {video: content_id("g", group) for video, group in plan.splits.groups.items()}  # as in `corpus`
    dropped = list(left_out_blocks(families, parts, plan.folder))
    facts.left_out.update(record.reason for record in dropped)
    with (plan.folder / LEFT_OUT).open("a", encoding="utf-8", newline="\n") as left_out:
        write_records(left_out, dropped)
    with plan.writer("groups") as groups, plan.writer("diagnostic") as diagnostic:
        write_blocks(groups, diagnostic, families, {record.item for record in dropped}, videos, plan.folder)
    return {"groups": groups.sizes, "diagnostic": diagnostic.sizes}


def _write_triplets(plan: _Plan, facts: CardFacts, families: Scratch, captioned: Mapping[str, Split]) -> Sizes:
    """The triplets of the run, if it made any, as far as their queries or captions are in the dataset."""
    with plan.writer("triplets") as writer, (plan.folder / LEFT_OUT).open("a", encoding="utf-8", newline="\n") as out:
        triplets = RunFiles(plan.run).read(Triplet)
        for record in write_triplets(writer, triplets, families, captioned, plan.folder):
            facts.left_out[record.reason] += 1
            write_records(out, [record])
    return writer.sizes


def _write_query(
    one: _Compiled, split: Split, writers: Mapping[str, ConfigWriter], facts: CardFacts, settings: ExportSettings
) -> Iterator[tuple[str, str]]:
    """Writes a query's rows of every config, and counts them for the card. Yields what it brings to its family."""
    facts.query(one.query, split)
    writers["queries"].add(split, one.query)
    for row in one.rows:
        facts.pair(row, one.query["kind"])
        row.update({name: one.query[name] for name in OF_QUERY})
        row["facets"] = facets_of(one.query, row["video_id"])
        writers["pairs"].add(split, row)
        writers["qrels"].add(split, qrels_row(row, one.query))
    for teacher in one.teachers:
        facts.teacher(teacher, "labels")
    made = 0
    for group_id, positive, negatives in training_groups(one.rows, settings):
        yield note_group(group_row(group_id, positive, negatives), split)
        made += 1
    yield note_sides(one.query, one.rows, split)
    if made or one.query["variant"] not in TURNED:  # these meet few videos
        facts.grouped[split][made > 0] += 1


def _compiled(
    plan: _Plan, facts: CardFacts, tables: _Tables, videos: Mapping[str, Row], captions: Mapping[str, str]
) -> Iterator[_Compiled]:
    """Every query, sorted by id as the run's file is, with all of its judged pairs: as rows, or held out.

    A pair without a judgment is in the run's `dropped.jsonl` already.
    """
    pairs_of, labels_of = Merge(tables.pairs.groups()), Merge(tables.labels.groups())
    judgments_of, reviews_of = Merge(tables.judgments.groups()), Merge(tables.reviews.groups())
    calibrated = read_calibrations(plan.run)
    for query in RunFiles(plan.run).read(Query):
        pairs = {pair.pair_id: pair for pair in _parsed(plan.run, Pair, pairs_of(query.query_id))}
        labels_by_pair: defaultdict[str, list[TeacherLabel]] = defaultdict(list)
        for one_label in _parsed(plan.run, TeacherLabel, labels_of(query.query_id)):
            labels_by_pair[one_label.pair_id].append(one_label)
        withheld = {id: why for id, pair in pairs.items() if (why := plan.flags.withheld(pair.query_id, pair.video_id))}
        facts.withheld.update(withheld)
        said = _said(plan, query, _parsed(plan.run, Review, reviews_of(query.query_id)))
        language = plan.flags.languages.get(query.query_id, query.language)
        by_people = [review for reviews in said.values() for review in reviews]
        one = _Compiled(query_row(query.model_copy(update={"language": language}), by_people), [], [], [])
        for judgment in _parsed(plan.run, Judgment, judgments_of(query.query_id)):
            pair = pairs.get(judgment.pair_id)
            if pair is None:
                raise _torn(plan.run, Judgment, judgment.id, Pair, judgment.pair_id)
            if pair.pair_id in withheld:
                continue  # it was judged before it was flagged
            out = out_of_split(plan.splits, query, pair.video_id)
            if out is not None:
                one.held_out.append(dropped_line(pair.pair_id, *out))
                continue
            video = videos.get(pair.video_id)
            if video is None:
                raise _torn(plan.run, Pair, pair.id, Video, pair.video_id)
            labels = labels_by_pair[pair.pair_id]
            label = deciding_label(judgment, labels)
            negative = negative_kind(judgment, labels, plan.settings.judgments)
            text_only, caption = text_only_label(labels), captions.get(pair.video_id)
            people = said.get(pair.pair_id, ())
            judged = judgment, negative, label, text_only, calibrated(label), labels
            one.rows.append(pair_row(pair, *judged, video, caption, people, plan.names))
            if label is not None:
                one.teachers.append(label.teacher)
        rows, contradicted = without_contradictions(query.query_id, one.rows, plan.contents)
        one.query["difficulty"] = asdict(difficulty(rows, one.query["facets"]))
        yield _Compiled(one.query, rows, [*one.held_out, *contradicted], one.teachers)


def _said(plan: _Plan, query: Query, reviews: list[Review]) -> dict[str, list[Review]]:
    """What people said of a query's present words and of its videos' present files, by pair."""
    found: defaultdict[str, list[Review]] = defaultdict(list)
    for review in reviews:
        found[review.pair_id] += of_content([review], plan.files.get(review.video_id))
    return {pair_id: reviews_in_force(query, said) for pair_id, said in found.items()}


def _parsed(run: Path, kind: type[R], bodies: list[str] | None) -> list[R]:
    with _line_told(run, kind):
        return [parse_record(kind, body) for body in bodies or ()]


def _torn(run: Path, kind: type[Record], id: str, wanted: type[Record], wanted_id: str) -> UsageError:
    return UsageError(
        f"{run / kind.FILE}: {id} belongs to {wanted_id}, which {wanted.FILE} lacks: run `hardcut run` to its end first"
    )
