"""Queries are written one view at a time, and what a negation denies is looked for before it is kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hardcut.engine.stage import Unit
from hardcut.media.frames import Frame, FrameSet
from hardcut.schemas.errors import ItemError
from hardcut.schemas.records import Caption, Evidence, Sampling, Span, TeacherRef, Video
from hardcut.schemas.settings import QuerySettings
from hardcut.synth.judges import Judge
from hardcut.synth.queries import QueryStage
from hardcut.synth.query_forms import KINDS, forms
from hardcut.teacher.prompts.reply_models import CheckReply, QueriesReply, QueryReply, VerdictReply
from hardcut.teacher.protocol import NOT_SENT, Refusal

SAMPLING = Sampling(max_frames=2)
VIEWS = ("caption", "speech", "all")
NOTHING = QueriesReply(queries=())
UNIT = "v"


class TwoFrames:
    """A store with two frames of every video."""

    sampling = "two"

    def leased(self, video: Video) -> Any:
        from contextlib import asynccontextmanager

        @asynccontextmanager
        async def lease() -> Any:
            frames = tuple(Frame(Path(f"{at}.jpg"), float(at), f"{at}" * 64) for at in range(2))
            yield FrameSet(frames, video.duration_s, True)

        return lease()


@pytest.fixture
def known(make_video: Callable[..., Video]) -> tuple[Any, ...]:
    video = make_video(UNIT)
    speech = Evidence.create(
        video_id=UNIT, kind="speech", text="the ferry leaves", span=Span(start=0.5, end=1.5), extractor="srt"
    )
    caption = Caption.create(video_id=UNIT, text="A harbour with boats.", teacher=TeacherRef(backend="t", model="t"))
    return video, speech, caption


def written(text: str, view: str, kind: str = "event", *denies: str) -> QueryReply:
    return QueryReply(text=text, language="en", view=view, kind=kind, style="plain", facets=(), denies=denies)


def replies(*queries: QueryReply) -> QueriesReply:
    return QueriesReply(queries=queries)


def stage(teacher: Any, checker: Any = None, **options: Any) -> QueryStage:
    settings = QuerySettings(views=VIEWS, per_view=3, **options)
    return QueryStage(teacher, TwoFrames(), SAMPLING, settings, checker and Judge(checker, SAMPLING))  # type: ignore[arg-type]


async def test_frames_go_with_the_caption_and_the_last_view_is_told_of_the_others(known: Any, scripted: Any) -> None:
    teacher = scripted(replies(written("a quay", "caption")), replies(written("a boat leaves", "speech")), NOTHING)
    output = await stage(teacher).run(Unit(UNIT, known))
    assert [query.text for query in output.records] == ["a quay", "a boat leaves"]
    [[caption, speech], [everything]] = teacher.batches
    assert [len(each.frames) for each in (caption, speech, everything)] == [2, 0, 0], "pictures are paid for once"
    assert [each.inputs["written"] for each in (caption, speech, everything)] == [[], [], ["a quay", "a boat leaves"]]


async def test_a_view_without_an_answer_fails_in_part_and_the_others_are_kept(known: Any, scripted: Any) -> None:
    no = Refusal("invalid_reply", "no JSON", "Sure!")
    output = await stage(scripted(no, replies(written("a boat leaves", "speech")), NOTHING)).run(Unit(UNIT, known))
    assert [query.text for query in output.records] == ["a boat leaves"]
    assert output.failure and output.failure.reason == "invalid_reply" and "view caption" in output.failure.detail


async def test_what_rests_on_an_answer_that_is_not_there_yet_is_not_asked(known: Any, scripted: Any) -> None:
    """In a batch: the view `all` is told of the others, and one check is of what all views deny."""
    waits, denied = (
        Refusal(NOT_SENT, "nothing is sent"),
        replies(written("a quay, no crane", "caption", "negation", "crane")),
    )
    for answers in ((denied, waits), (denied, NOTHING, waits)):
        teacher, checker = scripted(*answers), scripted()
        with pytest.raises(ItemError, match=NOT_SENT):
            await stage(teacher, checker).run(Unit(UNIT, known))
        assert sum(map(len, teacher.batches)) == len(answers) and not checker.batches


async def test_a_kind_that_the_view_cannot_bear_is_left_out(known: Any, scripted: Any) -> None:
    told = replies(written("somebody lies", "speech", "contradiction"), written("why it leaves", "speech", "cause"))
    output = await stage(scripted(NOTHING, told, NOTHING)).run(Unit(UNIT, known))
    assert [query.kind for query in output.records] == ["cause"]
    assert [each.reason for each in output.dropped] == ["kind_not_asked"]


NEGATIONS = replies(
    written("a quay without boats", "caption", "negation", "boats"),
    written("a quay without cranes", "caption", "negation", "cranes"),
    written("a quay without gulls or nets", "caption", "negation", "gulls", "nets"),
)


async def test_what_is_denied_is_looked_for_first(known: Any, scripted: Any) -> None:
    verdicts = [VerdictReply(number=1, supported=False, problem=""), VerdictReply(number=2, supported=True, problem=""),
                VerdictReply(number=3, supported=False, problem="")]  # fmt: skip
    teacher, checker = scripted(NEGATIONS, NOTHING, NOTHING), scripted(CheckReply(claims=tuple(verdicts)))
    output = await stage(teacher, checker).run(Unit(UNIT, known))
    assert [query.text for query in output.records] == ["a quay without cranes"]
    [[request]] = checker.batches
    assert [claim["text"].rpartition(": ")[2] for claim in request.inputs["claims"]] == ["cranes", "gulls", "nets"], (
        "what is told of the video is there: that needs no question"
    )
    assert len(request.frames) == 2, "it is looked for in the pictures"
    assert [(each.reason, each.detail.rpartition(": ")[0]) for each in output.dropped] == [
        ("denies_what_is_there", "'a quay without boats': boats"),
        ("denies_what_is_there", "'a quay without gulls or nets': gulls"),
    ]


@pytest.mark.parametrize("answer", [Refusal("timeout", "no answer"), CheckReply(claims=())])
async def test_what_nobody_looked_for_is_not_denied(answer: Any, known: Any, scripted: Any) -> None:
    teacher, checker = scripted(NEGATIONS, NOTHING, NOTHING), scripted(answer)
    output = await stage(teacher, checker).run(Unit(UNIT, known))
    assert not output.records
    assert [each.reason for each in output.dropped].count("not_checked") == 2
    assert bool(output.failure) == isinstance(answer, Refusal)


async def test_the_check_can_be_left_out(known: Any, scripted: Any) -> None:
    teacher, checker = scripted(NEGATIONS, NOTHING, NOTHING), scripted()
    output = await stage(teacher, checker, check_denied=False).run(Unit(UNIT, known))
    assert len(output.records) == 3 and not checker.batches


def test_kinds_and_searchers_are_drawn_by_digest() -> None:
    """Over a collection all are met, in about equal shares, and a video always gets its own."""
    options = QuerySettings()
    drawn: list[Any] = [forms(f"v{number}", "all", options)[0] for number in range(600)]
    assert drawn[7] == forms("v7", "all", options)[0]
    kinds = [form["kind"] for form in drawn]
    assert set(kinds) == set(KINDS["all"])
    assert all(0.5 < kinds.count(kind) * len(KINDS["all"]) / 600 < 1.6 for kind in KINDS["all"])
    assert len({(form["persona"], form["intent"]) for form in drawn}) > 90
