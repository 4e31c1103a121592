from __future__ import annotations

from hardcut.schemas.text.clean import clean
from hardcut.synth.evidence.metadata import MAX_CHARACTERS, metadata_evidence


def test_only_allowed_fields_in_their_order(make_video) -> None:
    video = make_video(
        metadata={"tags": ["market", 3, ""], "title": "A walk", "year": 2016, "gps": "secret", "note": None}
    )
    found, dropped = metadata_evidence(video, ("title", "tags", "year", "note", "missing"))
    assert [item.text for item in found] == ["title: A walk", "tags: market, 3", "year: 2016"]
    assert {item.kind for item in found} == {"metadata"}
    assert dropped == []


def test_what_is_no_text_is_dropped_by_name(make_video) -> None:
    video = make_video(metadata={"title": {"en": "A walk"}, "tags": ["a", ["b"]], "date": True, "event": "fair"})
    found, dropped = metadata_evidence(video, ("title", "tags", "date", "event"))
    assert [item.text for item in found] == ["event: fair"]
    assert [(item.item, item.reason) for item in dropped] == [(video.video_id, "not_text")] * 3
    assert "'title'" in dropped[0].detail


def test_long_and_strange_text(make_video) -> None:
    video = make_video(metadata={"title": "a\x00b\nc\u202ed\ud800 " + "x" * 5000})
    [item], _ = metadata_evidence(video, ("title",))
    assert item.text.startswith("title: a b cd xxx")
    assert item.text.endswith("x…")
    assert len(item.text) == MAX_CHARACTERS + len("title: ")


def test_clean_keeps_joiners_of_scripts() -> None:
    assert clean("क्\u200dष  می\u200cخواهم") == "क्\u200dष می\u200cخواهم"
