"""Captions, queries and scores: with the real evidence teacher, and with scripted replies for what models get wrong."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest

from hardcut.engine.stage import Unit
from hardcut.schemas.errors import ItemError
from hardcut.schemas.records import (
    Caption,
    Evidence,
    FirstStage,
    Pair,
    Query,
    Sampling,
    Span,
    TeacherLabel,
    TeacherRef,
    Video,
)
from hardcut.schemas.settings import CaptionSettings, QuerySettings
from hardcut.schemas.text_only import TEXT_ONLY_RANK
from hardcut.synth.captions import CaptionStage
from hardcut.synth.frame_source import FrameSource
from hardcut.synth.judges import Judge
from hardcut.synth.queries import QueryStage
from hardcut.synth.scores import ScoreStage
from hardcut.teacher.prompts.question import Identity, prepare_questions
from hardcut.teacher.prompts.render import Prompts
from hardcut.teacher.prompts.reply_models import CaptionReply, ClaimReply, FacetReply, QueriesReply, QueryReply
from hardcut.teacher.protocol import Answer, Refusal
from hardcut.teacher.rules.teacher import EvidenceTeacher

SAMPLING = Sampling(max_frames=4)


def told(video: Video) -> tuple[Evidence, ...]:
    speech = Evidence.create(
        video_id=video.video_id,
        kind="speech",
        text="Good morning Marlow",
        span=Span(start=0.5, end=1.5),
        extractor="srt",
    )
    title = Evidence.create(video_id=video.video_id, kind="metadata", text="title: The market", extractor="sidecar")
    return speech, title


def caption_of(video: Video) -> Caption:
    return Caption.create(video_id=video.video_id, text="A market.", teacher=TeacherRef(backend="test", model="test"))


async def test_the_chain_with_the_evidence_teacher(frames: FrameSource, probed: Video) -> None:
    teacher, evidence = EvidenceTeacher(), told(probed)
    captions = CaptionStage(teacher, frames, SAMPLING, CaptionSettings())
    assert captions.kind == "unit"
    [caption] = (await captions.run(Unit(probed.video_id, records=(probed, *evidence)))).records
    assert isinstance(caption, Caption)
    assert {cited for claim in caption.claims for cited in claim.evidence_ids} <= {
        item.evidence_id for item in evidence
    }

    queries = QueryStage(teacher, frames, SAMPLING, QuerySettings())
    assert queries.kind == "unit"
    output = await queries.run(Unit(probed.video_id, records=(probed, *evidence, caption)))
    written = {query.query_id: query for query in output.records if isinstance(query, Query)}
    assert written
    assert {query.source_video_id for query in written.values()} == {probed.video_id}
    assert "ocr" not in {query.view for query in written.values()}

    scores = ScoreStage([Judge(teacher, SAMPLING)], frames, query=written.__getitem__, reference=Unit)
    assert scores.kind == "unit"
    pairs = tuple(
        Pair.create(query_id=query_id, video_id=probed.video_id, origins=("source",), expected="yes")
        for query_id in written
    )
    output = await scores.run(Unit(probed.video_id, records=(probed, *evidence, caption, *pairs)))
    labels = [label for label in output.records if isinstance(label, TeacherLabel)]
    assert {label.pair_id for label in labels} == {pair.pair_id for pair in pairs}
    assert output.failure is None
    for label in labels:
        assert label.exact
        assert label.logit_margin == pytest.approx(label.logprob_yes - label.logprob_no)


async def test_references_that_lead_nowhere_are_dropped_and_recorded(
    frames: FrameSource, probed: Video, scripted
) -> None:
    speech, title = told(probed)
    claims = (
        ClaimReply(text="someone greets", start=0.5, end=1.5, evidence=(speech.evidence_id, "e_made_up")),
        ClaimReply(text="a late thing", start=2.0, end=99.0, evidence=()),
        ClaimReply(text="to the end", start=1.0, end=probed.duration_s + 0.2, evidence=()),
        ClaimReply(text="\x01", start=None, end=None, evidence=()),
    )
    teacher = scripted(CaptionReply(short="Someone greets.", claims=claims))
    stage = CaptionStage(teacher, frames, SAMPLING, CaptionSettings(max_words=50, check=False))
    output = await stage.run(Unit(probed.video_id, records=(probed, speech, title)))
    [caption] = output.records
    assert isinstance(caption, Caption)
    assert [(claim.evidence_ids, claim.span) for claim in caption.claims] == [
        ((speech.evidence_id,), Span(start=0.5, end=1.5)),
        ((), None),
        ((), Span(start=1.0, end=probed.duration_s)),
    ]
    assert [(item.item, item.reason) for item in output.dropped] == [
        (probed.video_id, "unknown_evidence"), (probed.video_id, "span_outside"), (probed.video_id, "empty"),
    ]  # fmt: skip
    [[request]] = teacher.batches
    assert request.inputs["max_words"] == 50
    assert [item["id"] for item in request.inputs["evidence"]] == [title.evidence_id, speech.evidence_id]
    assert len(request.frames) == 4


async def test_each_shot_is_shown_where_there_are_frames_for_it(frames: FrameSource, probed: Video, scripted) -> None:
    """The short first shot lies between two frames that are evenly spread. An earlier version showed those."""
    for video, seconds in ((probed, [0.2, 2.2]), (probed.model_copy(update={"looked_s": None}), [0.7, 2.2])):
        shots = [
            Evidence.create(
                video_id=video.video_id, kind="shot", text=f"shot {number}", span=Span(start=start, end=end),
                extractor="scenedetect",
            )
            for number, start, end in ((1, 0.0, 0.5), (2, 0.5, 3.0))
        ]  # fmt: skip
        claim = ClaimReply(text="A grey picture.", start=None, end=None, evidence=())
        reply = CaptionReply(claims=[claim], short="Grey.")
        teacher = scripted(reply)
        stage = CaptionStage(teacher, frames, Sampling(max_frames=2), CaptionSettings(check=False))
        await stage.run(Unit(video.video_id, records=(video, *shots)))
        [[request]] = teacher.batches
        assert [frame.time_s for frame in request.frames] == pytest.approx(seconds)


async def test_a_caption_without_end_fails_with_its_text(frames: FrameSource, probed: Video, scripted) -> None:
    rambling = ClaimReply(text="and then " * 60, start=None, end=None, evidence=())
    stage = CaptionStage(
        scripted(CaptionReply(short="A lot.", claims=[rambling])), frames, SAMPLING, CaptionSettings(max_words=50)
    )
    with pytest.raises(ItemError, match="120 words, and at most 50") as error:
        await stage.run(Unit("v", (probed, *told(probed))))
    assert error.value.reason == "too_long"


async def test_a_refusal_fails_the_video_with_the_raw_reply(frames: FrameSource, probed: Video, scripted) -> None:
    no = Refusal("invalid_reply", "no JSON", "Sure!")
    for stage, records in (
        (CaptionStage(scripted(no), frames, SAMPLING, CaptionSettings()), ()),
        (
            QueryStage(
                scripted(*[Refusal("invalid_reply", "no JSON", "Sure!")] * 5), frames, SAMPLING, QuerySettings()
            ),
            (caption_of(probed),),
        ),
    ):
        with pytest.raises(ItemError) as error:
            await stage.run(Unit(probed.video_id, records=(probed, *told(probed), *records)))
        assert (error.value.reason, error.value.raw) == ("invalid_reply", "Sure!")


def query(text: str, view: str = "speech", start: float | None = None, end: float | None = None) -> QueryReply:
    facet = FacetReply(text="a greeting", modality="speech", start=start, end=end)
    return QueryReply(text=text, language="en", view=view, kind="event", style="plain", facets=(facet,))


async def test_filters_of_queries(frames: FrameSource, probed: Video, scripted) -> None:
    reply = QueriesReply(
        queries=(
            query("who greets the town", start=0.5, end=1.5),
            query("Who  greets the town"),
            query("words " * 9),
            query("a sign that says open", view="ocr"),
            query("the market", view="caption"),
            query("\x02"),
            query("a second greeting", start=50, end=60),
            query("a third greeting"),
        )
    )
    teacher = scripted(reply, QueriesReply(queries=()))
    options = QuerySettings(views=("speech", "ocr", "metadata"), per_view=2, max_words=8)
    stage = QueryStage(teacher, frames, SAMPLING, options)
    output = await stage.run(Unit(probed.video_id, records=(probed, *told(probed), caption_of(probed))))
    kept = [item for item in output.records if isinstance(item, Query)]
    assert [(item.text, item.facets[0].span) for item in kept] == [
        ("who greets the town", Span(start=0.5, end=1.5)),
        ("a second greeting", None),
    ]
    assert [item.reason for item in output.dropped] == [
        "duplicate", "too_long", "view_not_asked", "view_not_asked", "empty", "span_outside", "over_per_view",
    ]  # fmt: skip
    [[speech, metadata]] = teacher.batches
    assert [each.inputs["view"] for each in (speech, metadata)] == ["speech", "metadata"]
    assert speech.inputs["views"] == ["speech", "metadata"] and not (speech.frames or metadata.frames)


async def test_nothing_is_asked_where_no_view_has_evidence(frames: FrameSource, probed: Video, scripted) -> None:
    teacher = scripted()
    stage = QueryStage(teacher, frames, SAMPLING, QuerySettings(views=("speech", "ocr")))
    output = await stage.run(Unit(probed.video_id, records=(probed, caption_of(probed))))
    assert (list(output.records), output.drop, teacher.batches) == ([], None, [])


def asked(video: Video, count: int) -> tuple[dict[str, Query], tuple[Pair, ...]]:
    queries = [Query.create(text=f"query {i}", view="user", kind="event", external_id=str(i)) for i in range(count)]
    pairs = [
        Pair.create(query_id=q.query_id, video_id=video.video_id, origins=("mined",), expected="unknown")
        for q in queries
    ]
    return {q.query_id: q for q in queries}, tuple(pairs)


async def test_all_pairs_of_a_video_go_out_together(frames: FrameSource, probed: Video, scripted) -> None:
    queries, pairs = asked(probed, 3)
    teacher = scripted(
        Answer("yes", logprob_yes=-0.1, logprob_no=-2.5), Answer("no", logprob_no=-0.2, bound=-5.0), Answer("yes")
    )
    stage = ScoreStage([Judge(teacher, SAMPLING)], frames, query=queries.__getitem__, reference=Unit)
    output = await stage.run(Unit(probed.video_id, records=(probed, *told(probed), *pairs)))
    exact, bounded, plain = output.records
    assert isinstance(exact, TeacherLabel)
    assert isinstance(bounded, TeacherLabel)
    assert isinstance(plain, TeacherLabel)
    assert (exact.verdict, exact.exact) == ("yes", True)
    assert exact.logit_margin == pytest.approx(2.4)
    assert exact.p_yes == pytest.approx(1 / (1 + math.exp(-2.4)))
    assert (bounded.verdict, bounded.exact, bounded.logit_margin) == ("no", False, pytest.approx(-4.8 + math.log(9)))
    assert (plain.verdict, plain.exact, plain.logit_margin) == ("yes", False, None)
    [batch] = teacher.batches
    assert [request.inputs["query"] for request in batch] == [queries[pair.query_id].text for pair in pairs]
    shared = [{key: value for key, value in request.inputs.items() if key != "query"} for request in batch]
    assert shared[0] == shared[1] == shared[2]
    assert shared[0]["caption"] is None
    assert len({request.frames for request in batch}) == 1


async def test_a_judge_of_a_composed_query_sees_what_it_starts_from(
    frames: FrameSource, probed: Video, scripted
) -> None:
    """The caption and some frames of the reference, behind those of the video; metadata alone gets the caption."""
    start = probed.model_copy(update={"video_id": "start"})
    caption = Caption.create(video_id="start", text="A door opens.", teacher=TeacherRef(backend="test", model="test"))
    fields = {"view": "caption", "kind": "composed", "source_video_id": probed.video_id}
    composed = Query.create(text="the same, but the door closes", reference_video_id="start", **fields)
    plain = Query.create(text="a door closes", **{**fields, "kind": "event"})
    queries = {query.query_id: query for query in (composed, plain)}
    pairs = [
        Pair.create(query_id=query_id, video_id=probed.video_id, origins=("source",), expected="yes")
        for query_id in queries
    ]
    teacher = scripted(*[Answer("yes", logprob_yes=-0.1, logprob_no=-2.5)] * 4)
    about = {"start": Unit("start", (start, caption))}
    stage = ScoreStage([Judge(teacher, SAMPLING)], frames, queries.__getitem__, about.__getitem__)
    await stage.run(Unit(probed.video_id, records=(probed, *told(probed), *pairs)))
    seen = {request.inputs["query"]: request for request in teacher.batches[0]}
    blind = {request.inputs["query"]: request for request in teacher.batches[1]}
    shown, alone = seen[composed.text], seen[plain.text]
    assert shown.inputs["reference"] == {"caption": "A door opens."} == blind[composed.text].inputs["reference"]
    assert len(shown.frames) == 4 and len(shown.reference) == 2 and shown.frames == alone.frames
    assert [label for label, _ in shown.pictures][3:] == [
        "<2.7 s>",
        "<reference video, 0.7 s>",
        "<reference video, 2.2 s>",
    ]
    assert "reference" not in alone.inputs and not alone.reference
    assert not any((*request.frames, *request.reference) for request in blind.values())
    prompts, teacher_ref = Prompts(), TeacherRef(backend="test", model="test")
    text = prompts.fill(shown)
    assert "A door opens." in text.user and "reference" not in prompts.fill(alone).user
    other = replace(shown, reference=shown.reference[:1])
    who = Identity(lambda task, sampling: teacher_ref, 1)
    keys = {each.key for each in prepare_questions([shown, other], who.describe, prompts, [who])}
    assert len(keys) == 2, "other frames of the reference make another question"


async def test_what_metadata_alone_tells_is_asked_of_sources_and_of_the_best_candidates(
    frames: FrameSource, probed: Video, scripted
) -> None:
    """Without frames, caption and evidence of any other kind; and not at all of a video without metadata."""

    def pair(number: int, origin: str, expected: str, rank: int | None) -> tuple[Query, Pair]:
        query = Query.create(text=f"query {number}", view="caption", kind="event", source_video_id="any")
        found = [FirstStage(run="bm25", rank=rank, score=1.0)] if rank else []
        fields = {"query_id": query.query_id, "video_id": probed.video_id, "first_stage": found}
        return query, Pair.create(origins=(origin,), expected=expected, **fields)

    asked = [
        pair(0, "source", "yes", 40),
        pair(1, "mined", "no", TEXT_ONLY_RANK),
        pair(2, "mined", "no", TEXT_ONLY_RANK + 1),
        pair(3, "mined", "unknown", 1),
        pair(4, "counterfactual", "no", None),
    ]
    queries = {query.query_id: query for query, _ in asked}
    records = (probed, *told(probed), caption_of(probed), *(pair for _, pair in asked))
    teacher = scripted(*[Answer("no", logprob_yes=-2.5, logprob_no=-0.1)] * 7)
    stage = ScoreStage([Judge(teacher, SAMPLING)], frames, queries.__getitem__, Unit)
    output = await stage.run(Unit(probed.video_id, records))
    _, blind = teacher.batches
    assert sorted(request.inputs["query"] for request in blind) == ["query 0", "query 1"]
    for request in blind:
        assert not request.frames and request.inputs["caption"] is None
        assert [line["kind"] for line in request.inputs["evidence"]] == ["metadata"]
    assert sorted(label.input for label in output.records) == ["full"] * 5 + ["text_only"] * 2
    silent = scripted(*[Answer("no", logprob_yes=-2.5, logprob_no=-0.1)] * 5)
    stage = ScoreStage([Judge(silent, SAMPLING)], frames, queries.__getitem__, Unit)
    await stage.run(Unit(probed.video_id, tuple(each for each in records if each != told(probed)[1])))
    assert len(silent.batches) == 1


async def test_a_reply_that_cannot_be_read_is_never_a_label(frames: FrameSource, probed: Video, scripted) -> None:
    queries, pairs = asked(probed, 3)
    teacher = scripted(
        Refusal("truncated", "cut in mid-reasoning", "The snow"), Answer("no", logprob_yes=-3, logprob_no=-0.1),
        Refusal("timeout", "no answer in 300 s"),
    )  # fmt: skip
    stage = ScoreStage([Judge(teacher, SAMPLING)], frames, query=queries.__getitem__, reference=Unit)
    output = await stage.run(Unit(probed.video_id, records=(probed, caption_of(probed), *pairs)))
    labels = [label for label in output.records if isinstance(label, TeacherLabel)]
    assert [(label.pair_id, label.verdict, label.logit_margin) for label in labels] == [
        (pairs[0].pair_id, "unparsed", None),
        (pairs[1].pair_id, "no", pytest.approx(-2.9)),
    ]
    assert output.failure is not None
    assert output.failure.reason == "timeout+truncated"
    assert pairs[0].pair_id in output.failure.detail
    assert pairs[2].pair_id in output.failure.detail
    assert json.loads(output.failure.raw or "") == {pairs[0].pair_id: "The snow"}


def test_keys_hold_teacher_and_sampling(frames: FrameSource, scripted) -> None:
    def keys(sampling: Sampling) -> list[object]:
        teacher = scripted()
        return [
            CaptionStage(teacher, frames, sampling, CaptionSettings()).settings,
            QueryStage(teacher, frames, sampling, QuerySettings()).settings,
            ScoreStage([Judge(teacher, sampling)], frames, query={}.__getitem__, reference=Unit).settings,
        ]

    for one, other in zip(keys(SAMPLING), keys(Sampling(max_frames=4, seed=1)), strict=True):
        assert one != other
    assert keys(SAMPLING) == keys(Sampling(max_frames=4))
