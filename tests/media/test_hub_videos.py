"""Datasets with a column of videos."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hardcut.media.collection import Collection
from hardcut.media.sources import open_source
from hardcut.schemas.errors import ItemError, UsageError
from hardcut.schemas.sources import SourceSettings

datasets = pytest.importorskip("datasets")


def opened(name: Path | str, tmp_path: Path) -> Collection:
    return open_source(f"dataset:{name}", None, (), SourceSettings(), tmp_path / "cache")


def written(folder: Path, videos: list[dict[str, Any]], split: str = "train", **columns: list[Any]) -> Path:
    table = datasets.Dataset.from_dict({"clip": videos, **columns})
    folder.mkdir(exist_ok=True)
    table.cast_column("clip", datasets.Video()).to_parquet(str(folder / f"{split}-00000-of-00001.parquet"))
    return folder


async def content(found: Collection, name: str) -> bytes:
    assert found.fetched
    async with found.fetched.held((name, None)) as [held]:
        return held.path.read_bytes()


async def test_rows_are_videos_and_plain_columns_metadata(tmp_path):
    videos = [{"bytes": name, "path": f"{name.decode()}.mp4"} for name in (b"a", b"b", b"c")]
    folder = written(
        tmp_path / "clips",
        videos,
        path=[None, "talks/b.mp4", None],
        id=[None, None, "third"],
        title=["A", None, "C"],
        tags=[["x"], [], None],
    )
    written(folder, [{"bytes": b"d", "path": "d.webm"}], split="test", title=["D"], path=[None], id=[None], tags=[None])
    found = opened(folder, tmp_path)
    assert [(video.video_id, video.relative, video.metadata) for video in found.files] == [
        ("a", "a.mp4", {"title": "A", "tags": ["x"]}),
        ("d", "d.webm", {"title": "D"}),
        ("talks/b", "talks/b.mp4", {"tags": []}),
        ("third", "c.mp4", {"title": "C"}),
    ]
    assert await content(found, "talks/b.mp4") == b"b"
    assert opened(folder, tmp_path).files == found.files, "the same fingerprints, so nothing is done again"


async def test_a_saved_dataset_is_read_too(tmp_path):
    table = datasets.Dataset.from_dict({"clip": [{"bytes": b"a", "path": "a.mp4"}]})
    table.cast_column("clip", datasets.Video()).save_to_disk(str(tmp_path / "saved"))
    assert await content(opened(tmp_path / "saved", tmp_path), "a.mp4") == b"a"


def test_rows_that_cannot_be_used_cost_themselves_only(tmp_path):
    names = ["a.mp4", "../b.mp4", "a.mp4", "c.txt", None]
    folder = written(tmp_path / "clips", [{"bytes": b"x", "path": name} for name in names])
    found = opened(folder, tmp_path)
    assert [video.video_id for video in found.files] == ["a"]
    assert {item.item: item.reason for item in found.skipped} == {
        "train, row 1": "unusable",
        "train, row 2": "listed_twice",
        "train, row 3": "not_a_video",
        "train, row 4": "unusable",
    }


async def test_a_row_names_no_file_outside_of_its_dataset(tmp_path):
    import pyarrow.parquet

    folder, secret = tmp_path / "clips", tmp_path / "secret.mp4"
    secret.write_bytes(b"secret")
    folder.mkdir()
    (folder / "inside.mp4").write_bytes(b"inside")
    (folder / "link.mp4").symlink_to(secret)
    named = {"a.mp4": secret, "b.mp4": folder / "link.mp4", "c.mp4": "../secret.mp4", "d.mp4": folder / "inside.mp4"}
    rows = [{"bytes": None, "path": str(path)} for path in named.values()]
    table = datasets.Dataset.from_dict({"clip": rows, "path": list(named)}).cast_column("clip", datasets.Video())
    schema = table.features.arrow_schema
    pyarrow.parquet.write_table(table.data.table.cast(schema), folder / "train.parquet")
    found = opened(folder, tmp_path)
    for name in ("a.mp4", "b.mp4", "c.mp4"):
        with pytest.raises(ItemError, match="outside_root"):
            await content(found, name)
    assert await content(found, "d.mp4") == b"inside"


def test_what_is_no_dataset_of_videos_is_told(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="`datasets` cannot read it"):
        opened(tmp_path / "empty", tmp_path)
    datasets.Dataset.from_dict({"text": ["a"]}).to_parquet(str(tmp_path / "empty" / "train.parquet"))
    with pytest.raises(UsageError, match=r"must have one column of videos .* and has text \(Value\)"):
        opened(tmp_path / "empty", tmp_path)
