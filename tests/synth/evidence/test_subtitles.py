from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from hardcut.schemas.errors import ItemError
from hardcut.schemas.records import Subtitles
from hardcut.synth.evidence.subtitles import parse, subtitle_evidence

PLAIN = "1\n00:00:01,000 --> 00:00:02,500\nGood morning\n\n2\n00:00:03,000 --> 00:00:04,000\nTwo\nlines\n"


def told(data: bytes, form: str = "srt", language: str | None = None) -> list[tuple[float, float, str]]:
    cues, faults = parse(data, form, language)
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
        PLAIN.replace("\n", "\r\r\n").encode(),
        PLAIN.replace("1\n0", "\ufeff1\n0").replace("2\n0", "\ufeff2\n0").encode(),
        PLAIN.replace("1\n0", "0").replace("2\n0", "0").encode(),
        PLAIN.replace("00:00:0", "00:0").encode(),
        PLAIN.replace(",", ".").encode(),
        PLAIN.replace("\n\n2", "\n2").encode(),
    ],
    ids=[
        "utf-8",
        "bom",
        "utf-16",
        "le",
        "be",
        "crlf",
        "cr",
        "crcrlf",
        "joined",
        "no numbers",
        "no hours",
        "points",
        "no blank line",
    ],
)
def test_forms_of_one_file(data: bytes) -> None:
    assert told(data) == [(1.0, 2.5, "Good morning"), (3.0, 4.0, "Two lines")]


@pytest.mark.parametrize(
    ("text", "page", "language"),
    [
        ("Café – “ja”", "cp1252", "fr"),
        ("Погода, новости", "cp1251", "ru"),
        ("Погода, новости", "cp1251", "rus"),
        ("Zażółć gęślą jaźń", "cp1250", "pl"),
        ("Καλημέρα", "cp1253", "el-GR"),
        ("Günaydın", "cp1254", "tr"),
        ("صباح الخير", "cp1256", "ar"),
        ("おはよう", "cp932", "ja"),
        ("你好，世界", "gb18030", "zh"),
        ("你好，世界", "cp950", "zh_TW"),
        ("안녕하세요", "cp949", "kor"),
    ],
)
def test_an_old_code_page_is_known_by_the_language(text: str, page: str, language: str) -> None:
    data = f"00:01,000 --> 00:02,000\n{text}\n".encode(page)
    assert told(data, language=language) == [(1.0, 2.0, text)]
    for unknown in (None, "xx"):
        cues, faults = parse(data, language=unknown)
        assert cues == [] and len(faults) == 1 and "no language says which code page" in faults[0].detail


def test_a_code_page_that_does_not_fit_is_named() -> None:
    (fault,) = parse(b"00:01,000 --> 00:02,000\n\x81\x8d\n", language="de")[1]
    assert "nor cp1252, the code page of de" in fault.detail


def test_a_text_in_the_other_code_page_of_its_language_is_not_read() -> None:
    data = PLAIN.replace("Good morning", "中文字幕").encode("big5")
    assert told(data, language="zh-TW")[0][2] == "中文字幕"
    cues, [fault] = parse(data, "srt", "zh")
    assert cues == [] and "nor gb18030" in fault.detail


@pytest.mark.parametrize("mark", ["\u2028", "\u2029\u2029", "\x85\x85", "\x0b"])
def test_only_a_line_end_ends_a_line(mark: str) -> None:
    """U+2028 and its like inside a cue: what follows was lost."""
    vtt = f"WEBVTT\n\n00:01.000 --> 00:02.000\none{mark}two\n"
    assert told(vtt.encode(), "vtt") == [(1.0, 2.0, "one two")]
    ass = f"[Events]\nDialogue: 0,0:00:01.00,0:00:02.00,D,,0,0,0,,one{mark}two\n"
    assert told(ass.encode(), "ass") == [(1.0, 2.0, "one two")]


def test_a_line_of_white_space_does_not_end_a_cue_of_vtt() -> None:
    data = b"WEBVTT\n\n00:00.500 --> 00:01.500 align:start\n \nfirst words\n\n00:02.000 --> 00:03.000\nsecond\n"
    assert told(data, "vtt") == [(0.5, 1.5, "first words"), (2.0, 3.0, "second")]


def test_captions_that_roll_are_said_once_each_at_its_time() -> None:
    """As recognised captions come from a downloader: each line is shown twice more, between them for 10 ms alone."""
    said = ["one two", "three four", "five six", "seven"]
    blocks, at = [], 0.0
    for before, line in zip(["", *said], said, strict=False):
        tagged = line.replace(" ", "<00:00:01.000><c> ") + "</c>"
        blocks.append(f"00:00:{at:06.3f} --> 00:00:{at + 1.99:06.3f}\n{before or ' '}\n{tagged}\n")
        blocks.append(f"00:00:{at + 1.99:06.3f} --> 00:00:{at + 2:06.3f}\n{line}\n \n")
        at += 2
    data = ("WEBVTT\n\n" + "\n".join(blocks)).encode()
    assert told(data, "vtt") == [(2 * n, pytest.approx(2 * n + 1.99), line) for n, line in enumerate(said)]
    chorus = b"00:01,000 --> 00:02,000\nla la\n\n00:03,000 --> 00:04,000\nla la\n\n00:05,000 --> 00:06,000\nbye\n"
    assert [text for *_, text in told(chorus)] == ["la la", "la la", "bye"], "who sings twice says it twice"
    again = "\n".join(f"00:{at:02},000 --> 00:{at + 1:02},500\nla la\n" for at in range(1, 20, 2)).encode()
    assert len(told(again)) == 10, "and who sings ten times"


def test_dialogue_of_ass() -> None:
    data = (
        "[Script Info]\nTitle: x\n\n[V4+ Styles]\nFormat: Name\nDialogue: 0,0:00:00.00,0:00:09.00,no\n\n[Events]\n"
        "Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\n"
        "Comment: 0,0:00:00.00,0:00:01.00,Default,,0,0,0,,nobody says this\n"
        "Dialogue: 0,0:00:03.00,0:00:04.50,Default,,0,0,0,,{\\an8}Well, then\\Nwe {\\i1}go{\\i0}\n"
        "Dialogue: 0,0:00:00.50,0:00:01.50,Default,,0,0,0,,Hello there\n"
        "Dialogue: 0,0:00:05.00,0:00:06.00,Default,,0,0,0,,{\\p1}m 0 0 l 100 0{\\p0}\n"
        "Dialogue: 0,soon,0:00:06.00,Default,,0,0,0,,when\n"
    )
    cues, faults = parse(data.encode(), "ass")
    assert [(cue.start, cue.end, cue.text) for cue in cues] == [
        (0.5, 1.5, "Hello there"),
        (3.0, 4.5, "Well, then we go"),
    ]
    assert [fault.line for fault in faults] == [14]
    assert parse(b"[Script Info]\n", "ass")[1][0].detail == "no line of dialogue in the whole file"


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
    assert told(data, "vtt") == [(1.0, 2.0, "Hello there"), (3.0, 4.0, "Bye")]


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
    assert parse(b"WEBVTT\n", "vtt") == ([], [])


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
