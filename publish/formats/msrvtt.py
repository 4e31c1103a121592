"""MSR-VTT: a JSON of `videos` and `sentences`, or the 1K-A test as CSV (key,vid_key,video_id,sentence)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hardcut.publish.formats.imported import Imported
from hardcut.publish.formats.reading import member, read_csv, read_json
from hardcut.schemas.errors import UsageError


def read(paths: Sequence[Path]) -> Imported:
    """Every sentence is a query, and its video the one that answers it. A video has about twenty sentences, by several
    annotators; the same words for one video are one query, also where several people wrote them."""
    found = Imported("msrvtt")
    for path in paths:
        if path.suffix == ".csv":
            for where, row in read_csv(path, ("key", "video_id", "sentence")):
                found.video(where, row["video_id"], split="test")
                _sentence(found, where, row["key"], row["video_id"], row["sentence"])
        elif path.suffix == ".json":
            _json(found, path)
        else:
            raise UsageError(f"{path}: neither the .json of videos and sentences nor the .csv of 1K-A")
    return found


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
    words = " ".join(text.split()) if isinstance(text, str) else ""
    video_id = found.video(where, video)
    said = found.videos[video_id].setdefault("captions", [])
    if words in said:
        found.skip(where, "repeated", f"{words!r} is there already for {video_id}")
        return
    query_id = found.query(where, key, text)
    if query_id is not None:
        said.append(words)
        found.judgment(where, query_id, video_id, 1)


def _list(path: Path, whole: Any, name: str) -> list[Any]:
    value = member(str(path), whole, name)
    if not isinstance(value, list):
        raise UsageError(f"{path}: {name!r} is not a list")
    return value
