"""Blocks: two queries of one form that differ in one thing, of which a video answers one and not the other.

The unanswered side is a counterfactual that was judged irrelevant to its source. The answered side is the query that it
was made of or, of a denial, the same sentence that denies something absent. Where a twin answers the other side, the
block has two videos and both orders. What text alone tells apart is chosen out: no student and no figure rests on it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hardcut.publish._parquet import ConfigWriter
from hardcut.publish._scratch import Scratch
from hardcut.report.statistics.sides import Sides, told_by_text
from hardcut.schemas.ids import canonical_json, content_id, digest
from hardcut.schemas.records import COUNTERFACTUAL, TURNED, Dropped, Split

Row = dict[str, Any]
TOLD_BY_TEXT = "told_by_text"
"""Why a block is neither trained on nor in the diagnostic set."""
AT_ONCE = 20_000
"""Blocks that are audited together: 9 s and 300 MiB."""
RIDE = 8
"""Blocks that ride with a group at most. A question more on a video that is encoded anyway costs little."""
RULE = (
    "score(answered, video) > score(unanswered, video); where there is a mirror also the other way round there, "
    "and each query higher on the video that answers it"
)
_SIDE = ("pair_id", "video_id", "label", "logit_margin", "exact")


@dataclass(frozen=True, slots=True)
class Block:
    """Rows of `queries` and `pairs` in short: the two queries, each with its pair with the video; `mirror` is a video
    of which the opposite holds."""

    block_id: str
    change: str
    video_id: str
    answered: Row
    unanswered: Row
    mirror: str | None
    split: Split

    @property
    def hardness(self) -> tuple[float, str]:
        """For the hardest first: how much surer the teacher is of the answered side, unknown last."""
        margins = self.answered["logit_margin"], self.unanswered["logit_margin"]
        gap = margins[0] - margins[1] if None not in margins else float("inf")
        return gap, self.block_id

    def sides(self, part: str) -> Sides:
        """The texts for an auditor."""
        return Sides(self.block_id, self.answered["query"], self.unanswered["query"], part)


def note_sides(query: Row, pairs: Sequence[Row], split: Split) -> tuple[str, str]:
    """What a query brings to the blocks of its family: (id of the original, its texts and judged pairs)."""
    family = query["parent_query_id"] if query["variant"] in TURNED else None
    told = {name: query[name] for name in ("query_id", "query", "kind", "variant", "source_video_id")}
    rows = [{name: row[name] for name in _SIDE} for row in pairs]
    return family or query["query_id"], canonical_json(["side", {**told, "split": split, "pairs": rows}])


def note_group(row: Row, split: Split) -> tuple[str, str]:
    """A training group, kept until its blocks are known."""
    return row["query_id"], canonical_json(["group", {"split": split, "row": row}])


def blocks_of(bodies: Sequence[str]) -> tuple[list[Row], Iterator[Block]]:
    """The groups of a family, and its blocks in the order of their ids."""
    parts = [json.loads(body) for body in bodies]
    groups = [value for kind, value in parts if kind == "group"]
    return groups, _blocks([value for kind, value in parts if kind == "side"])


def _blocks(sides: Sequence[Row]) -> Iterator[Block]:
    original = next((side for side in sides if side["variant"] not in TURNED), None)
    denial = next((side for side in sides if side["variant"] == "negated_absent"), None)
    found = []
    for side in sides:
        if side["variant"] in COUNTERFACTUAL:
            other = denial if side["variant"] == "negated" else original
            block = _block(other, side) if other is not None and other["split"] == side["split"] else None
            found += [block] if block is not None else []
    yield from sorted(found, key=lambda block: block.block_id)


def _block(answered: Row, unanswered: Row) -> Block | None:
    """The two as a block, if their source answers the one and not the other."""
    video = unanswered["source_video_id"]
    by_video = [{row["video_id"]: row for row in side["pairs"]} for side in (answered, unanswered)]
    yes, no = (rows.get(video) for rows in by_video)
    if yes is None or no is None or yes["label"] <= 0 or no["label"] > 0:
        return None
    mirrors = (
        other
        for other, row in sorted(by_video[1].items())
        if row["label"] > 0 and by_video[0].get(other, {"label": 1})["label"] <= 0
    )
    ids = [answered["query_id"], unanswered["query_id"], video]
    return Block(
        content_id("b", ids),
        unanswered["variant"],
        video,
        {**_told(answered), **yes},
        {**_told(unanswered), **no},
        next(mirrors, None),
        unanswered["split"],
    )


def _told(side: Row) -> Row:
    return {name: side[name] for name in ("query_id", "query", "kind")}


def left_out_blocks(families: Scratch, parts: Mapping[str, str], folder: Path | None = None) -> Iterator[Dropped]:
    """The blocks that text alone tells apart, looked for within each kind of change and then in all. `parts`: the group
    of each video, which folds do not part.

    At most about `AT_ONCE` blocks are looked at together, those of whole groups of videos, so that memory does not grow
    with the dataset. `folder` is where they wait.
    """
    count = sum(1 for _, bodies in families.groups() for _ in blocks_of(bodies)[1])
    turns = -(-count // AT_ONCE)
    with Scratch(folder) as waiting:
        waiting.fill(
            (
                f"{int(digest(parts[block.video_id])[:8], 16) % turns:08}",
                canonical_json([block.change, *asdict(sides).values()]),
            )
            for _, bodies in families.groups()
            for block in blocks_of(bodies)[1]
            for sides in [block.sides(parts[block.video_id])]
        )
        for _, found in waiting.groups():
            yield from _told_apart([(change, Sides(*sides)) for change, *sides in map(json.loads, found)])


def _told_apart(blocks: Sequence[tuple[str, Sides]]) -> Iterator[Dropped]:
    left: list[Sides] = []
    for change in sorted({change for change, _ in blocks}):
        found = [sides for name, sides in blocks if name == change]
        gone = told_by_text(found)
        yield from (_left_out(change, sides) for sides in gone)
        out = {sides.id for sides in gone}
        left += [sides for sides in found if sides.id not in out]
    yield from (_left_out("all together", sides) for sides in told_by_text(left))


def _left_out(change: str, sides: Sides) -> Dropped:
    detail = f"{change}: words alone tell {sides.answered!r} from {sides.unanswered!r}"
    return Dropped.create(item=sides.id, stage="export", reason=TOLD_BY_TEXT, detail=detail)


def write_blocks(
    groups: ConfigWriter,
    diagnostic: ConfigWriter,
    families: Scratch,
    out: set[str],
    videos: Mapping[str, Row],
    folder: Path | None = None,
) -> None:
    """Writes the training groups, each with blocks of its positive's video, and the diagnostic set: a row a block.

    `out` are the ids of blocks that are left out, `videos` path and sha256 by id. Blocks and groups of a video meet in
    a table in `folder`, whichever queries they are of.
    """
    with Scratch(folder) as by_video, Scratch(folder) as in_order:
        by_video.fill(_by_video(diagnostic, families, out, videos))
        in_order.fill(_with_blocks(by_video))
        for _, [body] in in_order.groups():
            split, row = json.loads(body)
            groups.add(split, row)


def _by_video(
    diagnostic: ConfigWriter, families: Scratch, out: set[str], videos: Mapping[str, Row]
) -> Iterator[tuple[str, str]]:
    """Groups by their positive's video, each with its place in the order of families, and blocks by theirs. The blocks
    go to the diagnostic set on the way."""
    place = 0
    for family, bodies in families.groups():
        kept, blocks = blocks_of(bodies)
        for each in kept:
            told = ["group", family, f"{place:012}", each["split"], each["row"]]
            yield each["row"]["positive"]["video_id"], canonical_json(told)
            place += 1
        for block in blocks:
            if block.block_id not in out:
                diagnostic.add(block.split, _diagnostic_row(block, videos))
                yield block.video_id, canonical_json(["block", family, asdict(block)])


def _with_blocks(by_video: Scratch) -> Iterator[tuple[str, str]]:
    """The groups by their place, each with the blocks that ride with it."""
    for _, bodies in by_video.groups():
        parts = [json.loads(body) for body in bodies]
        blocks = [(family, Block(**rest[0])) for kind, family, *rest in parts if kind == "block"]
        for kind, family, *rest in parts:
            if kind == "group":
                place, split, row = rest
                of_split = [(other == family, block) for other, block in blocks if block.split == split]
                yield place, canonical_json([split, {**row, "counterfactuals": _riding(of_split, row)}])


def _riding(blocks: Sequence[tuple[bool, Block]], row: Row) -> list[Row]:
    """The sides of at most `RIDE` blocks, each side once and without the group's own query: first the blocks of the
    group's query, the hardest first, then others about the video, drawn by a digest, so that its groups differ."""

    def order(each: tuple[bool, Block]) -> tuple[bool, tuple[float, str]]:
        own, block = each
        return not own, block.hardness if own else (0.0, digest(row["group_id"], block.block_id))

    sides: dict[str, Row] = {}
    for _, block in sorted(blocks, key=order)[:RIDE]:
        for side in _sides_of(block):
            sides.setdefault(side["query_id"], side)
    sides.pop(row["query_id"], None)
    return list(sides.values())


def _sides_of(block: Block) -> Iterator[Row]:
    for side, other, answered in ((block.answered, block.unanswered, True), (block.unanswered, block.answered, False)):
        yield {
            **{name: side[name] for name in ("pair_id", "query_id", "query")},
            "change": block.change,
            "answered": answered,
            "against": other["query_id"],
            "logit_margin": side["logit_margin"],
            "exact": side["exact"],
        }


def _diagnostic_row(block: Block, videos: Mapping[str, Row]) -> Row:
    sides = {
        name: {field: side[field] for field in ("query_id", "query", "kind")}
        for name, side in (("answered", block.answered), ("unanswered", block.unanswered))
    }
    mirror = {"video_id": block.mirror, **videos[block.mirror]} if block.mirror is not None else None
    return {
        "block_id": block.block_id,
        "change": block.change,
        "video_id": block.video_id,
        **videos[block.video_id],
        **sides,
        "mirror": mirror,
        "rule": RULE,
    }
