"""What a judge is told of a video, and that a counterfactual is verified with the request that scores send."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from hardcut.engine.stage import Unit
from hardcut.schemas.records import Caption, Claim, Evidence, Facet, Pair, Query, Sampling, TeacherRef, Video
from hardcut.schemas.settings import CounterfactualSettings
from hardcut.synth.counterfactuals import CounterfactualStage
from hardcut.synth.judges import Judge, Known, unusual
from hardcut.synth.scores import ScoreStage
from hardcut.teacher.prompts.reply_models import ChangedReply, CounterfactualReply, FacetReply
from hardcut.teacher.protocol import Answer

T = TeacherRef(backend="t", model="t")
SAMPLING = Sampling(max_frames=0)


@pytest.fixture
def known(make_video: Callable[..., Video]) -> tuple[Any, ...]:
    title = Evidence.create(video_id="v", kind="metadata", text="title: The old mill", extractor="sidecar")
    said = Evidence.create(video_id="v", kind="speech", text="the wheel turns again", extractor="srt")
    claims = (
        Claim(text='Title: "The old mill"', evidence_ids=(title.evidence_id,)),
        Claim(text="Someone speaks of a wheel", evidence_ids=(said.evidence_id, title.evidence_id)),
        Claim(text="Water runs"),
    )
    text = " ".join(f"{claim.text}." for claim in claims)
    return make_video("v"), title, said, Caption.create(video_id="v", text=text, claims=claims, teacher=T)


def query(text: str, modality: str | None = None, view: str = "caption") -> Query:
    facets = (Facet(text=text, modality=modality),) if modality else ()
    return Query.create(text=text, view=view, kind="event", facets=facets, source_video_id="v")


def told(known: tuple[Any, ...], asked: Query, **options: bool) -> dict[str, Any]:
    video, title, said, caption = known
    judge = Judge(None, SAMPLING, **options)  # type: ignore[arg-type]
    return judge.told(Known.from_records(video, (title, said), caption), asked)


def test_a_judge_is_told_everything_unless_it_is_said_otherwise(known: tuple[Any, ...]) -> None:
    found = told(known, query("a wheel"))
    assert [line["kind"] for line in found["evidence"]] == ["metadata", "speech"]
    assert found["caption"] == known[-1].text
    assert unusual([Judge(None, SAMPLING)]) == {}, "keys of earlier versions stay"  # type: ignore[arg-type]


def test_a_judge_can_be_kept_from_the_caption(known: tuple[Any, ...]) -> None:
    found = told(known, query("a wheel"), sees_caption=False)
    assert found["caption"] is None and len(found["evidence"]) == 2


def test_a_title_is_told_only_where_a_query_asks_for_metadata(known: tuple[Any, ...]) -> None:
    """A claim that cites metadata alone is metadata, whatever it is called."""
    for asked in (query("a mill"), query("a mill", "visual"), query("a mill", view="user")):
        found = told(known, asked, sees_metadata=False)
        assert "mill" not in repr(found) and found["caption"] == "Someone speaks of a wheel. Water runs."
    for asked in (query("a mill", "metadata", "all"), query("a mill", view="metadata")):
        assert "old mill" in repr(told(known, asked, sees_metadata=False)["evidence"])


@pytest.mark.parametrize("options", [{}, {"sees_caption": False}, {"sees_metadata": False}])
@pytest.mark.parametrize("modality", ["speech", "metadata"])
async def test_a_counterfactual_is_verified_with_the_request_that_scores_send(
    options: dict[str, bool], modality: Any, known: tuple[Any, ...], scripted: Any, no_frames: Any
) -> None:
    written = ChangedReply(
        variant="facet_changed", text="someone speaks of a bridge",
        facets=(FacetReply(text="a bridge", modality=modality, start=None, end=None),),
    )  # fmt: skip
    writer = scripted(CounterfactualReply(queries=(written,)))
    no = Answer("no", -9.0, -0.01)
    asked = query("someone speaks of a wheel", "speech")
    first, later = scripted(no), scripted(no)
    stage = CounterfactualStage(
        writer, [Judge(first, SAMPLING, **options)], no_frames, SAMPLING,
        CounterfactualSettings(variants=("facet_changed",), rounds=0),
    )  # fmt: skip
    [changed] = (await stage.run(Unit("v", (*known, asked)))).records
    assert isinstance(changed, Query) and changed.variant == "facet_changed"
    pair = Pair.create(query_id=changed.query_id, video_id="v", origins=("counterfactual",), expected="no")
    scores = ScoreStage([Judge(later, SAMPLING, **options)], no_frames, lambda _: changed, Unit)
    await scores.run(Unit("v", (*known, pair)))
    assert first.batches == later.batches, "so that the reply is there"
