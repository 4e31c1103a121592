"""Tars: their members as the files of a folder, and what of a tar from outside is refused."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from hardcut.media.collection import Collection, scan
from hardcut.media.forget_copies import forget_copies
from hardcut.media.sources import open_source
from hardcut.schemas.errors import UsageError
from hardcut.schemas.sources import SourceSettings

FILES = {
    "talks/one.mp4": b"one" * 1000,
    "talks/one.json": json.dumps({"title": "Über"}).encode(),
    "talks/one.en.srt": b"1\n",
    "two.webm": b"two",
    "two.description": b"Ein Text",
    "notes.txt": b"nothing",
    ".hidden.mp4": b"x",
}


def tar_of(path: Path, files: Mapping[str, bytes], *more: tarfile.TarInfo) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
        for info in more:
            tar.addfile(info)
    return path


def opened(name: Path | str, tmp_path: Path) -> Collection:
    return open_source(str(name), None, (), SourceSettings(), tmp_path / "cache" / "videos")


def reasons(found: Collection) -> dict[str, str]:
    return {item.item: item.reason for item in found.skipped}


async def test_members_are_the_files_of_a_folder(tmp_path):
    folder = tmp_path / "folder"
    for name, content in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    names = list(FILES)
    tar_of(tmp_path / "clips-000.tar", {name: FILES[name] for name in names[::2]})
    tar_of(tmp_path / "clips-001.tar", {f"./{name}": FILES[name] for name in names[1::2]})
    there, here = scan(folder), opened(tmp_path / "clips-{000..001}.tar", tmp_path)
    assert [(v.video_id, v.relative, v.metadata) for v in here.files] == [
        (v.video_id, v.relative, v.metadata) for v in there.files
    ]
    assert here.skipped == there.skipped
    assert [[(s.path.name, s.language) for s in v.subtitles] for v in here.files] == [[("one.en.srt", "en")], []]
    assert here.fetched
    for name in ("talks/one.mp4", "talks/one.en.srt", "two.webm"):
        async with here.fetched.held((name, None)) as [held]:
            assert held.path == here.root / name and held.path.read_bytes() == FILES[name]
            assert held.sha256 == hashlib.sha256(FILES[name]).hexdigest()


def test_a_tar_is_known_again_and_a_changed_one_is_not(tmp_path):
    tar = tar_of(tmp_path / "clips.tar", {"a.mp4": b"a"})
    first = opened(tar, tmp_path)
    [note] = (tmp_path / "cache" / "videos" / "tars").iterdir()
    written = note.stat().st_mtime_ns
    assert opened(tmp_path / "*.tar", tmp_path).files == first.files
    assert note.stat().st_mtime_ns == written
    tar_of(tar, {"a.mp4": b"aa", "b.mp4": b"b"})
    again = opened(tar, tmp_path)
    assert [video.video_id for video in again.files] == ["a", "b"]
    assert again.files[0].fingerprint != first.files[0].fingerprint


def test_sidecars_are_not_fetched_again_to_know_their_video(tmp_path):
    tar = tar_of(tmp_path / "clips.tar", FILES)
    first = opened(tar, tmp_path)
    fetched = tmp_path / "cache" / "videos" / "files"
    assert any(path.is_file() for path in fetched.rglob("*.json"))
    shutil.rmtree(fetched)
    again = opened(tar, tmp_path)
    assert again.files == first.files
    assert not any(path.is_file() for path in fetched.rglob("*.json"))
    assert [video.metadata for video in again.files] == [video.metadata for video in first.files] != [{}, {}]


async def test_what_was_fetched_is_forgotten(tmp_path):
    tar = tar_of(tmp_path / "clips.tar", {**FILES, "talks/one-more.mp4": b"more", "copy.mp4": FILES["talks/one.mp4"]})
    found = opened(tar, tmp_path)
    names = ["talks/one.mp4", "talks/one.en.srt", "talks/one-more.mp4", "copy.mp4"]
    assert found.fetched
    async with found.fetched.held(*((name, None) for name in names)) as held:
        content = {each.sha256 for each in held if each.path.name == "copy.mp4"}
    videos = tmp_path / "cache" / "videos"
    assert forget_copies(videos, {"talks/one.mp4"}, content) == 4, "the copy and the sidecar of metadata too"
    left = {path.name for path in videos.rglob("*") if path.is_file()}
    assert left == {"one-more.mp4", "two.description", "size"}
    assert forget_copies(tmp_path / "nothing", {"talks/one.mp4"}, set()) == 0
    again = opened(tar, tmp_path)
    assert again.fetched and again.fetched.read(["copy.mp4"]) == {"copy.mp4": FILES["talks/one.mp4"]}


def test_what_leads_out_of_a_tar_is_not_followed(tmp_path):
    link, hard, device = (tarfile.TarInfo(name) for name in ("link.mp4", "hard.mp4", "null.mp4"))
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    hard.type, hard.linkname = tarfile.LNKTYPE, "../../etc/passwd"
    device.type = tarfile.CHRTYPE
    bad = {"../up.mp4": b"x", "/etc/top.mp4": b"x", "a/../../b.mp4": b"x"}
    found = opened(tar_of(tmp_path / "clips.tar", {"good.mp4": b"x", **bad}, link, hard, device), tmp_path)
    assert [video.video_id for video in found.files] == ["good"]
    assert reasons(found) == {
        "clips.tar: ../up.mp4": "outside_root",
        "clips.tar: /etc/top.mp4": "outside_root",
        "clips.tar: a/../../b.mp4": "outside_root",
        "clips.tar: link.mp4": "outside_root",
        "clips.tar: hard.mp4": "outside_root",
        "clips.tar: null.mp4": "not_a_file",
    }


def test_of_a_damaged_tar_what_is_whole_is_taken(tmp_path):
    tar = tar_of(tmp_path / "clips.tar", {"a.mp4": b"a" * 600, "b.mp4": b"b" * 600, "c.mp4": b"c" * 600})
    whole = tar.read_bytes()
    at = whole.index(b"b.mp4")
    tar.write_bytes(whole[:at] + b"\xff" * 512 + whole[at + 512 :])
    found = opened(tar, tmp_path)
    assert [video.video_id for video in found.files] == ["a"]
    assert reasons(found) == {"clips.tar": "unreadable"}
    tar.write_bytes(whole[: whole.index(b"ccc") + 100])
    found = opened(tar, tmp_path)
    assert [video.video_id for video in found.files] == ["a", "b"]
    assert reasons(found)["clips.tar: c.mp4"] == "unreadable"


def test_of_two_members_of_one_name_the_last_counts(tmp_path):
    with tarfile.open(tmp_path / "clips.tar", "w") as tar:
        for content in (b"old", b"newer"):
            info = tarfile.TarInfo("a.mp4")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    found = opened(tmp_path / "clips.tar", tmp_path)
    assert found.fetched and found.fetched.read(["a.mp4"]) == {"a.mp4": b"newer"}
    assert reasons(found) == {"clips.tar: a.mp4": "replaced"}


def test_what_cannot_be_meant_is_told(tmp_path):
    tar_of(tmp_path / "one.tar", {"a.mp4": b"a"})
    tar_of(tmp_path / "two.tar", {"a.mp4": b"b"})
    with pytest.raises(UsageError, match=r"one.tar and .*two.tar both have a.mp4"):
        opened(tmp_path / "*.tar", tmp_path)
    with pytest.raises(UsageError, match="no tar has such a name"):
        opened(tmp_path / "none-*.tar", tmp_path)
    with pytest.raises(UsageError, match="No such file"):
        opened(tmp_path / "none-{0..3}.tar", tmp_path)
    with pytest.raises(UsageError, match="no range of at most"):
        opened(tmp_path / "none-{0..99999999}.tar", tmp_path)
    (tmp_path / "no.tar").write_bytes(b"no tar" * 1000)
    with pytest.raises(UsageError, match=r"holds no video .*no.tar: it is no tar, or a damaged one"):
        opened(tmp_path / "no.tar", tmp_path)
    tar_of(tmp_path / "bad.tar", {"a.mp4": b"a", "a.json": b"{"})
    with pytest.raises(UsageError, match=r"a.json, line 1: not JSON"):
        opened(tmp_path / "bad.tar", tmp_path)


def test_a_manifest_names_the_members(tmp_path):
    tar = tar_of(tmp_path / "clips.tar", {"a.mp4": b"a", "b.mp4": b"b"})
    manifest = tmp_path / "manifest.csv"
    manifest.write_text("path,video_id,title\nb.mp4,second,The second\n")
    found = open_source(str(tar), manifest, (), SourceSettings(), tmp_path / "cache")
    assert [(video.video_id, video.metadata) for video in found.files] == [("second", {"title": "The second"})]
    assert reasons(found) == {"a.mp4": "not_in_manifest"}
    manifest.write_text("path\nc.mp4\n")
    with pytest.raises(UsageError, match=r"line 2: no such file: c.mp4"):
        open_source(str(tar), manifest, (), SourceSettings(), tmp_path / "cache")
