"""MSR-VTT: a JSON of `videos` and `sentences`, the 1K-A test (CSV: key,vid_key,video_id,sentence), lists of videos."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hardcut.publish.formats.imported import Imported, identifier
from hardcut.publish.formats.reading import header_of, member, read_csv, read_json, split_of_name
from hardcut.publish.given_splits import SPLIT_NAMES
from hardcut.schemas.errors import UsageError
from hardcut.schemas.records import Split


def read(paths: Sequence[Path]) -> Imported:
    """Every sentence is a query, and its video the one that answers it. A video has about twenty sentences, by several
    annotators; the same words for one video are one query, also where several people wrote them.

    A .csv without sentences is a list of videos, such as MSRVTT_train.9k.csv, and its name gives them their split. It
    outranks the split in the JSON, which is that of another division. A query has the split of its video.
    """
    found, listed = Imported("msrvtt"), dict[str, Split]()
    for path in paths:
        if path.suffix.lower() == ".csv" and "sentence" in header_of(path):
            for where, row in read_csv(path, ("key", "video_id", "sentence")):
                listed[found.video(where, row["video_id"], split="test")] = "test"
                _sentence(found, where, row["key"], row["video_id"], row["sentence"])
        elif path.suffix.lower() == ".csv":
            split = split_of_name(path)
            if split is None:
                raise UsageError(f"{path}: a list of videos, and its name says no split: call it train, val or test")
            for where, row in read_csv(path, ("video_id",)):
                listed[found.video(where, row["video_id"])] = split
        elif path.suffix.lower() == ".json":
            _json(found, path)
        else:
            raise UsageError(f"{path}: neither the .json of videos and sentences nor a .csv of 1K-A or of videos")
    for video, split in listed.items():
        found.videos[video]["split"] = split
    for (query, video), _ in found.judgments.items():
        found.queries[query].update(_known_split(found.videos[video].get("split")))
    return found


def _known_split(name: object) -> dict[str, Split]:
    split = SPLIT_NAMES.get(str(name).casefold())
    return {"split": split} if split else {}


def _json(found: Imported, path: Path) -> None:
    whole = read_json(path)
    # Lines say nothing in a JSON that is all on one: places in its lists do.
    for number, video in enumerate(_list(path, whole, "videos")):
        where = f"{path}, videos[{number}]"
        found.video(
            where, member(where, video, "video_id"), split=video.get("split"), source=video.get("url"),
            category=video.get("category"), start_s=video.get("start time"), end_s=video.get("end time"),
        )  # fmt: skip
    for number, sentence in enumerate(_list(path, whole, "sentences")):
        where = f"{path}, sentences[{number}]"
        key = member(where, sentence, "sen_id")
        _sentence(found, where, key, member(where, sentence, "video_id"), member(where, sentence, "caption"))


def _sentence(found: Imported, where: str, key: object, video: object, text: object) -> None:
    """Each is noted with its video too: the captions of a video are what is known of it."""
    query_id = found.said(where, video, text, id=key)
    if query_id is not None:
        found.videos[identifier(where, "video", video)].setdefault("captions", []).append(
            found.queries[query_id]["query"]
        )


def _list(path: Path, whole: Any, name: str) -> list[Any]:
    value = member(str(path), whole, name)
    if not isinstance(value, list):
        raise UsageError(f"{path}: {name!r} is not a list")
    return value
