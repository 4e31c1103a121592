"""What other videos show, for the two sides of a block to be made of the same words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from hardcut.engine.stage import Unit
from hardcut.schemas.records import Caption, Claim, Evidence, Span, TeacherRef, Video
from hardcut.synth.elsewhere import NEIGHBOURS, Ring, elsewhere, some_of
from hardcut.teacher.prompts.inputs import EvidenceLine

REF = TeacherRef(backend="t", model="t")


def test_everybody_has_neighbours_and_is_one_as_often() -> None:
    videos = [f"v{n}" for n in range(100)]
    ring = Ring(videos)
    found = {video: ring.after(video) for video in videos}
    assert all(len(set(of)) == NEIGHBOURS and video not in of for video, of in found.items())
    assert set(Counter(other for of in found.values() for other in of).values()) == {NEIGHBOURS}
    assert found == {video: Ring(reversed(videos)).after(video) for video in videos}, "the order does not matter"
    assert Ring(["a", "b", "c"]).after("a") in (["b", "c"], ["c", "b"]) and Ring(["a"]).after("a") == []


def test_few_neighbours_change_when_a_collection_grows() -> None:
    videos = [f"v{n}" for n in range(200)]
    before, after = Ring(videos), Ring([*videos, "new"])
    assert sum(before.after(video) != after.after(video) for video in videos) == NEIGHBOURS


def test_only_what_is_sure_there_and_not_here_is_shown(make_video: Callable[..., Video]) -> None:
    def line(kind: str, text: str, confidence: float | None) -> Evidence:
        span = Span(start=0.5, end=1.5)
        return Evidence.create(video_id="other", kind=kind, text=text, span=span, confidence=confidence, extractor="x")

    evidence = (
        line("ocr", "FRESH BREAD", 0.95), line("ocr", "GRAND OPENING", 0.9), line("ocr", "misread words", 0.5),
        line("speech", "see you tomorrow", None), line("colour", "mostly green", 1.0),
    )  # fmt: skip
    claims = (Claim(text="A man juggles."), Claim(text="A sign.", evidence_ids=(evidence[0].evidence_id,)))
    caption = Caption.create(video_id="other", text="A man juggles. A sign.", claims=claims, teacher=REF)
    here = [EvidenceLine(id="e", kind="ocr", text="fresh bread", start=0, end=1, confidence=0.9)]
    found = elsewhere([Unit("other", (make_video("other"), *evidence, caption))], here, "A street.")
    assert {(each.text, each.modality) for each in found} == {
        ("grand opening", "ocr"), ("see you tomorrow", "speech"), ("A man juggles", "visual"),
    }  # fmt: skip
    many = [found[0].model_copy(update={"text": f"line {n}"}) for n in range(40)]
    one, other = some_of(many, "q_1"), some_of(many, "q_2")
    assert len(one) == len(other) == 12 and one != other and one == some_of(reversed(many), "q_1")


def test_nothing_is_taken_from_what_may_be_the_same_scene(make_video: Callable[..., Video]) -> None:
    """A sign that was read in a twin and not here may be here all the same: it is not absent."""

    def unit(video_id: str, *texts: str) -> Unit:
        span = Span(start=0.5, end=1.5)
        lines = (
            Evidence.create(video_id=video_id, kind="ocr", text=text, span=span, confidence=0.95, extractor="x")
            for text in texts
        )
        return Unit(video_id, (make_video(video_id), *lines))

    here = [
        EvidenceLine(id=text, kind="ocr", text=text, start=0, end=1, confidence=0.9) for text in ("florist", "wait")
    ]
    twin, other = unit("twin", "FLORIST", "WAIT", "WALK"), unit("other", "BAKERY", "WAIT", "FRESH BREAD")
    assert elsewhere([twin], here, "A street.") == ()
    assert {each.text for each in elsewhere([twin, other], here, "A street.")} == {"bakery", "fresh bread"}
