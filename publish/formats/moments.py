"""Moments in videos with a sentence each: ActivityNet Captions, Charades-STA, DiDeMo, TVR, YouCook2.

A sentence is a query that its video answers, and its time the span of the judgment. A file's name or content gives the
split, to queries as well as to videos.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from hardcut.publish.formats.imported import Imported, Rating
from hardcut.publish.formats.reading import member, read_json, read_lines, read_rows, read_spans, split_of_name
from hardcut.schemas.errors import UsageError
from hardcut.schemas.jsonl import read_objects
from hardcut.schemas.records import Span

_CHARADES = re.compile(r"(\S+) ([\d.]+) ([\d.]+)##(.+)")
_SEGMENT_S = 5.0
"""Seconds of a DiDeMo segment; `times` count them from 0, the last one included."""


def read_activitynet(paths: Sequence[Path]) -> Imported:
    """train.json, val_1.json, val_2.json: `{ID: {duration, timestamps, sentences}}`. Both of val have the same videos:
    together they have two annotators' moments of each."""
    found = Imported("activitynet")
    for path in paths:
        split = split_of_name(path)
        for id, video in _items(path, read_json(path)):
            where = f"{path}, {id}"
            found.video(where, id, split=split, duration_s=member(where, video, "duration"))
            times, sentences = (_list(where, video, name) for name in ("timestamps", "sentences"))
            if len(times) != len(sentences):
                raise UsageError(f"{where}: {len(times)} timestamps and {len(sentences)} sentences")
            for time, sentence in zip(times, sentences, strict=True):
                found.said(where, id, sentence, read_spans(found, where, time), split=split)
    return found


def read_charades(paths: Sequence[Path]) -> Imported:
    """charades_sta_train.txt, charades_sta_test.txt: `ID START END##SENTENCE`, a line each."""
    found = Imported("charades-sta")
    for path in paths:
        split = split_of_name(path)
        for where, line in read_lines(path):
            match = _CHARADES.fullmatch(line)
            if match is None:
                raise UsageError(f"{where}: not `ID START END##SENTENCE`")
            id, start, end, sentence = match.groups()
            found.video(where, id, split=split)
            found.said(where, id, sentence, read_spans(found, where, [start, end]), split=split)
    return found


def read_didemo(paths: Sequence[Path]) -> Imported:
    """train_data.json, val_data.json, test_data.json: a list of `{annotation_id, video, description, times}`. `times`
    are those of four annotators, in segments of 5 s. The span is the one that most of them gave, and each is kept as a
    rating."""
    found = Imported("didemo")
    for path in paths:
        split = split_of_name(path)
        for number, row in enumerate(read_rows(path)):
            where = f"{path}, [{number}]"
            name = str(member(where, row, "video"))
            id = found.video(where, Path(name).stem, split=split)
            found.located(id, [name])
            spans = [_segments(where, time) for time in _list(where, row, "times")]
            ratings = tuple(Rating(annotator=str(at), grade=1, span=span) for at, span in enumerate(spans, 1))
            most = tuple(span for span, _ in Counter(spans).most_common(1))
            more = {"id": member(where, row, "annotation_id"), "split": split, "ratings": ratings}
            found.said(where, id, member(where, row, "description"), most, **more)
    return found


def read_tvr(paths: Sequence[Path]) -> Imported:
    """tvr_train_release.jsonl and its like: `{desc_id, desc, vid_name, ts, duration, type}`. Lines without `ts` (the
    public test) are queries without a judgment. The episode is the source of a clip, so that no split parts it."""
    found = Imported("tvr")
    for path in paths:
        split = split_of_name(path)
        for number, row in read_objects(path):
            where = f"{path}, line {number}"
            text, key = member(where, row, "desc"), member(where, row, "desc_id")
            if row.get("vid_name") is None or row.get("ts") is None:
                if found.query(where, key, text, split=split) is not None:
                    found.skip(where, "no_judgment", f"query {key} has no ts (the public test)")
                continue
            id, episode = row["vid_name"], str(row["vid_name"]).split("_seg")[0]
            found.video(where, id, split=split, duration_s=row.get("duration"), source=episode)
            found.said(where, id, text, read_spans(found, where, row["ts"]), id=key, split=split)
    return found


def read_youcook2(paths: Sequence[Path]) -> Imported:
    """youcookii_annotations_trainval.json: `{database: {ID: {subset, duration, annotations: [{segment, sentence}]}}}`;
    `subset` is the split."""
    found = Imported("youcook2")
    for path in paths:
        for id, video in _items(path, member(str(path), read_json(path), "database")):
            where = f"{path}, {id}"
            split = member(where, video, "subset")
            about = {"duration_s": video.get("duration"), "recipe_type": video.get("recipe_type")}
            found.video(where, id, split=split, **about)
            for part in _list(where, video, "annotations"):
                spans = read_spans(found, where, member(where, part, "segment"))
                found.said(where, id, member(where, part, "sentence"), spans, split=split)
    return found


MOMENTS: dict[str, Callable[[Sequence[Path]], Imported]] = {
    "activitynet": read_activitynet,
    "charades-sta": read_charades,
    "didemo": read_didemo,
    "tvr": read_tvr,
    "youcook2": read_youcook2,
}


def _segments(where: str, time: Any) -> Span:
    try:
        first, last = time
        return Span(start=first * _SEGMENT_S, end=(last + 1) * _SEGMENT_S)
    except (TypeError, ValueError) as error:
        raise UsageError(f"{where}: {time!r} is not [first, last] in segments") from error


def _items(path: Path, whole: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    if not isinstance(whole, dict) or not all(isinstance(one, dict) for one in whole.values()):
        raise UsageError(f"{path}: not an object of videos")
    yield from whole.items()


def _list(where: str, row: Any, name: str) -> list[Any]:
    value = member(where, row, name)
    if not isinstance(value, list):
        raise UsageError(f"{where}: {name!r} is not a list")
    return value
