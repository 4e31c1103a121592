from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from hardcut.schemas.errors import ItemError
from hardcut.schemas.records import Subtitles
from hardcut.synth.evidence.subtitles import parse, subtitle_evidence

PLAIN = "1\n00:00:01,000 --> 00:00:02,500\nGood morning\n\n2\n00:00:03,000 --> 00:00:04,000\nTwo\nlines\n"


def told(data: bytes, vtt: bool = False) -> list[tuple[float, float, str]]:
    cues, faults = parse(data, vtt=vtt)
    assert faults == []
    return [(cue.start, cue.end, cue.text) for cue in cues]


@pytest.mark.parametrize(
    "data",
    [
        PLAIN.encode(),
        PLAIN.encode("utf-8-sig"),
        PLAIN.encode("utf-16"),
        PLAIN.encode("utf-16-le"),
        PLAIN.encode("utf-16-be"),
        PLAIN.replace("\n", "\r\n").encode(),
        PLAIN.replace("\n", "\r").encode(),
        PLAIN.replace("1\n0", "0").replace("2\n0", "0").encode(),
        PLAIN.replace("00:00:0", "00:0").encode(),
        PLAIN.replace(",", ".").encode(),
        PLAIN.replace("\n\n2", "\n2").encode(),
    ],
    ids=["utf-8", "bom", "utf-16", "le", "be", "crlf", "cr", "no numbers", "no hours", "points", "no blank line"],
)
def test_forms_of_one_file(data: bytes) -> None:
    assert told(data) == [(1.0, 2.5, "Good morning"), (3.0, 4.0, "Two lines")]


def test_windows_1252_is_the_last_resort() -> None:
    assert told("00:01,000 --> 00:02,000\nCafé – “ja”\n".encode("cp1252")) == [(1.0, 2.0, "Café – “ja”")]


def test_cues_are_sorted_and_may_overlap() -> None:
    data = b"00:05,000 --> 00:09,000\nlater\n\n00:01,000 --> 00:06,000\nearlier\n"
    assert told(data) == [(1.0, 6.0, "earlier"), (5.0, 9.0, "later")]


def test_tags_and_entities() -> None:
    data = b"00:01,000 --> 00:02,000 X1:5\n{\\an8}<i>Tom</i> &amp; <font color=red>Jerry</font> 3 < 4\n"
    assert told(data) == [(1.0, 2.0, "Tom & Jerry 3 < 4")]


def test_a_number_that_ends_a_cue_stays() -> None:
    data = b"1\n00:01,000 --> 00:02,000\nIt was\n1987\n\n2\n00:03,000 --> 00:04,000\nyes\n"
    assert told(data) == [(1.0, 2.0, "It was 1987"), (3.0, 4.0, "yes")]


def test_vtt_blocks_that_are_no_speech() -> None:
    data = (
        b"WEBVTT - title\n\nSTYLE\n::cue { color: red }\n\nNOTE a remark\nof two lines\n\n"
        b"intro\n00:01.000 --> 00:02.000 align:start\n<v Ann>Hello <00:01.500>there\n\nNOTE another\n\n"
        b"00:03.000 --> 00:04.000\nBye\n"
    )
    assert told(data, vtt=True) == [(1.0, 2.0, "Hello there"), (3.0, 4.0, "Bye")]


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"00:01,000 --> 00:02,000\nfine\n\n00:xx --> 00:04\nlost\n", 4),
        (b"00:01,000 --> 00:02,000\nfine\n\n2\n00:09,000 --> 00:04,000\nbackwards\n", 5),
        (b"00:01,000 --> 00:02,000\nfine\n\n00:75:00,000 --> 00:76:00,000\nno such minute\n", 4),
    ],
)
def test_a_broken_cue_costs_only_itself(data: bytes, line: int) -> None:
    cues, faults = parse(data)
    assert [cue.text for cue in cues] == ["fine"]
    assert [fault.line for fault in faults] == [line]


@pytest.mark.parametrize("data", [b"nothing that is a cue", b"\x81\x8d\xff broken\n", b"1\n2\n3\n"])
def test_a_file_that_is_none(data: bytes) -> None:
    cues, faults = parse(data)
    assert cues == []
    assert len(faults) == 1


def test_an_empty_file_says_nothing() -> None:
    assert parse(b"") == ([], [])
    assert parse(b"WEBVTT\n", vtt=True) == ([], [])


def sidecar(root: Path, name: str, data: bytes) -> Subtitles:
    (root / name).write_bytes(data)
    return Subtitles(path=name, sha256=hashlib.sha256(data).hexdigest(), language="de")


def test_evidence_of_speech(tmp_path: Path, make_video) -> None:
    data = b"00:01,000 --> 00:02,000\nGuten Tag\n\n00:09,000 --> 00:12,000\nEnde\n\n00:11,000 --> 00:13,000\nzu spaet\n"
    video = make_video(subtitles=(sidecar(tmp_path, "a.de.srt", data + b"\nx --> y\n"),), duration_s=10)
    found, dropped = subtitle_evidence(video, tmp_path)
    assert [(e.kind, e.text, e.span.start, e.span.end, e.language, e.extractor) for e in found] == [
        ("speech", "Guten Tag", 1, 2, "de", "srt"),
        ("speech", "Ende", 9, 10, "de", "srt"),
    ]
    assert sorted((d.item, d.reason) for d in dropped) == [
        ("a.de.srt:10", "subtitle_unreadable"),
        ("a.de.srt:7", "span_outside"),
    ]


def test_no_file_outside_the_root_is_read(tmp_path: Path, make_video) -> None:
    root = tmp_path / "root"
    root.mkdir()
    outside = sidecar(tmp_path, "out.srt", b"00:01,000 --> 00:02,000\nsecret\n")
    (root / "link.srt").symlink_to(tmp_path / "out.srt")
    for name in ("../out.srt", "link.srt", str(tmp_path / "out.srt")):
        with pytest.raises(ItemError, match="outside_root"):
            subtitle_evidence(make_video(subtitles=(outside.model_copy(update={"path": name}),)), root)


def test_a_file_that_changed_since_it_was_probed_fails(tmp_path: Path, make_video) -> None:
    video = make_video(subtitles=(sidecar(tmp_path, "a.srt", b"00:01,000 --> 00:02,000\nold\n"),))
    (tmp_path / "a.srt").write_bytes(b"00:01,000 --> 00:02,000\nnew\n")
    with pytest.raises(ItemError, match="changed"):
        subtitle_evidence(video, tmp_path)


def test_a_name_with_a_space_in_front_is_found(make_video, tmp_path):
    data = PLAIN.encode()
    (tmp_path / " talk.srt").write_bytes(data)
    sidecar = Subtitles(path=" talk.srt", sha256=hashlib.sha256(data).hexdigest())
    evidence, dropped = subtitle_evidence(make_video(" talk", subtitles=(sidecar,)), tmp_path)
    assert [item.text for item in evidence] == ["Good morning", "Two lines"]
    assert dropped == []
