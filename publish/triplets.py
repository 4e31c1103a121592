"""The config `triplets`: a run's triplets whose queries are in the dataset and were judged as their set needs it.

Sets stay whole, in one split. The triplets of a query's family meet its judged pairs in a table on disk, and the sets
meet in another, so memory holds a number for each text.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

from hardcut.publish._parquet import ConfigWriter
from hardcut.publish._scratch import Merge, Scratch
from hardcut.publish.anchored import AnchorTally, Half, WordWeights, is_worded_as_the_positive
from hardcut.publish.rows import teacher_name
from hardcut.publish.similar import normalised_text
from hardcut.publish.splits import SPLITS
from hardcut.schemas.ids import canonical_json
from hardcut.schemas.jsonl import format_record, parse_record
from hardcut.schemas.records import Dropped, Split
from hardcut.schemas.triplets import AFFIRMED, Nuance, TextSource, Triplet, is_balanced

Row = dict[str, Any]
_HALVES = (True, "positives"), (False, "anchors")


class Fit(NamedTuple):
    """Where a triplet belongs, with its final video; or why it belongs nowhere."""

    split: Split | None
    triplet: Triplet
    reason: str = ""
    detail: str = ""


def write_triplets(
    writer: ConfigWriter,
    triplets: Iterable[Triplet],
    families: Scratch,
    captioned: Mapping[str, Split],
    folder: Path | None = None,
) -> Iterator[Dropped]:
    """Writes the triplets of whole sets and yields a record for each set that is left out.

    `families` has of each query in the dataset its judged pairs (`blocks.note_sides`), `captioned` the split of each
    video with a caption there: edits of captions are of no query (`caption_left_out`). A set is left out where a query
    of it is not there or parted from the others (`query_left_out`), where the judgments are not those that it needs
    (`not_judged_so`), where a text would not be as often a positive as a negative (`unbalanced_set`), and where a text
    is also in a later split (`leaks_into_later_split`).
    """
    with Scratch(folder) as waiting:
        waiting.fill((each.family or "", format_record(each)) for each in triplets)
        yield from write_sets(writer, _fits(waiting, families, captioned), folder)


def write_sets(writer: ConfigWriter, fits: Iterable[Fit], folder: Path | None = None) -> Iterator[Dropped]:
    """Writes the triplets of whole sets, in the order of their ids. Yields a record for each set that is left out, and
    for each half of one by which a bag of words would tell positives by their anchors (`publish/anchored.py`)."""
    with Scratch(folder) as by_set, Scratch(folder) as kept:
        by_set.fill((fit.triplet.set_id, _noted(fit)) for fit in fits)
        latest: dict[int, int] = {}
        left: list[Dropped] = []
        weights = WordWeights()
        kept.fill(_whole_sets(by_set, latest, weights, left))
        yield from left
        halved = _told_by_anchors(kept, weights)
        for set_id, bodies in kept.groups():
            split, members = _read(bodies)
            for as_positive, what in _HALVES:
                if Half(set_id, as_positive) in halved:
                    detail = f"{members[0].nuance}: the half whose negatives are worded as the {what}"
                    yield _left_out(set_id, "told_by_anchor", detail)
                    members = [each for each in members if is_worded_as_the_positive(each) != as_positive]
            early = SPLITS.index(split)
            later = next((text for text in _texts(members) if latest[_number(text)] > early), None)
            if later is not None:
                other = SPLITS[latest[_number(later)]]
                yield _left_out(set_id, "leaks_into_later_split", f"{later!r} of {split} is in {other} too")
                continue
            for each in members:
                writer.add(split, triplet_row(each))


def triplet_row(triplet: Triplet) -> Row:
    """A row of `triplets`."""
    return {
        "id": triplet.triplet_id,
        "set_id": triplet.set_id,
        "nuance": triplet.nuance,
        "anchor": triplet.anchor,
        "positive": triplet.positive,
        "hard_negative": triplet.hard_negative,
        "anchor_source": _source(triplet.anchor_source),
        "positive_source": _source(triplet.positive_source),
        "hard_negative_source": _source(triplet.hard_negative_source),
        "video_id": triplet.video_id,
    }


def _source(source: TextSource) -> Row:
    return {"kind": source.kind, "id": source.id, "teacher": teacher_name(source.teacher)}


def _fits(waiting: Scratch, families: Scratch, captioned: Mapping[str, Split]) -> Iterator[Fit]:
    family_of = Merge(families.groups())
    for family, bodies in waiting.groups():
        parts = [json.loads(body) for body in family_of(family) or ()]
        sides = {side["query_id"]: side for kind, side in parts if kind == "side"}
        for triplet in (parse_record(Triplet, body) for body in bodies):
            yield _fit(triplet, sides) if family else _fit_of_caption(triplet, captioned)


def _fit_of_caption(triplet: Triplet, captioned: Mapping[str, Split]) -> Fit:
    """Where an edit of a video's caption belongs: to the video."""
    split = captioned.get(triplet.made_from or "")
    if split is None:
        return Fit(None, triplet, "caption_left_out", f"the caption of {triplet.made_from} is not in the dataset")
    return Fit(split, triplet)


def _fit(triplet: Triplet, sides: Mapping[str, Row]) -> Fit:
    """By what was judged of its queries: what is true of its video, and a video that the anchor is true of."""
    sources = (triplet.anchor_source, triplet.positive_source, triplet.hard_negative_source)
    ids = [source.id for source in sources if source.kind != "caption"]
    queries = [id.removesuffix(AFFIRMED) for id in ids]
    gone = [query_id for query_id in queries if query_id not in sides]
    splits = {sides[query_id]["split"] for query_id in queries if query_id in sides}
    if gone or len(splits) != 1:
        why = f"the query {gone[0]} is not in the dataset" if gone else "its queries are in several splits"
        return Fit(None, triplet, "query_left_out", why)
    split: Split = splits.pop()
    video, true = triplet.made_from or "", triplet.anchor_source.id
    false = None if triplet.nuance == "composed" else triplet.hard_negative_source.id
    if triplet.video_id is None and false is not None:
        true, false = false, true  # the anchor is what its video does not answer
    wrong = not _is_answered(sides, true, video) or (false is not None and not _is_unanswered(sides, false, video))
    if wrong or (any(map(_is_affirmed, ids)) and not _shows_the_rest(sides, video)):
        detail = f"{video} is not judged to answer {true}{f', and not {false}' if false else ''}"
        return Fit(None, triplet, "not_judged_so", detail)
    if triplet.video_id is not None or false is None or any(map(_is_affirmed, ids)):
        return Fit(split, triplet)
    mirror = next((each for each in _judged(sides, false) if _is_unanswered(sides, true, each)), None)
    return Fit(split, triplet.model_copy(update={"video_id": mirror}))


def _is_answered(sides: Mapping[str, Row], id: str, video: str) -> bool:
    """Whether a video was judged to answer a text. A denial without its denial is true where the denial is not."""
    query_id = id.removesuffix(AFFIRMED)
    grade = _grades(sides[query_id]).get(video)
    return grade is not None and (grade > 0) != _is_affirmed(id)


def _is_unanswered(sides: Mapping[str, Row], id: str, video: str) -> bool:
    grade = _grades(sides[id.removesuffix(AFFIRMED)]).get(video)
    return grade is not None and (grade > 0) == _is_affirmed(id)


def _shows_the_rest(sides: Mapping[str, Row], video: str) -> bool:
    """Whether the video shows what a denial says beside the denial: it answers the denial of something else."""
    return any(side["variant"] == "negated_absent" and _grades(side).get(video, 0) > 0 for side in sides.values())


def _judged(sides: Mapping[str, Row], id: str) -> list[str]:
    """The videos that are judged to answer a text, sorted."""
    return sorted(video for video, grade in _grades(sides[id]).items() if grade > 0)


def _is_affirmed(id: str) -> bool:
    return id.endswith(AFFIRMED)


def _grades(side: Row) -> dict[str, int]:
    return {row["video_id"]: row["label"] for row in side["pairs"]}


def _noted(fit: Fit) -> str:
    return canonical_json([fit.split, format_record(fit.triplet), fit.reason, fit.detail])


def _told_by_anchors(sets: Scratch, weights: WordWeights) -> set[Half]:
    """The halves of sets that must go, by nuance and split."""
    tallies: defaultdict[tuple[Split, Nuance], AnchorTally] = defaultdict(lambda: AnchorTally(weights))
    for set_id, bodies in sets.groups():
        split, members = _read(bodies)
        tallies[split, members[0].nuance].add(set_id, members)
    return {half for tally in tallies.values() for half in tally.too_easy()}


def _whole_sets(
    by_set: Scratch, latest: dict[int, int], weights: WordWeights, left: list[Dropped]
) -> Iterator[tuple[str, str]]:
    """The sets that can be used. Notes in `latest` the last split that each text is in, their words in `weights`, and
    in `left` the others."""
    for set_id, bodies in by_set.groups():
        noted = [json.loads(body) for body in bodies]
        members = [parse_record(Triplet, body) for _, body, _, _ in noted]
        splits = {split for split, *_ in noted}
        at_fault = next(((reason, detail) for _, _, reason, detail in noted if reason), None)
        if at_fault is None and len(splits) > 1:
            at_fault = "query_left_out", "its queries are in several splits"
        if at_fault is None and not is_balanced(members):
            at_fault = "unbalanced_set", f"{members[0].nuance}: a text would be a positive or a negative alone"
        if at_fault is not None:
            left.append(_left_out(set_id, *at_fault))
            continue
        [split] = splits
        weights.note(text for each in members for text in (each.anchor, each.positive, each.hard_negative))
        for text in _texts(members):
            number = _number(text)
            latest[number] = max(latest.get(number, 0), SPLITS.index(split))
        yield set_id, canonical_json([split, [format_record(each) for each in members]])


def _read(bodies: Sequence[str]) -> tuple[Split, list[Triplet]]:
    [(split, members)] = map(json.loads, bodies)
    return split, [parse_record(Triplet, body) for body in members]


def _texts(members: Sequence[Triplet]) -> list[str]:
    return list(dict.fromkeys(text for each in members for text in (each.anchor, each.positive, each.hard_negative)))


def _number(text: str) -> int:
    told = normalised_text(text).encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(told, digest_size=8).digest(), "big")


def _left_out(set_id: str, reason: str, detail: str) -> Dropped:
    return Dropped.create(item=set_id, stage="export", reason=reason, detail=detail)
