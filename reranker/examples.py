"""What a dataset gives to training, read and checked before anything is loaded: no torch here.

Every group names its own query, candidates and labels, so nothing is put together by position. What cannot be used is
in `LeftOut`, by name and with the reason.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Container, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from hardcut.reranker.facts import DatasetTables, NuanceBlock, Row
from hardcut.reranker.margins import Margins, mixing
from hardcut.schemas.logistic import sigmoid
from hardcut.schemas.text.seen import unseen_claims, without
from hardcut.schemas.trec import Qrels

SoftLabels = Literal["calibrated", "raw"]
UNKNOWN_QUERY, MISSING_VIDEO, COMPOSED_QUERY, HALF_BLOCK, UNSEEN_CLAIMS, TOO_LONG, NO_REFERENCE = (
    *("unknown_query", "missing_video", "composed_query", "half_block", "unseen_claims", "too_long", "no_reference"),
)
"""Why something is left out."""
LONGEST_QUERY = 8_000
"""Characters of a query that is trained on or measured: some 2,000 tokens of English. One far longer would take the
memory of a step, and end the training."""
_OF_PAIR = (
    *("pair_id", "query_id", "query", "video_id", "video_path", "sha256"),
    *("label", "p_calibrated", "logit_margin", "exact", "teacher", "shown"),
)


@dataclass(frozen=True, slots=True)
class ClipRef:
    """A video that is trained on: where its file is under the root, and the digest of its bytes."""

    video_id: str
    path: str
    sha256: str


@dataclass(frozen=True, slots=True)
class TrainingCandidate:
    """A video of a group with the teacher's probability, `None` where there is none that can be used, and its grade."""

    video: ClipRef
    soft: float | None
    grade: int = 0


@dataclass(frozen=True, slots=True)
class Question:
    """A query that is asked of a group's positive video, with the teacher's probability that it is answered."""

    query: str
    soft: float | None


@dataclass(frozen=True, slots=True)
class Block:
    """Two queries of one form. The positive video answers the first and not the second."""

    answered: Question
    unanswered: Question


@dataclass(frozen=True, slots=True)
class Group:
    """One query with its positive and negatives, and blocks of counterfactuals on the positive's video. `reference` is
    the video that a composed query starts from; the queries of blocks start from none."""

    group_id: str
    query: str
    positive: TrainingCandidate
    negatives: tuple[TrainingCandidate, ...]
    blocks: tuple[Block, ...] = ()
    reference: ClipRef | None = None

    @property
    def candidates(self) -> tuple[TrainingCandidate, ...]:
        """The positive first."""
        return self.positive, *self.negatives

    @property
    def questions(self) -> tuple[str, ...]:
        """Every query that is asked of the positive's video, once: the group's own first."""
        return tuple(dict.fromkeys((self.query, *self.sides)))

    @property
    def sides(self) -> tuple[str, ...]:
        """The queries of blocks, each once."""
        sides = (side.query for block in self.blocks for side in (block.answered, block.unanswered))
        return tuple(dict.fromkeys(sides))


@dataclass(frozen=True, slots=True)
class CaptionExample:
    """A video with the caption that stage 1 learns."""

    video: ClipRef
    caption: str


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Something that training does not use."""

    item: str
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Validation:
    """Judged pairs to rank, and blocks to tell apart: texts by query id, videos by id, grades. `references` are the
    videos that composed queries start from, by query."""

    queries: Mapping[str, str]
    videos: Mapping[str, ClipRef]
    qrels: Qrels
    blocks: tuple[NuanceBlock, ...] = ()
    references: Mapping[str, ClipRef] = field(default_factory=dict)

    @property
    def pairs(self) -> set[tuple[str, str]]:
        """(query, video) of all that is to be scored."""
        judged = {(query, video) for query, grades in self.qrels.items() for video in grades}
        return judged | {(side, block.video_id) for block in self.blocks for side in (block.answered, block.unanswered)}

    def without(self, missing: Container[str]) -> Validation:
        """The pairs and blocks whose video is there, and the one that their query starts from."""
        references = {query: of for query, of in self.references.items() if of.video_id not in missing}
        kept = {
            query: {video: grade for video, grade in grades.items() if video not in missing}
            for query, grades in self.qrels.items()
            if query not in self.references or query in references
        }
        blocks = tuple(block for block in self.blocks if block.video_id not in missing)
        qrels = {query: grades for query, grades in kept.items() if grades}
        return Validation(self.queries, self.videos, qrels, blocks, references)


@dataclass(frozen=True, slots=True)
class PerceptionData:
    """What stage 1 trains on, and the captions that its checkpoints are measured on; both by video."""

    examples: tuple[CaptionExample, ...]
    validation: tuple[CaptionExample, ...]
    left_out: tuple[LeftOut, ...] = ()

    @property
    def videos(self) -> dict[str, ClipRef]:
        """Every video that is asked for, by id."""
        return {each.video.video_id: each.video for each in (*self.examples, *self.validation)}

    def without(self, missing: Mapping[str, str]) -> PerceptionData:
        """What is left where videos are missing (why, by id)."""
        examples, validation = (
            tuple(each for each in captions if each.video.video_id not in missing)
            for captions in (self.examples, self.validation)
        )
        return PerceptionData(examples, validation, (*self.left_out, *_missing(missing)))


@dataclass(frozen=True, slots=True)
class RankingData:
    """What stage 2 trains on, the groups by id, what its checkpoints are measured on, and what cannot be used."""

    examples: tuple[Group, ...]
    validation: Validation
    left_out: tuple[LeftOut, ...] = ()
    mixed: str | None = None
    """What is to be said of the teachers' margins, where they were made in different ways (`margins.py`)."""
    mixed_groups: tuple[str, ...] = ()
    """The groups that have margins of one teacher that were made in different ways."""

    @property
    def videos(self) -> dict[str, ClipRef]:
        """Every video that is asked for, by id."""
        found = {each.video.video_id: each.video for group in self.examples for each in group.candidates}
        references = [group.reference for group in self.examples if group.reference is not None]
        references += self.validation.references.values()
        return found | {each.video_id: each for each in references} | dict(self.validation.videos)

    def without(self, missing: Mapping[str, str]) -> RankingData:
        """What is left where videos are missing (why, by id). A negative leaves its group. The positive, the last
        negative, or the video that the query starts from takes the group with it."""
        groups = []
        for group in self.examples:
            negatives = tuple(each for each in group.negatives if each.video.video_id not in missing)
            needed = {group.positive.video.video_id} | ({group.reference.video_id} if group.reference else set())
            if not needed & missing.keys() and negatives:
                groups.append(replace(group, negatives=negatives))
        gone = {group.group_id for group in self.examples} - {group.group_id for group in groups}
        left_out = (
            LeftOut(group, MISSING_VIDEO, "its positive, its reference or all of its negatives are missing")
            for group in sorted(gone)
        )
        return replace(
            self,
            examples=tuple(groups),
            validation=self.validation.without(missing),
            left_out=(*self.left_out, *_missing(missing), *left_out),
        )


Given = PerceptionData | RankingData
"""What a stage is given of a dataset."""


def read_perception(tables: DatasetTables, unseen: Collection[str] = ()) -> PerceptionData:
    """The captions of the splits `train` and `validation`: long and short ones are an example each, however many a
    video has.

    A claim that rests on evidence of the kinds `unseen` alone, such as a title, is no part of them. A short caption
    goes where a claim of the long one does, since nobody knows which claims it tells; so does one of nothing else.
    """
    found: dict[str, list[tuple[str, str, int, CaptionExample]]] = {"train": [], "validation": []}
    left_out: dict[str, LeftOut] = {}
    for split, row in tables.rows("captions"):
        if split in found:
            for number, text in enumerate(_targets(row, frozenset(unseen), left_out)):
                if text:
                    found[split].append(
                        (row["video_id"], row["caption_id"], number, CaptionExample(_clipped(row), text))
                    )
    train, validation = (tuple(each for *_, each in sorted(of, key=lambda row: row[:3])) for of in found.values())
    return PerceptionData(train, validation, tuple(left_out.values()))


def _targets(row: Row, unseen: frozenset[str], left_out: dict[str, LeftOut]) -> tuple[str | None, str | None]:
    """The long and the short caption of a row as far as a model that sees pictures alone can tell them."""
    hidden = unseen_claims(row["claims"], unseen)
    if not hidden:
        return row["caption"], row.get("short")
    kinds = " and ".join(sorted({kind for claim in hidden for kind in claim["evidence"]}))
    detail = f"{len(hidden)} of {len(row['claims'])} claims rest on {kinds} alone, which the model is not shown"
    left_out[row["caption_id"]] = LeftOut(row["caption_id"], UNSEEN_CLAIMS, detail)
    return without(row["claims"], hidden), None


def read_ranking(tables: DatasetTables, soft: SoftLabels, blocks: int = 0, *, composed: bool = False) -> RankingData:
    """The groups of the split `train`, each with at most so many blocks of counterfactuals, and the judged pairs of the
    split `validation`, with its blocks where groups have some.

    Left out are groups whose query the dataset does not have or whose query is too long, and counterfactuals whose
    other side is not there. A query that starts from a video (a composed one) is left out without `composed`, and where
    the config `corpus` does not know that video; counterfactuals of such queries always are.
    """
    starts = _read_starts(tables, composed)
    left_out: dict[str, LeftOut] = {}
    margins = Margins()
    softs, validation = _read_pairs(tables, soft, starts, left_out, margins)
    groups = tuple(_read_groups(tables, softs, starts, blocks, left_out))
    if any(group.blocks for group in groups):
        validation = _with_blocks(validation, tables, starts)
    return RankingData(groups, validation, tuple(left_out.values()), mixing(margins), _mixed(tables, groups, margins))


@dataclass(frozen=True, slots=True)
class _Starts:
    """The video that each query of the dataset starts from, None where from none; and of these videos those that are
    shown."""

    of: Mapping[str, str | None]
    files: Mapping[str, ClipRef]
    shown: bool

    def file(self, query: str) -> ClipRef | None:
        """The video that a query starts from, if it does from one that is shown."""
        return self.files.get(self.of.get(query) or "")

    def unusable(self, item: str, query: str) -> LeftOut | None:
        """Why something of this query cannot be shown, if so."""
        start = self.of.get(query)
        if start is None or start in self.files:
            return None
        why = "is not in the config `corpus`" if self.shown else "is not shown"
        reason = NO_REFERENCE if self.shown else COMPOSED_QUERY
        return LeftOut(item, reason, f"its query changes the video {start}, which {why}")


def _read_starts(tables: DatasetTables, composed: bool) -> _Starts:
    columns = ("query_id", "reference_video_id")
    of = {row["query_id"]: row["reference_video_id"] for _, row in tables.rows("queries", columns)}
    wanted = {start for start in of.values() if start is not None}
    files: dict[str, ClipRef] = {}
    if composed and wanted and "corpus" in tables.configs:
        rows = (row for _, row in tables.rows("corpus", ("video_id", "video_path", "sha256")))
        files = {row["video_id"]: _clipped(row) for row in rows if row["video_id"] in wanted}
    return _Starts(of, files, composed)


def _read_pairs(
    tables: DatasetTables,
    soft: SoftLabels,
    starts: _Starts,
    left_out: dict[str, LeftOut],
    margins: Margins,
) -> tuple[dict[str, float | None], Validation]:
    """The soft labels of the training pairs by id, and what the split `validation` judges."""
    softs: dict[str, float | None] = {}
    queries: dict[str, str] = {}
    videos: dict[str, ClipRef] = {}
    qrels: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for split, row in tables.rows("pairs", _OF_PAIR):
        query = row["query_id"]
        if split == "train":
            softs[row["pair_id"]] = _soft(row, soft)
            if softs[row["pair_id"]] is not None:
                margins.note(row["pair_id"], row.get("teacher"), row.get("shown"))
        elif split == "validation":
            unusable = starts.unusable(query, query)
            if unusable is None and len(row["query"]) > LONGEST_QUERY:
                unusable = _too_long(query, row["query"])
            if unusable is not None:
                left_out[query] = unusable
                continue
            queries[query] = row["query"]
            videos[row["video_id"]] = _clipped(row)
            qrels[query][row["video_id"]] = row["label"]
    found = {query: start for query in qrels if (start := starts.file(query)) is not None}
    return softs, Validation(queries, videos, dict(qrels), references=found)


def _with_blocks(validation: Validation, tables: DatasetTables, starts: _Starts) -> Validation:
    """The same with the blocks that the diagnostic set has of this split, but for those of composed queries."""
    queries, videos, blocks = dict(validation.queries), dict(validation.videos), []
    for split, row in tables.rows("diagnostic") if "diagnostic" in tables.configs else ():
        sides = row["answered"], row["unanswered"]
        if split == "validation" and all(_plain(side["query_id"], side, starts) is None for side in sides):
            queries |= {side["query_id"]: side["query"] for side in sides}
            videos[row["video_id"]] = _clipped(row)
            blocks.append(NuanceBlock(row["change"], row["video_id"], *(side["query_id"] for side in sides)))
    return replace(validation, queries=queries, videos=videos, blocks=tuple(blocks))


def _read_groups(
    tables: DatasetTables,
    softs: Mapping[str, float | None],
    starts: _Starts,
    blocks: int,
    left_out: dict[str, LeftOut],
) -> list[Group]:
    """The training groups, sorted by id."""
    groups = []
    for split, row in tables.rows("groups"):
        group = row["group_id"]
        if split != "train":
            continue
        unusable = _unusable(group, row, starts)
        if unusable:
            left_out[group] = unusable
        else:
            positive, *negatives = (
                TrainingCandidate(_clipped(each), softs.get(each["pair_id"]), each["label"])
                for each in (row["positive"], *row["negatives"])
            )
            found = _read_blocks(row, positive, softs, starts, left_out) if blocks else []
            start = starts.file(row["query_id"])
            groups.append(Group(group, row["query"], positive, tuple(negatives), tuple(found[:blocks]), start))
    return sorted(groups, key=lambda each: each.group_id)


def _read_blocks(
    row: Row,
    positive: TrainingCandidate,
    softs: Mapping[str, float | None],
    starts: _Starts,
    left_out: dict[str, LeftOut],
) -> list[Block]:
    """The blocks of a group, in the order of its column `counterfactuals`, which older datasets lack. The answered side
    of a block is the group's own query or a counterfactual."""
    listed: list[Row] = []
    for each in row.get("counterfactuals") or ():
        unusable = _plain(each["pair_id"], each, starts)
        if unusable:
            left_out[each["pair_id"]] = unusable
        else:
            listed.append(each)
    asked = {each["query_id"]: Question(each["query"], softs.get(each["pair_id"])) for each in listed}
    own = {row["query_id"]: Question(row["query"], positive.soft)}
    answered = own if starts.of.get(row["query_id"]) is None else {}  # the sides of a block start from no video
    answered |= {each["query_id"]: asked[each["query_id"]] for each in listed if each["answered"]}
    blocks = [
        (each["against"], each["query_id"]) for each in listed if not each["answered"] and each["against"] in answered
    ]
    whole = {query for block in blocks for query in block}
    for each in listed:
        if each["query_id"] not in whole:
            detail = f"in the group {row['group_id']}: the query {each['against']} is not there as its other side"
            left_out[each["pair_id"]] = LeftOut(each["pair_id"], HALF_BLOCK, detail)
    return [Block(answered[yes], asked[no]) for yes, no in blocks]


def _mixed(tables: DatasetTables, groups: Collection[Group], margins: Margins) -> tuple[str, ...]:
    """The groups whose candidates have margins of one teacher that were made in different ways."""
    if not margins.mixed:
        return ()
    ids = {group.group_id for group in groups}
    rows = (row for split, row in tables.rows("groups") if split == "train" and row["group_id"] in ids)
    found = {
        row["group_id"]: margins.is_mixed(each["pair_id"] for each in (row["positive"], *row["negatives"]))
        for row in rows
    }
    return tuple(sorted(group for group, mixed in found.items() if mixed))


def _missing(missing: Mapping[str, str]) -> Iterator[LeftOut]:
    for video in sorted(missing):
        yield LeftOut(video, MISSING_VIDEO, missing[video])


def _plain(item: str, row: Row, starts: _Starts) -> LeftOut | None:
    """As `_unusable`, of a side of a block, whose query may start from no video."""
    start = starts.of.get(row["query_id"])
    if start is not None:
        return LeftOut(
            item, COMPOSED_QUERY, f"its query changes the video {start}, and sides of a block start from none"
        )
    return _unusable(item, row, starts)


def _unusable(item: str, row: Row, starts: _Starts) -> LeftOut | None:
    """Why something cannot be used for its query's sake, if so."""
    query = row["query_id"]
    if query not in starts.of:
        return LeftOut(item, UNKNOWN_QUERY, f"its query {query} is not in the config `queries`")
    if len(row["query"]) > LONGEST_QUERY:
        return _too_long(item, row["query"])
    return starts.unusable(item, query)


def _too_long(item: str, text: str) -> LeftOut:
    return LeftOut(item, TOO_LONG, f"its query has {len(text):,} characters: at most {LONGEST_QUERY:,} are trained on")


def _soft(row: Row, soft: SoftLabels) -> float | None:
    """The teacher's probability. None where it is only a bound, or where the label, which people may have given, says
    the opposite: a teacher that was overruled teaches nothing."""
    margin = row["logit_margin"]
    if margin is None or not row["exact"] or not math.isfinite(margin):
        return None
    calibrated = row["p_calibrated"]
    probability = calibrated if soft == "calibrated" and calibrated is not None else sigmoid(margin)
    return float(probability) if (margin >= 0) == (row["label"] > 0) else None


def _clipped(row: Row) -> ClipRef:
    return ClipRef(row["video_id"], row["video_path"], row["sha256"])
