"""Benchmarks of fine differences: WebVid-CoVR and its dense edits, RTime, Chirality in Action, MomentSeeker.

A composed query starts from a video and says what is other in its answer: it keeps this video as its reference.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from hardcut.publish.formats.imported import Imported
from hardcut.publish.formats.reading import member, read_csv, read_json, read_rows, read_spans, split_of_name
from hardcut.schemas.errors import UsageError
from hardcut.schemas.records import Split

REVERSED = "#reversed"
"""What the id of a video that is played backwards ends in."""
_OTHER_WAY = {"0.0": "1.0", "1.0": "0.0"}


def read_covr(paths: Sequence[Path]) -> Imported:
    """webvid2m-covr_train.csv, webvid8m-covr_val.csv, webvid8m-covr_test.csv, and Dense-WebVid-CoVR's: `pth1`, `pth2`
    (of videos: folder/id) and `edit`. A row is a composed query that starts from `pth1` and that `pth2` answers. `txt1`
    and `txt2` are what is known of the videos; other columns are passed over."""
    found = Imported("webvid-covr")
    for path in paths:
        split = split_of_name(path)
        for number, (where, row) in enumerate(read_csv(path, ("pth1", "pth2", "edit"))):
            reference, target = (_clip(found, where, row, side, split) for side in ("1", "2"))
            id = f"{path.stem}-{number}"
            if found.query(where, id, row["edit"], split=split, reference_video_id=reference) is not None:
                found.judgment(where, id, target, 1)
    return found


def read_rtime(paths: Sequence[Path]) -> Imported:
    """train.json, valid.json, test.json: `{ID: {forward_captions, reverse_captions, forward_rewrites,
    reverse_rewrites}}`. The video that is played backwards is `ID#reversed`. Where `reverse` says that playing it
    backwards tells something else, either's sentences are judged 0 for the other."""
    found = Imported("rtime")
    for path in paths:
        split = split_of_name(path)
        whole = read_json(path)
        if not isinstance(whole, dict):
            raise UsageError(f"{path}: not an object of videos")
        for id, told in whole.items():
            where = f"{path}, {id}"
            sides = {
                f"{id}{suffix}": _texts(where, told, f"{side}_captions") + _texts(where, told, f"{side}_rewrites")
                for side, suffix in (("forward", ""), ("reverse", REVERSED))
            }
            for video, sentences in sides.items():
                if not sentences:
                    continue
                found.video(where, video, split=split, source=id)
                other = next(name for name in sides if name != video)
                for sentence in sentences:
                    query = found.said(where, video, sentence, split=split)
                    if query is not None and sides[other] and told.get("reverse", True):
                        found.judgment(where, query, other, 0)
    return found


def read_cia(paths: Sequence[Path]) -> Imported:
    """nuanced_retrieval_inputs-test.csv (id, value, nuance, source, modality) with nuanced_retrieval_labels-test.json
    (`{ID: [IDS]}`), of val likewise. Texts are queries that the videos of their labels answer. A text of `time` has an
    opposite, `ACTION_0.0` and `ACTION_1.0`, whose videos are judged 0 for it. `video-text` is a composed query.
    Pictures are no videos, and are listed as left out."""
    found = Imported("cia")
    tables = [path for path in paths if path.suffix.lower() == ".csv"]
    for table in tables:
        split = split_of_name(table)
        fit = [path for path in paths if path.suffix.lower() == ".json" and split_of_name(path) == split]
        if len(fit) != 1:
            raise UsageError(f"{table}: {len(fit)} .json of labels of its split beside it; one is expected")
        labels = read_json(fit[0])
        if not isinstance(labels, dict):
            raise UsageError(f"{fit[0]}: not an object of labels")
        _read_cia(found, table, fit[0], labels, split)
    if not tables:
        raise UsageError(f"{paths[0]}: no .csv of inputs among the files")
    return found


def _read_cia(found: Imported, table: Path, file: Path, labels: Mapping[str, Any], split: Split | None) -> None:
    rows = list(read_csv(table, ("id", "value", "nuance", "source", "modality")))
    videos, pictures = set[str](), 0
    for where, row in rows:
        if row["modality"] == "video":
            videos.add(found.video(where, row["id"], split=split))
        elif row["modality"] == "image":
            pictures += 1
            found.skip(where, "no_video", f"{row['id']} is a picture")
    for where, row in rows:
        id, modality = row["id"], row["modality"]
        if modality in ("video", "image"):
            continue
        text, more = row["value"], {}
        if modality == "video-text":
            text, more["reference_video_id"] = _edited(found, where, text, split)
        answers = [one for one in _ids(file, labels, id) if one in videos]
        if not answers:
            found.skip(where, "no_judgment", f"{id}: none of its labels is a video")
            continue
        query = found.query(where, id, text, split=split, **more)
        action, _, way = id.rpartition("_")
        other = f"{action}_{_OTHER_WAY.get(way, '')}" if row["nuance"] == "time" else ""
        against = [one for one in _ids(file, labels, other) if one in videos] if other in labels else []
        for video, grade in {**dict.fromkeys(against, 0), **dict.fromkeys(answers, 1)}.items():
            if query is not None:
                found.judgment(where, query, video, grade)


def read_momentseeker(paths: Sequence[Path]) -> Imported:
    """t2v.json, tv2v.json, ti2v.json: lists of `{qry_text, qry_img_path, qry_video_path, src_video_path,
    answering_time_interval}`. A query asks for moments of its long video. One with a clip is composed; one with a
    picture is left out, for a query has no place for it. All of it is test."""
    found = Imported("momentseeker")
    for path in paths:
        for number, row in enumerate(read_rows(path)):
            where = f"{path}, [{number}]"
            id = _file(found, where, member(where, row, "src_video_path"))
            if row.get("qry_img_path"):
                found.skip(where, "needs_picture", f"the query {number} of {path.stem} starts from a picture")
                continue
            clip = row.get("qry_video_path")
            more = {"reference_video_id": _file(found, where, clip)} if clip else {"kind": "moment"}
            query = found.query(where, f"{path.stem}-{number}", member(where, row, "qry_text"), split="test", **more)
            if query is not None:
                times = member(where, row, "answering_time_interval")
                if not isinstance(times, list):
                    raise UsageError(f"{where}: 'answering_time_interval' is not a list")
                spans = tuple(span for time in times for span in read_spans(found, where, time))
                found.judgment(where, query, id, 1, spans=spans)
    return found


FINE: dict[str, Callable[[Sequence[Path]], Imported]] = {
    "cia": read_cia,
    "momentseeker": read_momentseeker,
    "rtime": read_rtime,
    "webvid-covr": read_covr,
}


def _clip(found: Imported, where: str, row: Mapping[str, str], side: str, split: Split | None) -> str:
    id = found.video(where, row[f"pth{side}"], split=split)
    text = " ".join((row.get(f"txt{side}") or "").split())
    return found.video(where, id, captions=[text] if text else [])


def _edited(found: Imported, where: str, value: str, split: Split | None) -> tuple[str, str]:
    """The edit and the video that it starts from, of a Python dict in a cell. Nothing is run."""
    try:
        both = ast.literal_eval(value)
        text, video = both["text"], both["video"]
    except (ValueError, SyntaxError, TypeError, KeyError, MemoryError, RecursionError) as error:
        raise UsageError(f"{where}: the value has no video and text") from error
    return text, found.video(where, video, split=split)


def _file(found: Imported, where: str, path: object) -> str:
    """A video by its path among the files of the benchmark: it goes by its name."""
    if not isinstance(path, str) or not path.strip():
        raise UsageError(f"{where}: {path!r} is no path of a video")
    name = PurePosixPath(path.strip())
    id = found.video(where, name.stem, split="test")
    found.located(id, ["/".join(name.parts[-2:])])
    return id


def _texts(where: str, told: Any, name: str) -> list[str]:
    found = told.get(name) or [] if isinstance(told, dict) else None
    if not isinstance(found, list) or not all(isinstance(text, str) for text in found):
        raise UsageError(f"{where}: {name} is not a list of texts")
    return found


def _ids(file: Path, labels: Mapping[str, Any], id: str) -> list[str]:
    found = labels.get(id)
    if not isinstance(found, list):
        raise UsageError(f"{file}: the labels of {id!r} are not a list of ids")
    return [str(one) for one in found]
