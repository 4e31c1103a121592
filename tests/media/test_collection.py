"""What is found on disk, what is not taken and why, and what stops a run with one clear line."""

from __future__ import annotations

import json
import os
import socket
import time
from pathlib import Path

import pytest

from hardcut.media import collection, known_sidecars
from hardcut.media.collection import Collection, find_video, scan
from hardcut.media.known_sidecars import KnownSidecars
from hardcut.media.video_files import SubtitleFile
from hardcut.schemas.errors import UsageError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "videos"
    folder.mkdir()
    return folder


def touch(path: Path, content: str = "x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def ids(root: Path, manifest: Path | None = None) -> list[str]:
    return [video.video_id for video in scan(root, manifest).files]


def reasons(root: Path, manifest: Path | None = None) -> dict[str, str]:
    return {item.item: item.reason for item in scan(root, manifest).skipped}


def test_files_in_folders_sorted_by_id(root):
    for name in ("b/talk.MKV", "a.mp4", "b/a/deep.webm", ".hidden.mp4", ".git/x.mp4", "z.ts"):
        touch(root / name)
    assert ids(root) == ["a", "b/a/deep", "b/talk", "z"]
    video = scan(root).files[2]
    assert (video.relative, video.path) == ("b/talk.MKV", (root / "b/talk.MKV").resolve())
    assert scan(root).skipped == ()


def test_sidecars(root):
    for name in ("talk.mp4", "talk.srt", "talk.en.vtt", "talk.pt-BR.srt", "talk.de.mp4", "talk.de.srt"):
        touch(root / name)
    touch(root / "talk.json", json.dumps({"title": "Über", "tags": ["a", 1]}))
    talk = {video.video_id: video for video in scan(root).files}
    assert talk["talk"].metadata == {"title": "Über", "tags": ["a", 1]}
    assert talk["talk"].subtitles == (
        SubtitleFile(root / "talk.en.vtt", "en"),
        SubtitleFile(root / "talk.pt-BR.srt", "pt-BR"),
        SubtitleFile(root / "talk.srt", None),
    )
    assert talk["talk.de"].subtitles == (SubtitleFile(root / "talk.de.srt", None),)


def test_nothing_vanishes(root, tmp_path):
    touch(root / "a.mp4")
    touch(root / "README.md")
    touch(root / "lonely.srt")
    outside = touch(tmp_path / "outside" / "secret.mp4")
    (root / "link.mp4").symlink_to(outside)
    (root / "folder").symlink_to(outside.parent)
    (root / "dangling.mp4").symlink_to(root / "gone.mp4")
    (root / "loop").symlink_to(root)
    (root / "inside.mp4").symlink_to(root / "a.mp4")
    os.mkfifo(root / "pipe.mp4")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(root / "socket.mp4"))
    Path(os.fsdecode(os.fsencode(root) + b"/bad\xff.mp4")).write_text("x")
    assert reasons(root) == {
        "README.md": "not_a_video",
        "lonely.srt": "not_a_video",
        "link.mp4": "outside_root",
        "folder": "outside_root",
        "dangling.mp4": "unreadable",
        "loop": "linked_folder",
        "pipe.mp4": "not_a_file",
        "socket.mp4": "not_a_file",
        "bad\\xff.mp4": "name_not_utf8",
    }
    assert ids(root) == ["a", "inside"]
    assert {video.path for video in scan(root).files} == {root / "a.mp4"}
    json.dumps(scan(root).skipped).encode("utf-8")


def test_links_of_sidecars_lead_nowhere_outside(root, tmp_path):
    touch(root / "a.mp4")
    (root / "a.json").symlink_to(touch(tmp_path / "secret.json", '{"password": 1}'))
    assert scan(root).files[0].metadata == {}
    assert reasons(root) == {"a.json": "outside_root"}


def test_names_with_anything_in_them(root):
    names = ['new\nline "and" quotes', "per%05dcent", "file:x", "emoji 🎬", "-dash", "a'b;c", " space "]
    for name in names:
        touch(root / f"{name}.mp4")
    assert ids(root) == sorted(names)


def test_two_of_one_id(root):
    touch(root / "a.mp4")
    touch(root / "a.webm")
    with pytest.raises(UsageError, match=r"id 'a': a\.mp4 and a\.webm: rename one, or give them ids"):
        scan(root)


def test_no_folder_no_videos_a_file(root, tmp_path):
    with pytest.raises(UsageError, match="nowhere: no such folder"):
        scan(tmp_path / "nowhere")
    with pytest.raises(UsageError, match=r"holds no video: put files .* \.mp4"):
        scan(root)
    touch(root / "mp4" / "clips-000.tar")
    with pytest.raises(UsageError, match=r"name its tars themselves, such as '.*/mp4/\*\.tar'"):
        scan(root)
    with pytest.raises(UsageError, match="is not a folder"):
        scan(touch(root / "a.mp4"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"a": 1,\n "b": }', r"a\.json, line 2: not JSON"),
        (b"[1, 2]", r"a\.json.*must be a JSON object"),
        (b"", r"a\.json, line 1: not JSON"),
        (b'{"a": NaN}', r"a\.json.*NaN"),
        (b'{"a": "\\ud800"}', r"a\.json"),
        (b'{"a": "\xff"}', r"a\.json: not UTF-8"),
        (b'{"a":' * 100_000, r"a\.json"),
    ],
)
def test_a_sidecar_that_is_no_json_object(root, content, message):
    touch(root / "a.mp4")
    (root / "a.json").write_bytes(content)
    with pytest.raises(UsageError, match=message) as caught:
        scan(root)
    assert "\n" not in str(caught.value)


def test_the_fingerprint_covers_file_metadata_and_sidecars(root):
    video = touch(root / "a.mp4")
    touch(root / "b.mp4")

    def fingerprint() -> str:
        return scan(root).files[0].fingerprint

    seen = [fingerprint()]
    assert fingerprint() == seen[0] != scan(root).files[1].fingerprint
    video.write_text("xy")
    seen.append(fingerprint())
    os.utime(video, ns=(1, 1))
    seen.append(fingerprint())
    touch(root / "a.json", '{"title": 1}')
    seen.append(fingerprint())
    touch(root / "a.srt")
    seen.append(fingerprint())
    os.utime(root / "a.srt", ns=(1, 1))
    seen.append(fingerprint())
    assert len(set(seen)) == len(seen)


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_a_manifest_lists_names_and_describes(root, kind):
    for name in ("a.mp4", "b/c.bin", "d.mp4"):
        touch(root / name)
    touch(root / "a.json", '{"title": "from the sidecar", "event": "fair"}')
    if kind == "csv":
        manifest = touch(root / "list.csv", 'path,video_id,title\n./a.mp4,first,"A, b"\nb/c.bin,,\n')
    else:
        lines = [{"path": "./a.mp4", "id": "first", "title": "A, b"}, {"path": "b/c.bin"}]
        manifest = touch(root / "list.jsonl", "\n".join(json.dumps(line) for line in lines) + "\n\n")
    files = scan(root, manifest).files
    assert [(f.video_id, f.relative) for f in files] == [("b/c", "b/c.bin"), ("first", "a.mp4")]
    assert files[1].metadata == {"title": "A, b", "event": "fair"}
    assert reasons(root, manifest) == {"d.mp4": "not_in_manifest"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("path\na.mp4\n/etc/passwd\n", r"list\.csv, line 3: /etc/passwd is outside the folder"),
        ("path\n../x.mp4\n", r"list\.csv, line 2: .* outside the folder"),
        ("path\nb/../../x.mp4\n", r"line 2: .* outside the folder"),
        ("path\nlink.mp4\n", r"line 2: link\.mp4 leads outside the folder"),
        ("path\ngone.mp4\n", r"line 2: no such file: gone\.mp4"),
        ("path\n.hidden.mp4\n", r"line 2: \.hidden\.mp4 is hidden"),
        ("path\na.mp4\n./a.mp4\n", r"line 3: a\.mp4 is listed already"),
        ("file\na.mp4\n", r"line 1: the header must name a column `path`"),
        ("path,title\na.mp4\n", r"line 2: 1 fields, the header has 2"),
        ('path\n"a.mp4\n', r"not CSV"),
        ("path\n", r"lists no video"),
        ("path,id\na.mp4," + "x" * 600 + "\n", r"line 2: an id"),
    ],
)
def test_a_wrong_manifest_line(root, tmp_path, content, message):
    touch(root / "a.mp4")
    touch(root / ".hidden.mp4")
    (root / "link.mp4").symlink_to(touch(tmp_path / "x.mp4"))
    with pytest.raises(UsageError, match=message):
        scan(root, touch(tmp_path / "list.csv", content))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"path": "a.mp4"}\n{"path": 3}\n', r"list\.jsonl, line 2: `path` must be"),
        ('{"path": "a.mp4"}\n\n{"path": \n', r"list\.jsonl, line 3: not JSON"),
        ('"a.mp4"\n', r"line 1: must be a JSON object"),
        ('{"path": "a\\u0000.mp4"}\n', r"line 1: `path` must be"),
    ],
)
def test_a_wrong_jsonl_line(root, tmp_path, content, message):
    touch(root / "a.mp4")
    with pytest.raises(UsageError, match=message):
        scan(root, touch(tmp_path / "list.jsonl", content))


def test_a_manifest_that_cannot_be_read(root, tmp_path):
    touch(root / "a.mp4")
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        scan(root, tmp_path / "list.csv")
    with pytest.raises(UsageError, match=r"is a \.csv or a \.jsonl"):
        scan(root, tmp_path / "list.txt")
    latin = tmp_path / "latin.csv"
    latin.write_bytes("path,title\na.mp4,\xe4\n".encode("latin-1"))
    with pytest.raises(UsageError, match="not UTF-8"):
        scan(root, latin)


def test_what_we_write_may_lie_in_the_folder_of_videos(root):
    for name in ("a.mp4", "runs/first/videos.jsonl", "runs/first/odd.mp4", "runs/second/b.mp4", "cache/frames/0.jpg"):
        touch(root / name)
    (root / "linked").symlink_to(root / "runs")
    found = scan(root, ours=(root / "linked" / "first", root / "cache", root / "not there"))
    assert [video.video_id for video in found.files] == ["a", "runs/second/b"]
    assert [item.item for item in found.skipped] == ["linked"]
    with pytest.raises(UsageError, match="one of its own"):
        scan(root, ours=(root / "runs" / "..",))


def test_one_video_is_found_with_what_lies_beside_it_alone(tmp_path: Path) -> None:
    for name in ("talk.mp4", "talk.en.srt", "talk.json", "talk2.mp4", "other.mp4", "notes.txt"):
        (tmp_path / name).write_text('{"title": "A talk"}' if name.endswith(".json") else "x")
    whole = scan(tmp_path).files
    (tmp_path / "other.json").write_text("no JSON at all")  # of another video: it is not read
    found = find_video(tmp_path / "talk.mp4")
    assert found == next(file for file in whole if file.video_id == "talk")
    assert found.metadata == {"title": "A talk"} and [path.name for path, *_ in found.subtitles] == ["talk.en.srt"]
    for wrong, said in (("notes.txt", "not a video"), ("none.mp4", "no such file"), (".", "a folder")):
        with pytest.raises(UsageError, match=said):
            find_video(tmp_path / wrong)


def test_subtitles_by_all_usual_names(root):
    names = {
        "a.srt": None, "b.en.srt": "en", "c.en_US.srt": "en-US", "d.eng.sdh.srt": "eng", "e.pt-BR.forced.vtt": "pt-BR",
        "f.hi.srt": "hi", "g.en.hi.srt": "en", "h.zh-Hans.ass": "zh-Hans", "i.en-orig.vtt": "en", "j.forced.ssa": None,
        "k.x y.de.default.srt": "de",
    }  # fmt: skip
    for name in names:
        stem = "k.x y" if name.startswith("k") else name[0]
        touch(root / f"{stem}.mp4", "x")
        touch(root / name, "1")
    touch(root / "a.one.two.three.four.srt", "1")
    touch(root / "a.director's cut.srt", "1")
    found = {Path(sub.path).name: sub.language for file in scan(root).files for sub in file.subtitles}
    assert {name: found[name] for name in names} == names
    told = {item.item: item.reason for item in scan(root).skipped}
    assert told["a.one.two.three.four.srt"] == told["a.director's cut.srt"] == "not_a_video"


def test_of_several_subtitles_of_one_language_the_fullest_is_read(root):
    touch(root / "dup.mp4", "x")
    for name in ("en", "en.sdh", "en_US", "eng.forced", "de", "de.forced", "fr.forced", "ja-orig", "ja.sdh"):
        touch(root / f"dup.{name}.srt", "1")
    found = scan(root)
    (video,) = (file for file in found.files if file.video_id == "dup")
    kept = [Path(sub.path).name for sub in video.subtitles]
    assert kept == ["dup.de.srt", "dup.en.srt", "dup.fr.forced.srt", "dup.ja.sdh.srt"]
    others = {item.item for item in found.skipped if item.reason == "other_subtitles"}
    assert others == {"dup.en.sdh.srt", "dup.en_US.srt", "dup.eng.forced.srt", "dup.de.forced.srt", "dup.ja-orig.srt"}


def test_a_downloaders_folder(root):
    stem = "How to bake [aB3xYz01Qk4]"
    info = {
        "title": "How to bake", "description": "A loaf.", "tags": ["bread"], "language": "en", "duration": 4,
        "chapters": [{"title": "Intro", "start_time": 0}, {"start_time": 2}, 7], "formats": [{"url": "https://x"}],
        "license": "Creative Commons Attribution license (reuse allowed)",
    }  # fmt: skip
    for name in (".mp4", ".webp", ".jpg", ".en.vtt", ".en-orig.vtt", ".mp4.part"):
        touch(root / f"{stem}{name}", "x")
    touch(root / f"{stem}.info.json", json.dumps(info))
    touch(root / f"{stem}.description", "Another text.")
    found = scan(root)
    (video,) = (file for file in found.files if file.video_id == stem)
    assert video.metadata == {
        "title": "How to bake", "description": "A loaf.", "tags": ["bread"], "language": "en", "chapters": ["Intro"],
        "licence": "Creative Commons Attribution license (reuse allowed)",
    }  # fmt: skip
    assert [Path(sub.path).name for sub in video.subtitles] == [f"{stem}.en.vtt"]
    told = {item.item.removeprefix(stem): item.reason for item in found.skipped if item.item.startswith(stem)}
    assert told == {".en-orig.vtt": "other_subtitles", ".mp4.part": "unfinished"}
    before = video.fingerprint
    touch(root / f"{stem}.json", json.dumps({"title": "Mine", "event": "baking"}))
    (root / f"{stem}.description").unlink()
    (video,) = (file for file in scan(root).files if file.video_id == stem)
    assert video.metadata["title"] == "Mine" and video.metadata["description"] == "A loaf."
    assert video.metadata["event"] == "baking" and video.fingerprint != before


@pytest.mark.parametrize("content", ['{"title": "cut sh', "[1]", b"\xff\xfe\xfa"])
def test_a_broken_file_of_a_downloader_costs_only_itself(root, content):
    touch(root / "a.mp4")
    (root / "a.info.json").write_bytes(content if isinstance(content, bytes) else content.encode())
    touch(root / "a.description", "A loaf.")
    found = scan(root)
    assert found.files[0].metadata == {"description": "A loaf."}
    assert [(item.item, item.reason) for item in found.skipped] == [("a.info.json", "metadata_unreadable")]
    assert str(root) not in found.skipped[0].detail


def test_sidecars_are_read_when_they_are_new_or_change(root, tmp_path, monkeypatch):
    """The scans of several starts: known files are not opened, whatever they are, and give what they gave."""
    opened: list[str] = []
    real = collection._bytes_of

    def read(path: str) -> bytes:
        opened.append(Path(path).name)
        return real(path)

    monkeypatch.setattr(collection, "_bytes_of", read)
    monkeypatch.setattr(known_sidecars, "_SETTLED_NS", -1)
    memory = tmp_path / "cache" / "sidecars.json"
    for number in range(3):
        touch(root / f"v{number}.mp4")
        touch(root / f"v{number}.json", json.dumps({"title": f"title {number}"}))
        touch(root / f"v{number}.info.json", json.dumps({"description": f"told {number}"}))
    touch(root / "v2.info.json", "{")
    manifest = touch(tmp_path / "list.jsonl", json.dumps({"path": "v0.mp4", "topic": "given"}))

    def told(known: KnownSidecars | None, manifest: Path | None = None) -> tuple[Collection, list[str]]:
        opened.clear()
        return scan(root, manifest, known=known), sorted(opened)

    names = sorted(path.name for path in root.glob("*.json"))
    plain = told(None)[0]
    assert told(KnownSidecars(memory)) == (plain, names)
    again, read_again = told(KnownSidecars(memory))
    assert again == plain, "also what is skipped"
    assert read_again == ["v2.info.json", "v2.json"], "a broken one is read again"
    assert [video.metadata for video in again.files] == [video.metadata for video in plain.files]
    touch(root / "v1.json", json.dumps({"title": "another"}))
    changed, read_again = told(KnownSidecars(memory))
    assert read_again == ["v1.info.json", "v1.json", "v2.info.json", "v2.json"]
    assert changed == told(None)[0] != plain
    assert told(KnownSidecars(memory), manifest) == (told(None, manifest)[0], ["v0.info.json", "v0.json"])


def test_a_sidecar_that_was_written_just_now_is_not_yet_known(root, tmp_path):
    touch(root / "talk.mp4")
    touch(root / "talk.json", json.dumps({"title": "one"}))
    changed = time.time_ns()
    first = scan(root, known=KnownSidecars(tmp_path / "memory.json")).files[0]
    touch(root / "talk.json", json.dumps({"title": "two"}))
    os.utime(root / "talk.json", ns=(changed, changed))
    assert scan(root, known=KnownSidecars(tmp_path / "memory.json")).files[0].metadata == {"title": "two"}
    assert first.metadata == {"title": "one"}


@pytest.mark.parametrize("content", ["", "[]", "{", '{"a": 1}', "\x00"])
def test_a_damaged_memory_of_sidecars_is_none(root, tmp_path, content):
    touch(root / "talk.mp4")
    touch(root / "talk.json", json.dumps({"title": "one"}))
    memory = touch(tmp_path / "memory.json", content)
    assert scan(root, known=KnownSidecars(memory)) == scan(root)
