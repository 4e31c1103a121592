"""A page holds what a reviewer may see, and nothing of it can act where it is put."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardcut.annotate.policy import UNAIDED, SetName
from hardcut.annotate.previews import window
from hardcut.annotate.review_content import (
    PreviewLinks,
    ReviewSubject,
    asked,
    decode,
    encode,
    page_content,
    page_digest,
    pushed_by,
    read_shown,
    suggestion,
)
from hardcut.schemas.judgments import Review
from hardcut.schemas.records import Evidence, Facet, Pair, Query, Span, TeacherLabel, TeacherRef, Video
from hardcut.schemas.settings import ReviewSettings, Settings

HOSTILE = "</script><script>alert(1)</script> {{ 7*7 }} ${7} $' $& #TEMPLATE# **b** <!-- \u2028 \\ \" ' `x` \ud800"
SETTINGS = Settings()


def subject(text: str = "a door opens", duration: float = 30.0, source: str | None = "v1") -> ReviewSubject:
    facets = (Facet(text="the door", modality="visual", span=Span(start=3, end=5)), Facet(text="x", modality="ocr"))
    query = Query.create(text=text, view="all", kind="event", facets=facets, source_video_id=source)
    pair = Pair.create(query_id=query.query_id, video_id="v1", origins=("mined",), expected="no")
    video = Video(
        video_id="v1", path="v1.mp4", sha256="0" * 64, size_bytes=1, duration_s=duration, fps=25, width=8, height=8,
        codec="h264", video_streams=1, has_audio=True, complete=True, metadata={"title": text, "secret": "no"},
    )  # fmt: skip
    names = {"pair_id": pair.pair_id, "query_id": query.query_id, "video_id": "v1"}
    label = TeacherLabel.create(
        **names, verdict="yes", logit_margin=2.0, p_yes=0.88, reasoning=f"because {text}",
        teacher=TeacherRef(backend="test", model="m"),
    )  # fmt: skip
    line = Evidence.create(
        video_id="v1", kind="ocr", text=text.replace("\ud800", ""), span=Span(start=1, end=2), extractor="t"
    )
    said = Review.create(
        **names,
        query_digest="0" * 64,
        reviewer="zacharias",
        relevance=0,
        blind=True,
        status="submitted",
        stratum="audit",
    )
    return ReviewSubject(pair, query, video, (line,), (label,), (said,))


def test_encoded_content_comes_back_and_holds_nothing_active() -> None:
    shown = page_content(subject(HOSTILE.replace("\ud800", "")), "assisted", PreviewLinks("/m/x.mp4"), SETTINGS)
    text = encode(shown)
    assert decode(text) == json.loads(json.dumps(shown))
    strings = text.replace('{"', "").replace('"}', "")
    for active in ("<", ">", "$", "#", "`", "'", "{{", "\u2028"):
        assert active not in strings, active
    assert "</script" not in json.dumps({"fields": {"page": {"page": text}}}), "as Argilla puts it into its page"


@given(
    st.recursive(
        st.text() | st.none() | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_anything_can_be_encoded(value: object) -> None:
    text = encode({"x": value})  # type: ignore[dict-item]
    assert decode(text) == {"x": value}
    assert not set("<>&#$`'") & set(text)
    text.encode("utf-8")


def test_a_blind_page_says_nothing_of_the_teacher() -> None:
    blind = encode(page_content(subject(), "blind", PreviewLinks(), SETTINGS))
    assert "because" not in blind and "teachers" not in blind and "mined" not in blind and "votes" not in blind
    assert suggestion(subject(), "blind") is None
    assisted = page_content(subject(), "assisted", PreviewLinks(), SETTINGS)
    assert assisted["teachers"] == [
        {"name": "test: m", "verdict": "yes", "p_yes": 0.88, "reasoning": "because a door opens"}
    ]
    assert suggestion(subject(), "assisted") == (2, 0.88)


@pytest.mark.parametrize("duration", [30.0, 600.0])
@pytest.mark.parametrize("set_name", sorted(UNAIDED))
def test_a_blind_page_is_the_same_however_query_and_video_met(set_name: SetName, duration: float) -> None:
    """Whoever could tell a query's own video, a mined one and a counterfactual apart would answer by that."""
    given = subject(duration=duration)
    line = Evidence.create(video_id="v1", kind="speech", text="a door", extractor="t")
    met = [
        given,
        replace(given, query=given.query.model_copy(update={"source_video_id": "v2"})),
        replace(given, query=given.query.model_copy(update={"facets": (), "variant": "negated", "view": "speech"})),
        replace(given, evidence=(), labels=(), pair=given.pair.model_copy(update={"origins": ("source",)})),
        replace(given, evidence=(line,), video=given.video.model_copy(update={"video_id": "door", "metadata": {}})),
    ]
    pages = {encode(page_content(each, set_name, PreviewLinks("/m/x.mp4", "/m/x.jpg"), SETTINGS)) for each in met}
    assert len(pages) == 1
    shown = page_content(given, set_name, PreviewLinks("/m/x.mp4", "/m/x.jpg"), SETTINGS)
    assert shown.keys() - {"votes", "nobody_left"} == {"query", "language", "video", "clip", "sheet", "reference"}


def test_who_adjudicates_sees_what_was_said_and_not_by_whom() -> None:
    shown = page_content(subject(), "adjudication", PreviewLinks(), SETTINGS)
    assert shown["votes"] == [{"said": "Does not", "flags": [], "start": None, "end": None}]
    assert "zacharias" not in encode(shown) and "teachers" not in shown


def test_a_composed_query_shows_what_it_starts_from() -> None:
    given = subject()
    assert page_content(given, "blind", PreviewLinks(), SETTINGS)["reference"] is None
    composed = replace(given, reference=given.video)
    shown = page_content(composed, "blind", PreviewLinks(reference="/m/start.jpg"), SETTINGS)
    assert shown["reference"] == {"sheet": "/m/start.jpg"}


def test_only_metadata_that_teachers_may_read_is_shown() -> None:
    assert page_content(subject(), "assisted", PreviewLinks(), SETTINGS)["metadata"] == [["title", "a door opens"]]


def test_a_record_tells_whose_answer_it_brings_back() -> None:
    given = subject()
    told = asked(given, "suspected", "run1")
    shown = read_shown(told, "", 2)
    assert (shown.pair_id, shown.query_id, shown.video_id) == (given.pair.pair_id, given.query.query_id, "v1")
    assert (shown.stratum, shown.suggested, shown.video_sha256) == ("suspected", 2, given.video.sha256)
    early = encode({"query": "x", "pair": json.loads(told)})  # a page of an early version told it itself
    assert read_shown("", early, 2) == shown and (pushed_by(told), pushed_by("")) == ("run1", None)
    page = encode(page_content(given, "assisted", PreviewLinks(), SETTINGS))
    digests = {page_digest(page, said, of) for said in ((2, 0.88), (0, 0.88), None) for of in (told, "{}")}
    assert len(digests) == 6
    for asks, shows in (("[1]", ""), ("", "[1]"), ("", page)):
        with pytest.raises((ValueError, KeyError, TypeError)):
            read_shown(asks, shows, None)


@pytest.mark.parametrize(
    ("duration", "source", "cut", "moment"),
    [
        (30.0, "v1", (0, 30), (3, 5)),
        (600.0, "v1", (1, 7), (3, 5)),
        (600.0, None, (0, 60), None),
        (600.0, "v2", (0, 60), None),
        (4.0, "v1", (0, 4), (3, 4)),
    ],
    ids=["short: whole", "long: the moment", "a user's query", "another video", "a span that overhangs"],
)
def test_what_of_a_video_is_cut_out(
    duration: float, source: str | None, cut: tuple[float, float], moment: tuple[float, float] | None
) -> None:
    given = subject(duration=duration, source=source)
    found = window(given.query, given.video, ReviewSettings(), whole=False)
    assert (found.cut.start, found.cut.end) == cut
    assert (found.moment and (found.moment.start, found.moment.end)) == moment
    blind = window(given.query, given.video, ReviewSettings(), whole=True)
    assert (blind.cut.start, blind.cut.end, blind.moment) == (0, duration, None)
