"""Reads what a dataset gives to training, and checks it before anything is loaded: no torch here.

Every group names its own query, candidates and labels, so nothing is put together by position.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from hardcut.reranker.examples import (
    COMPOSED_QUERY,
    HALF_BLOCK,
    NO_REFERENCE,
    TOO_LONG,
    UNKNOWN_QUERY,
    UNSEEN_CLAIMS,
    Block,
    CaptionExample,
    ClipRef,
    Group,
    LeftOut,
    PerceptionData,
    Question,
    RankingData,
    TrainingCandidate,
    Validation,
)
from hardcut.reranker.facts import DatasetTables, NuanceBlock, Row
from hardcut.reranker.margins import Margins, mixing
from hardcut.schemas.logistic import sigmoid
from hardcut.schemas.text.seen import unseen_claims, without

SoftLabels = Literal["calibrated", "raw"]
LONGEST_QUERY = 8_000
"""Characters of a query that is trained on or measured: some 2,000 tokens of English. One far longer would take the
memory of a step, and end the training."""
_OF_PAIR = (
    *("pair_id", "query_id", "query", "video_id", "video_path", "sha256"),
    *("label", "p_calibrated", "logit_margin", "exact", "teacher", "shown", "reasoning"),
)


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


def read_ranking(
    tables: DatasetTables, soft: SoftLabels, blocks: int = 0, *, composed: bool = False, rationales: bool = False
) -> RankingData:
    """The groups of the split `train`, each with at most so many blocks of counterfactuals, and the judged pairs of the
    split `validation`, with its blocks where groups have some.

    Left out are groups whose query the dataset does not have or whose query is too long, and counterfactuals whose
    other side is not there. A query that starts from a video (a composed one) is left out without `composed`, and where
    the config `corpus` does not know that video; counterfactuals of such queries always are. With `rationales` a
    teacher's reasoning is read too, where the label is what it said.
    """
    starts = _read_starts(tables, composed)
    left_out: dict[str, LeftOut] = {}
    margins = Margins()
    told, validation = _read_pairs(tables, soft, starts, left_out, margins, rationales)
    groups = tuple(_read_groups(tables, told, starts, blocks, left_out))
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


@dataclass(frozen=True, slots=True)
class _Told:
    """What teachers said of pairs, by the pair's id: soft labels, and reasons where they are learned."""

    softs: dict[str, float | None]
    reasons: dict[str, str | None]

    def soft(self, row: Row) -> float | None:
        return self.softs.get(row["pair_id"])

    def reason(self, row: Row) -> str | None:
        return self.reasons.get(row["pair_id"]) or None


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
    rationales: bool,
) -> tuple[_Told, Validation]:
    """What teachers said of the training pairs, and what the split `validation` judges."""
    told = _Told({}, {})
    queries: dict[str, str] = {}
    videos: dict[str, ClipRef] = {}
    qrels: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for split, row in tables.rows("pairs", _OF_PAIR):
        query = row["query_id"]
        if split == "train":
            told.softs[row["pair_id"]] = _soft(row, soft)
            if rationales and _agrees(row):
                told.reasons[row["pair_id"]] = row["reasoning"]
            if told.softs[row["pair_id"]] is not None:
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
    return told, Validation(queries, videos, dict(qrels), references=found)


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
    told: _Told,
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
                TrainingCandidate(_clipped(each), told.soft(each), each["label"], told.reason(each))
                for each in (row["positive"], *row["negatives"])
            )
            found = _read_blocks(row, positive, told, starts, left_out) if blocks else []
            start = starts.file(row["query_id"])
            groups.append(Group(group, row["query"], positive, tuple(negatives), tuple(found[:blocks]), start))
    return sorted(groups, key=lambda each: each.group_id)


def _read_blocks(
    row: Row,
    positive: TrainingCandidate,
    told: _Told,
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
    asked = {each["query_id"]: Question(each["query"], told.soft(each), told.reason(each)) for each in listed}
    own = {row["query_id"]: Question(row["query"], positive.soft, positive.reasoning)}
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
    return float(probability) if _agrees(row) else None


def _agrees(row: Row) -> bool:
    """Whether the label, which people may have given, is what the teacher said."""
    margin = row["logit_margin"]
    return margin is not None and (margin >= 0) == (row["label"] > 0)


def _clipped(row: Row) -> ClipRef:
    return ClipRef(row["video_id"], row["video_path"], row["sha256"])
