"""Files in an object store, by moto's server: listed, read by ranges, and told apart by their state."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hardcut.media import remote
from hardcut.media.collection import Collection
from hardcut.media.sources import open_source
from hardcut.schemas.errors import ItemError, MissingDependency, UsageError
from hardcut.schemas.sources import SourceSettings

LARGE = bytes(range(256)) * 40_000
"""More than one request brings."""


@pytest.fixture
def store(s3_server: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    return s3_server


def opened(address: str, tmp_path: Path) -> Collection:
    return open_source(address, None, (), SourceSettings(), tmp_path / "cache")


async def content(found: Collection, name: str) -> bytes:
    assert found.fetched
    async with found.fetched.held((name, None)) as [held]:
        return held.path.read_bytes()


async def test_what_lies_under_an_address_is_the_collection(tmp_path, store):
    store.put("world/talks/one.mp4", LARGE)
    store.put("world/talks/one.json", json.dumps({"title": "One"}).encode())
    store.put("world/talks/one.srt", b"1\n")
    store.put("world/readme.txt", b"x")
    store.put("world/.cache/two.mp4", b"x")
    store.put("world//three.mp4", b"x")
    store.put("worlds/four.mp4", b"x")
    found = opened("s3://clips/world/", tmp_path)
    assert [(video.video_id, video.metadata) for video in found.files] == [("talks/one", {"title": "One"})]
    assert {item.item: item.reason for item in found.skipped} == {
        "/three.mp4": "outside_root",
        "readme.txt": "not_a_video",
    }
    assert await content(found, "talks/one.mp4") == LARGE
    assert await content(found, "talks/one.srt") == b"1\n"


async def test_a_changed_object_is_another_file(tmp_path, store):
    store.put("world/one.mp4", b"old")
    before = opened("s3://clips/world", tmp_path)
    assert await content(before, "one.mp4") == b"old"
    store.put("world/one.mp4", b"new")
    after = opened("s3://clips/world", tmp_path)
    assert before.files[0].fingerprint != after.files[0].fingerprint
    assert await content(after, "one.mp4") == b"new"
    assert opened("s3://clips/world", tmp_path).files == after.files


async def test_an_object_that_changes_while_it_is_read_fails(tmp_path, store, monkeypatch):
    store.put("world/one.mp4", LARGE)
    found = opened("s3://clips/world", tmp_path)
    store.put("world/one.mp4", LARGE[::-1])  # of the same size
    with pytest.raises(ItemError, match=r"changed: one.mp4 was written to while it was read"):
        await content(found, "one.mp4")
    store.client.delete_object(Bucket="clips", Key="world/one.mp4")
    with pytest.raises(ItemError, match=r"not_found: one.mp4 is not there any more"):
        await content(found, "one.mp4")


def test_addresses_that_cannot_be_meant(tmp_path, store):
    with pytest.raises(UsageError, match="nothing is there"):
        opened("s3://clips/none", tmp_path)
    with pytest.raises(UsageError, match="check its name and your credentials"):
        opened("s3://nobody/none", tmp_path)
    with pytest.raises(UsageError, match="no tar has such a name"):
        opened("s3://clips/*.tar", tmp_path)
    for address in ("file:///etc", "memory://x", "simplecache::s3://clips/world", "s3://", "sftp://host/x"):
        with pytest.raises(UsageError, match="give an address such as s3://"):
            opened(address, tmp_path)


def test_a_missing_client_is_told(monkeypatch):
    def missing(*_: object, **__: object) -> None:
        raise ImportError("Install gcsfs to access Google Storage")

    monkeypatch.setattr("fsspec.core.url_to_fs", missing)
    with pytest.raises(MissingDependency, match=r"gs:// needs another package: pip install 'hardcut\[remote\]'"):
        remote.open_store("gs://bucket/clips")
