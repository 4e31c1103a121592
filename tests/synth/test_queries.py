"""What the queries of a world are like: kinds, places in time, forms, wordings, languages."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from difflib import SequenceMatcher
from types import ModuleType
from typing import Any, get_args

import pytest

pytest.importorskip("espeakng_loader", reason='worlds are made with pip install "hardcut[render]"')

from hardcut.data.model import Clip, World
from hardcut.data.truth import truth_record
from hardcut.data.world import make_world
from hardcut.engine.pool import WorkerPool
from hardcut.engine.stage import Output, Unit
from hardcut.media.collection import scan
from hardcut.schemas.records import (
    TURNED,
    Caption,
    Evidence,
    Facet,
    Length,
    Query,
    Register,
    Sampling,
    Span,
    TeacherRef,
    Video,
    View,
)
from hardcut.schemas.settings import (
    CaptionSettings,
    CounterfactualSettings,
    EvidenceSettings,
    MediaSettings,
    QuerySettings,
)
from hardcut.schemas.text.clean import length_class
from hardcut.schemas.twin import Difference, Twin
from hardcut.synth.captions import CaptionStage
from hardcut.synth.composed import ComposedStage
from hardcut.synth.counterfactuals import CounterfactualStage
from hardcut.synth.elsewhere import Ring
from hardcut.synth.evidence.stage import EvidenceStage
from hardcut.synth.frame_source import FrameSource
from hardcut.synth.judges import Judge
from hardcut.synth.probe import ProbeStage
from hardcut.synth.queries import QueryStage
from hardcut.synth.query_forms import forms
from hardcut.teacher.prompts.inputs import EvidenceLine
from hardcut.teacher.prompts.reply_models import (
    ComposeReply,
    FollowsReply,
    ParaphraseReply,
    QueriesReply,
    QueryReply,
    SameReply,
    TranslateReply,
    WordingReply,
)
from hardcut.teacher.protocol import Refusal
from hardcut.teacher.rules.judge import EvidenceJudge
from hardcut.teacher.rules.teacher import EvidenceTeacher

SAMPLING = Sampling(max_frames=4)
WITHOUT_A_MODEL = {"event", "temporal", "negation", "composed", "multi_hop", "moment"}
"""The kinds that the `evidence` teacher and the scripted one write. Cause, count, spatial relation and contradiction
need a model."""


def twin_of(one: tuple[Any, ...], other: tuple[Any, ...]) -> Twin:
    """Another video as a twin is told of: by what is surely read and moves in each, in order of time."""

    def told(records: tuple[Any, ...]) -> str:
        lines = [
            (each.span.start, each.text)
            for each in records
            if isinstance(each, Evidence) and each.span and each.kind in ("ocr", "motion")
            if (each.confidence or 0.0) >= 0.8 and each.span.start > 0
        ]
        return ", then ".join(text for _, text in sorted(lines))

    here, there = one[-1], other[-1]
    difference = Difference(here=told(one), there=told(other))
    return Twin.create(
        video_id=here.video_id,
        other_video_id=there.video_id,
        relation="chiral",
        caption=there.text,
        differences=(difference,),
    )


DRIFT, LIGHT = {False: "left to right", True: "right to left"}, ("white", "grey")
"""The clouds and gulls of a backdrop, of which the truth says nothing."""


def overlapping(facet: Facet, clip: Clip) -> bool:
    """Whether the world shows, at some time within the facet's span, what the facet names."""
    assert facet.span is not None
    record = truth_record(clip)
    told: list[tuple[str, dict[str, float]]] = []
    if facet.modality == "ocr":
        told = [(text["text"], text["span"]) for text in record["texts"]]
    elif facet.modality == "speech":
        told = [(said["text"], said["span"]) for said in record["speech"]]
    elif facet.modality == "motion":
        told = [(f"{thing['colour']} {thing['direction']}", thing["moving"]) for thing in record["objects"]]
        told.append(("camera stands still", {"start": 0.0, "end": record["duration_s"]}))
        told += [(f"{white} {DRIFT[clip.backwards]}", {"start": 0.0, "end": record["duration_s"]}) for white in LIGHT]
    for text, span in told:
        if facet.modality == "motion":
            named = all(part in facet.text for part in text.split(" ", 1))
        else:
            found = SequenceMatcher(None, facet.text.casefold(), text.casefold(), autojunk=False)
            named = sum(block.size for block in found.get_matching_blocks()) >= 0.7 * len(facet.text)
        if named and facet.span.start < span["end"] and span["start"] < facet.span.end:
            return True
    return False


Rendered = tuple[World, dict[str, list[Query]]]


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory, pool: WorkerPool, worlds: ModuleType) -> Iterator[Rendered]:
    """A rendered world and all queries about it by teacher, by the real stages out of the real files: of the evidence
    teacher, and of one that knows what is true of each clip."""
    pytest.importorskip("rapidocr", reason='needs pip install "hardcut[ocr]"')
    from hardcut.data.fonts import Fonts
    from hardcut.data.render import render_world

    folder = tmp_path_factory.mktemp("world")
    world = make_world(91, clips=6, scripts=("latin",), families=("ball", "order", "talk"))
    render_world(world, folder / "out", Fonts())
    frames = FrameSource(
        root=(folder / "out" / "videos").resolve(), store=folder / "store", media=MediaSettings(), pool=pool
    )

    async def chain() -> dict[str, list[Query]]:
        seen = await _seen(frames)
        scripted = worlds.WorldTeacher(world, seed=3)
        for video_id, (_, *evidence) in seen.items():
            scripted.knows(video_id, evidence)
        teachers = {"evidence": EvidenceTeacher(), "scripted": scripted}
        return {name: await _written(seen, teacher, frames) for name, teacher in teachers.items()}

    yield world, asyncio.run(chain())


async def _seen(frames: FrameSource) -> dict[str, tuple[Any, ...]]:
    """Video and evidence of every file."""
    found: dict[str, tuple[Any, ...]] = {}
    for file in scan(frames.root).files:
        [video] = (await ProbeStage(frames.pool, frames.root, frames.store, frames.media).run(
            Unit(file.video_id, payload=file))).records  # fmt: skip
        evidence = await EvidenceStage(frames, EvidenceSettings(shots=False)).run(Unit(file.video_id, (video,)))
        found[file.video_id] = video, *evidence.records
    return found


async def _written(seen: dict[str, tuple[Any, ...]], teacher: Any, frames: FrameSource) -> list[Query]:
    known: dict[str, tuple[Any, ...]] = {}
    for video_id, records in seen.items():
        output = await CaptionStage(teacher, frames, SAMPLING, CaptionSettings()).run(Unit(video_id, records))
        assert not output.dropped, "what the teacher says of a video is supported"
        known[video_id] = *records, *output.records
    made: list[Query] = []
    stage = QueryStage(teacher, frames, SAMPLING, QuerySettings(per_view=2, paraphrases=1))
    composed = ComposedStage(teacher, frames, SAMPLING, QuerySettings(per_view=2, paraphrases=1))
    ring = Ring(known)

    def neighbours(video_id: str) -> list[Unit]:
        return [Unit(other, known[other]) for other in ring.after(video_id)]

    counterfactuals = CounterfactualStage(
        teacher, [Judge(teacher, SAMPLING)], frames, SAMPLING, CounterfactualSettings(), neighbours
    )
    for video_id, records in known.items():
        twins = [
            twin_of(records, other)
            for other_id, other in known.items()
            if other_id != video_id and other_id[:-1] == video_id[:-1] and not video_id.startswith("talks")
        ]
        written = (await stage.run(Unit(video_id, records))).records
        changed = (await counterfactuals.run(Unit(video_id, (*records, *written)))).records
        edits = (await composed.run(Unit(video_id, (*records, *written, *changed, *twins)))).records
        made += [query for query in (*written, *changed, *edits) if isinstance(query, Query)]
    return made


@pytest.mark.parametrize("teacher", ["evidence", "scripted"])
def test_every_kind_is_written_and_every_facet_is_where_the_truth_is(rendered: Rendered, teacher: str) -> None:
    world, by_teacher = rendered
    queries = by_teacher[teacher]
    clips = {clip.video_id: clip for clip in world.clips}
    kinds = Counter(query.kind for query in queries if query.variant == "original")
    variants = Counter(query.variant for query in queries)
    print(f"\n{teacher}: kinds {dict(kinds)}, variants {dict(variants)}")
    assert set(kinds) == WITHOUT_A_MODEL
    assert {"original", "paraphrase", *TURNED} <= set(variants)
    assert_all_forms(queries)
    checked = 0
    for query in queries:
        assert query.facets, query.text
        for facet in query.facets:
            if facet.modality in ("ocr", "speech", "motion") and query.variant in ("original", "paraphrase"):
                checked += 1
                assert facet.span, (query.text, facet)
                assert overlapping(facet, clips[query.source_video_id or ""]), (query.text, facet)
    assert checked > 50


def assert_all_forms(queries: list[Query]) -> None:
    """Every view and style is met, and several lengths; a query is as long as it says, only an edit has no style."""
    written = [query for query in queries if query.variant == "original"]
    assert {query.view for query in written} == set(get_args(View)) - {"user", "sound"}  # nothing is heard in it
    assert {query.length for query in queries} >= {"short", "medium"}
    assert {query.style for query in written if query.kind != "composed"} == set(get_args(Register))
    for query in queries:
        assert query.length == length_class(query.text)


def test_a_composed_query_is_of_this_video_and_not_of_its_reference(rendered: Rendered) -> None:
    _, by_teacher = rendered
    composed = [query for query in by_teacher["evidence"] if query.kind == "composed" and query.variant == "original"]
    assert composed
    for query in composed:
        assert query.reference_video_id and query.reference_video_id != query.source_video_id
        assert query.text.startswith("the same, but ")
        print(f"{query.reference_video_id} -> {query.source_video_id}: {query.text}")
        [back] = [each for each in composed if each.source_video_id == query.reference_video_id]
        assert back.reference_video_id == query.source_video_id and back.text != query.text
        starts = [facet.span.start for facet in query.facets if facet.span]
        assert starts == sorted(starts), "what is said to follow does"


async def test_the_scripted_teacher_of_a_world(
    worlds: ModuleType, make_video: Callable[..., Video], no_frames: Any
) -> None:
    """All kinds, all true of their video, every facet where the truth has it; of paraphrases, a fifth of which ask for
    something else, the comparison keeps those that mean the same."""
    world = make_world(15, clips=60, scripts=("latin",))
    teacher = worlds.WorldTeacher(world, seed=3, paraphraser=0.2)
    captions = CaptionStage(teacher, no_frames, SAMPLING, CaptionSettings())
    stage = QueryStage(teacher, no_frames, SAMPLING, QuerySettings(per_view=2, paraphrases=1))
    composed = ComposedStage(teacher, no_frames, SAMPLING, QuerySettings(per_view=2, paraphrases=1))
    known: dict[str, tuple[Any, ...]] = {}
    clips = {clip.video_id: clip for clip in world.clips if worlds.items_of(clip)}
    for clip in clips.values():
        video = make_video(clip.video_id, duration_s=clip.frames / clip.form.rate)
        evidence = worlds.evidence_of(clip)
        [caption] = (await captions.run(Unit(clip.video_id, (video, *evidence)))).records
        known[clip.video_id] = video, *evidence, caption
    queries: list[Query] = []
    reasons: Counter[str] = Counter()
    for video_id, records in known.items():
        others = [
            each.video_id for each in clips[video_id].relations if each.kind == "chiral_twin" and each.video_id in known
        ]
        twins = [
            Twin.create(
                video_id=video_id, other_video_id=other, relation="chiral", caption=known[other][-1].text,
                differences=(Difference(here="this", there="that"),),
            )
            for other in others
        ]  # fmt: skip
        for output in (
            await stage.run(Unit(video_id, records)),
            await composed.run(Unit(video_id, (*records, *twins))),
        ):
            assert output.failure is None
            queries += output.records
            reasons.update(item.reason for item in output.dropped)
    kinds = Counter(query.kind for query in queries)
    paraphrases = [query for query in queries if query.variant == "paraphrase"]
    print(f"\nkinds {dict(kinds)}; {len(paraphrases)} paraphrases; dropped {dict(reasons)}")
    assert set(kinds) == WITHOUT_A_MODEL
    assert_all_forms(queries)
    for query in queries:
        assert teacher.true_of(query.source_video_id, query.text), query.text
        for facet in query.facets:
            if facet.modality == "metadata":
                assert facet.text == clips[query.source_video_id].meta.title and query.view == "metadata"
            else:
                assert facet.span and overlapping(facet, clips[query.source_video_id])
    assert reasons["meaning_changed"] > 10 and len(paraphrases) > 50
    texts = {query.query_id: query.text for query in queries}
    for query in paraphrases:
        parent, said = teacher.meaning[texts[query.parent_query_id]], teacher.meaning[query.text]
        assert (set(said.sought), said.without) == (set(parent.sought), parent.without)


def written(*texts: str, language: str = "en") -> QueriesReply:
    return QueriesReply(
        queries=tuple(
            QueryReply(text=text, language=language, view="speech", kind="event", style="plain", facets=())
            for text in texts
        )
    )


@pytest.fixture
def source(make_video: Callable[..., Video]) -> tuple[Video, Evidence, Caption]:
    video = make_video()
    speech = Evidence.create(
        video_id=video.video_id, kind="speech", text="Good morning", span=Span(start=0.5, end=1.5), extractor="srt"
    )
    caption = Caption.create(video_id=video.video_id, text="A greeting.", teacher=TeacherRef(backend="t", model="t"))
    return video, speech, caption


def words(*said: str) -> tuple[WordingReply, ...]:
    return tuple(WordingReply(number=number, text=text) for number, text in enumerate(said, 1))


def follows(*answers: bool) -> SameReply:
    told = [FollowsReply(number=number, reason="an order", follows=each) for number, each in enumerate(answers, 1)]
    return SameReply(pairs=tuple(told))


async def test_a_paraphrase_must_ask_for_the_same_both_ways(source: Any, scripted: Any, no_frames: Any) -> None:
    teacher = scripted(
        written("a greeting", "a song", "a bell"),
        ParaphraseReply(paraphrases=(*words("somebody greets", "a sad song", "A bell"),)),
        follows(True, False), follows(True, True),
    )  # fmt: skip
    stage = QueryStage(teacher, no_frames, SAMPLING, QuerySettings(per_view=3, paraphrases=1, views=("speech",)))
    output = await stage.run(Unit("v", source))
    greeting, song, bell, other = output.records
    assert (other.text, other.variant, other.parent_query_id) == ("somebody greets", "paraphrase", greeting.query_id)
    assert [(item.item, item.reason) for item in output.dropped] == [
        (bell.query_id, "duplicate"), (bell.query_id, "not_written"), (song.query_id, "meaning_changed"),
    ]  # fmt: skip
    assert "asks for more: an order" in output.dropped[2].detail
    ways = [request.inputs["pairs"] for request in teacher.batches[2]]
    assert [(pair["first"], pair["second"]) for pair in ways[0]] == [
        (pair["second"], pair["first"]) for pair in ways[1]
    ]


async def test_what_was_not_compared_is_not_kept(source: Any, scripted: Any, no_frames: Any) -> None:
    teacher = scripted(
        written("a greeting"), ParaphraseReply(paraphrases=words("somebody greets")),
        Refusal("timeout", "no answer"), follows(True),
    )  # fmt: skip
    stage = QueryStage(teacher, no_frames, SAMPLING, QuerySettings(paraphrases=1, views=("speech",)))
    output = await stage.run(Unit("v", source))
    assert [query.variant for query in output.records] == ["original"]
    assert output.failure and output.failure.reason == "timeout"


async def test_translations_are_kept_or_flagged(source: Any, scripted: Any, no_frames: Any) -> None:
    pytest.importorskip("py3langid", reason='needs pip install "hardcut[languages]"')
    teacher = scripted(
        written('someone says "Good morning" at 9', "the light goes out before the door is closed"),
        TranslateReply(
            translations=words('jemand sagt um 9 "Guten Morgen"', "das Licht geht aus, bevor die Tür schließt")
        ),
        follows(True, True), follows(True, True),
    )  # fmt: skip
    stage = QueryStage(teacher, no_frames, SAMPLING, QuerySettings(per_view=2, languages=("de",), views=("speech",)))
    output = await stage.run(Unit("v", source))
    kept = [query for query in output.records if query.language == "de"]
    assert [(query.variant, query.text) for query in kept] == [
        ("paraphrase", "das Licht geht aus, bevor die Tür schließt")
    ]
    [flagged] = output.dropped
    assert flagged.reason == "translation_flagged" and "lacks the quotation 'Good morning'" in flagged.detail


def test_forms_take_turns() -> None:
    asked: list[Any] = forms("v", "all", QuerySettings(per_view=3, max_words=15))
    assert [form["view"] for form in asked] == ["all"] * 3
    assert {form["length"] for form in asked} == {"short", "medium", "long"}
    assert {form["words"] for form in asked} == {8, 15}
    drawn: list[Any] = [forms(f"v{n}", "ocr", QuerySettings())[0] for n in range(40)]
    assert {form["style"] for form in drawn} == {"keywords", "plain", "question"}


@pytest.mark.parametrize(
    ("text", "length"),
    [("a b c d e f g h", "short"), ("a b c d e f g h i", "medium"), ("a, " * 20, "medium"), ("a " * 21, "long"),
     ("红球从左向右滚动", "short"), ("红球从左向右滚动之后门打开", "medium")],
)  # fmt: skip
def test_how_long_a_query_is(text: str, length: Length) -> None:
    assert length_class(text) == length


def test_the_evidence_teachers_forms_are_answered_by_their_video(
    worlds: ModuleType, make_video: Callable[..., Video], no_frames: Any
) -> None:
    """Keywords and questions say the same as plain queries: the judge without a model agrees to all of them."""
    world = make_world(33, clips=40, scripts=("latin",))
    stage = QueryStage(EvidenceTeacher(), no_frames, SAMPLING, QuerySettings(per_view=3))
    texts = []
    for clip in world.clips:
        video, evidence = make_video(clip.video_id, duration_s=clip.frames / clip.form.rate), worlds.evidence_of(clip)
        caption = Caption.create(video_id=clip.video_id, text="-", teacher=TeacherRef(backend="t", model="t"))
        lines = [
            EvidenceLine(id=item.evidence_id, kind=item.kind, text=item.text, confidence=item.confidence,
                         start=item.span and item.span.start, end=item.span and item.span.end)
            for item in evidence
        ]  # fmt: skip
        judge = EvidenceJudge(lines, None)
        for query in asyncio.run(stage.run(Unit(clip.video_id, (video, *evidence, caption)))).records:
            texts.append(query.text)
            assert judge.judge(query.text).margin > 0, query.text
    assert sum(text.endswith("?") for text in texts) > 20
    assert len({len(text.split()) for text in texts}) > 8


async def test_no_query_starts_twice_from_one_video(source: Any, scripted: Any, no_frames: Any) -> None:
    """What an earlier version of stage queries wrote stays in force, and is not written again."""
    video, speech, caption = source
    twins = [
        Twin.create(
            video_id=video.video_id, other_video_id=other, relation="edit", caption="A greeting.",
            differences=(Difference(here="this", there="that"),),
        )
        for other in ("a", "b", "c")
    ]  # fmt: skip
    before = Query.create(
        text="the same, but sung", view="caption", kind="composed", source_video_id=video.video_id,
        reference_video_id="a",
    )  # fmt: skip
    teacher = scripted(ComposeReply(text="the same, but louder", language="en", facets=()))
    stage = ComposedStage(teacher, no_frames, SAMPLING, QuerySettings(composed=2))
    output = await stage.run(Unit("v", (video, speech, caption, *twins, before)))
    assert [query.reference_video_id for query in output.records] == ["b"], "two of three twins, one of them is there"
    teacher = scripted()
    alone = ComposedStage(teacher, no_frames, SAMPLING, QuerySettings())
    assert await alone.run(Unit("v", (video, speech, *twins))) == Output(), "its caption failed, which is told there"
    both = before.model_copy(update={"reference_video_id": "b", "query_id": "q_other"})
    assert (
        await ComposedStage(teacher, no_frames, SAMPLING, QuerySettings(composed=2)).run(
            Unit("v", (video, speech, caption, *twins, before, both))
        )
        == Output()
    )
