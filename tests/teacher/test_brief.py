"""What a model is told of a video: chosen, short, within a limit, and what it cites leads back to the evidence."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hardcut.engine.reply_cache import ReplyCache
from hardcut.media.frames import Frame
from hardcut.schemas.records import Sampling, TeacherRef
from hardcut.schemas.teachers import TeacherSettings
from hardcut.teacher.brief import MOST_TOKENS, Brief, Briefing, brief_evidence
from hardcut.teacher.cached import CachedTeacher
from hardcut.teacher.function import FunctionRequest, register
from hardcut.teacher.prompts.render import Prompts
from hardcut.teacher.prompts.reply_models import CaptionReply, ClaimReply
from hardcut.teacher.protocol import Refusal, Reply, Request
from hardcut.teacher.registry import open_teacher
from hardcut.teacher.token_estimate import text_tokens

FRAME = Frame(Path("0.jpg"), 0.5, "0" * 64)
TEACHER = TeacherRef(backend="test", model="test")


def line(number: int, kind: str, text: str, start: float | None = None, end: float | None = None, **more: Any) -> Any:
    given = {"id": f"e_{number:020x}", "kind": kind, "text": text, "start": start, "end": end, "confidence": None}
    return {**given, **more}


def talk(minutes: float = 20) -> list[dict[str, Any]]:
    """A talk at 150 words a minute in cues of 3.5 s, its slides read, and what else is found in such a video."""
    found: list[dict[str, Any]] = [line(0, "metadata", "title: Rivers and their towns")]
    for number in range(int(minutes * 60 / 3.5)):
        words = " ".join(f"{word}{(number * 7 + place) % 97}" for place, word in enumerate(("the river town",) * 3))
        found.append(line(1000 + number, "speech", words, 3.5 * number, 3.5 * number + 3.4))
    for number in range(int(minutes * 2)):
        start = 30.0 * number
        found.append(line(3000 + number, "ocr", f"Slide {number}: floods", start, start + 30, confidence=0.98765))
        found.append(line(4000 + number, "ocr", "RIVER INSTITUTE", start, start + 30, confidence=0.99))
        found.append(line(5000 + number, "shot", f"shot {number}", start, start + 30))
        found.append(line(6000 + number, "colour", "mostly white, with grey", start, start + 30, confidence=0.7))
        found.append(line(7000 + number, "motion", "the camera stands still", start, start + 4, confidence=0.97))
    return sorted(found, key=lambda each: -1.0 if each["start"] is None else each["start"])


def asked(lines: list[Any], task: Any = "caption", **inputs: Any) -> Request:
    video = {"duration_s": 1200.0, "looked_s": 96.0}
    given = {"video": video, "evidence": lines, "max_words": 80, **inputs}
    return Request(task, given, Sampling(), (FRAME,), CaptionReply)


def tokens(request: Request) -> int:
    prompt = Prompts().fill(request)
    return text_tokens(prompt.user)


def test_a_talk_of_20_minutes_is_told_with_all_its_words_within_the_limit() -> None:
    request = asked(talk())
    short = Briefing().brief(request).request
    before, after = tokens(request), tokens(short)
    assert before > 22_000
    assert after < MOST_TOKENS + 200
    said = " ".join(each["text"] for each in short.inputs["evidence"] if each["kind"] == "speech")  # type: ignore
    assert said == " ".join(each["text"] for each in talk() if each["kind"] == "speech")


def test_short_ids_chosen_kinds_and_no_empty_fields() -> None:
    lines = [
        line(1, "metadata", "title: A"),
        line(2, "colour", "mostly red", 0, 1),
        line(3, "shot", "shot 1 of 2", 0, 1),
        line(4, "ocr", "EXIT", 0.1234, 2.345, confidence=0.98765),
    ]
    seeing = brief_evidence(lines, sees=True)
    assert seeing.lines == [
        {"id": "a00", "kind": "metadata", "text": "title: A"},
        {"id": "a01", "kind": "ocr", "text": "EXIT", "start": 0.1, "end": 2.3, "confidence": 0.99},
    ]
    assert seeing.ids == {"a00": (lines[0]["id"],), "a01": (lines[3]["id"],)}
    blind = brief_evidence(lines, sees=False)
    assert [each["kind"] for each in blind.lines] == ["metadata", "colour", "shot", "ocr"]  # type: ignore
    assert len(brief_evidence([line(n, "ocr", f"t{n}") for n in range(5000)], sees=True, most_tokens=10**9).ids) == 5000


def test_claims_are_shown_by_short_ids_and_citations_lead_back() -> None:
    lines = [line(1, "speech", "Good morning", 0, 1), line(2, "colour", "mostly red", 0, 1), line(3, "ocr", "EXIT")]
    first, colour, last = (each["id"] for each in lines)
    claims = [{"number": 1, "text": "A door.", "evidence": [last, colour, "nobody"]}]
    brief = Briefing().brief(asked(lines, "check", claims=claims))
    assert brief.request.inputs["claims"] == [{"number": 1, "text": "A door.", "evidence": ["a01"]}]
    said = ClaimReply(text="A door.", start=None, end=None, evidence=("a01", "a00", "b99"))
    reply = Reply("", TEACHER, parsed=CaptionReply(short="A door.", claims=(said,)))
    restored = brief.restored(reply)
    assert isinstance(restored.parsed, CaptionReply)
    assert restored.parsed.claims[0].evidence == (last, first, "b99"), "what is unknown stays, and is refused later"
    assert restored.parsed.short == "A door."
    refused = Refusal("invalid_reply", "no", None)
    assert brief.restored(refused) is refused


def test_a_passage_that_was_joined_stands_for_all_its_lines() -> None:
    lines = [line(n, "speech", f"word {n}", n, n + 0.9) for n in range(40)]
    told = brief_evidence(lines, sees=True, most_tokens=450)
    assert 1 < len(told.lines) < 40
    assert [each for ids in told.ids.values() for each in ids] == [each["id"] for each in lines]
    assert told.full(["a00"])[:2] == (lines[0]["id"], lines[1]["id"])
    pause = [line(1, "speech", "before", 0, 1), line(2, "speech", "after", 9, 10)]
    assert len(brief_evidence(pause, sees=True, most_tokens=1).lines) <= 2


@pytest.mark.parametrize("most", [300, 1000, 4000])
def test_the_limit_holds_for_an_hour(most: int) -> None:
    told = brief_evidence(talk(60), sees=True, most_tokens=most)
    assert text_tokens(Prompts().fill(asked(told.lines)).user) < 1.1 * most + 200
    assert told.lines == brief_evidence(talk(60), sees=True, most_tokens=most).lines


def test_the_same_text_is_told_once() -> None:
    lines = [line(n, "ocr", "RIVER INSTITUTE", 10.0 * n, 10.0 * n + 5) for n in range(50)]
    [told] = brief_evidence(lines, sees=True, most_tokens=500).lines
    assert told == {"id": "a00", "kind": "ocr", "text": "RIVER INSTITUTE (50 times)", "start": 0.0, "end": 495.0}


def test_a_video_of_an_earlier_version_is_told_as_that_version_told_it() -> None:
    """Its replies were paid for: not a letter of the prompt may change."""
    request = asked(talk(2), claims=[{"number": 1, "text": "x", "evidence": ["y"]}])
    old = replace(request, inputs={**request.inputs, "video": {"duration_s": 1200.0}})
    assert Briefing().brief(old) == Brief(old)
    assert Prompts().fill(Briefing().brief(old).request) == Prompts().fill(old)


def test_requests_that_go_out_together_share_their_evidence() -> None:
    lines = talk(1)
    briefing = Briefing()
    first, second = (briefing.brief(asked(lines, "judge", query=query)).request for query in ("a", "b"))
    assert first.inputs["evidence"] is second.inputs["evidence"]


async def test_a_teachers_citations_lead_back_also_out_of_the_cache(tmp_path: Path) -> None:
    lines = [line(1, "speech", "Good morning", 0, 1), line(2, "ocr", "EXIT", 0, 1)]
    request = replace(asked(lines), frames=())
    seen: list[FunctionRequest] = []

    def answer(given: FunctionRequest) -> dict[str, Any]:
        seen.append(given)
        claim = {"text": "A sign says EXIT.", "start": None, "end": None, "evidence": ["a01"]}
        return {"short": "A sign.", "claims": [claim]}

    register("cites", answer)
    teacher = open_teacher(TeacherSettings(spec="function:cites"))
    assert isinstance(teacher, CachedTeacher)
    with ReplyCache(tmp_path / "replies.sqlite") as replies:
        keeping = teacher.lent(replies, None)
        first, [second], [kept] = (
            (await keeping.complete([request]))[0], await keeping.complete([request]), keeping.stored([request]),
        )  # fmt: skip
    for reply in (first, second, kept):
        assert isinstance(reply, Reply) and isinstance(reply.parsed, CaptionReply)
        assert reply.parsed.claims[0].evidence == (lines[1]["id"],)
    [only] = seen
    assert '"id": "a01"' in only.prompt.user and lines[1]["id"] not in only.prompt.user
