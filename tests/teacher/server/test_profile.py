"""What a server can do: how it is learned, kept and told, and what comes as a stream."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from hardcut.schemas.errors import MissingDependency, UsageError
from hardcut.schemas.records import Sampling
from hardcut.teacher.cached import CachedTeacher
from hardcut.teacher.confidence import confidence
from hardcut.teacher.needs import Need, need_of
from hardcut.teacher.prompts.reply_models import CaptionReply
from hardcut.teacher.protocol import Reply, Request
from hardcut.teacher.server.completion import Completion, Unreadable
from hardcut.teacher.server.dialect import Dialect
from hardcut.teacher.server.openai import OpenAITeacher
from hardcut.teacher.server.profile import Profile, Profiles
from hardcut.teacher.server.stream import assembled

ALL = (Need("captions", True), Need("judges", True))
TEXT = (Need("captions", False), Need("judges", False))


def events(*chunks: dict[str, Any] | str) -> bytes:
    return b"".join(
        b"data: " + (chunk if isinstance(chunk, str) else json.dumps(chunk)).encode() + b"\r\n\r\n" for chunk in chunks
    )


def delta(text: str, **more: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {"content": text}, **more}]}


def token(text: str) -> dict[str, Any]:
    return {"content": [{"token": text, "logprob": -0.5, "top_logprobs": [{"token": text, "logprob": -0.5}]}]}


def test_a_stream_is_put_together_with_its_tokens_and_its_usage() -> None:
    data = b": a comment\n\nevent: message\n" + events(
        {"choices": [], "prompt_filter_results": []},
        {"choices": [{"index": 0, "delta": {"role": "assistant", "reasoning_content": "Hm. "}}]},
        {"choices": [{"index": 0, "delta": {"reasoning_content": "So."}}], "usage": {"prompt_tokens": 7}},
        delta("<answer>", logprobs=token("<answer>")),
        {"choices": [{"index": 1, "delta": {"content": "another choice"}}]},
        delta("ja ü", logprobs=token("ja ü")),
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
        {"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 3}},
        "[DONE]",
        delta("after the end"),
    )
    read = Completion.read(assembled(data))
    assert read.text == "<answer>ja ü" and read.reasoning() == "Hm. So."
    assert [each.token for each in read.generated] == ["<answer>", "ja ü"] and read.scores_words(1)
    tokens = read.tokens()
    assert tokens and (tokens.prompt, tokens.completion) == (7, 3)
    assert read.answered() == read.text and read.thoughts_field == "reasoning_content"


def test_what_is_no_stream_is_left_as_it_is() -> None:
    whole = b' {"choices": [{"message": {"content": "x"}}]}'
    assert assembled(whole) == whole


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (events(delta("half a")), "broke off"),
        (events("[DONE]"), "broke off"),
        (events(delta("a"), '{"choices": [{"del'), "a chunk of its stream"),
        (events(delta("a"), {"error": {"message": "out of memory"}}), "out of memory"),
        (b"<html>proxy error</html>", "broke off"),
    ],
)
def test_a_stream_without_an_end_is_no_reply(data: bytes, words: str) -> None:
    with pytest.raises(Unreadable, match=words):
        assembled(data)


def test_a_profile_is_kept_by_model_and_address(tmp_path: Path) -> None:
    profiles = Profiles(tmp_path / "profiles")
    assert profiles.find("m", "http://host/v1") is None
    learned = Profile(Dialect(form="loose", most_top=5), True, "top", False, True, "reasoning")
    profiles.keep("m", "http://Host:80/v1/", learned)
    assert profiles.find("m", "http://host/v1") == learned, "one spelling of an address"
    assert profiles.find("other", "http://host/v1") is None and profiles.find("m", "http://host:81/v1") is None
    (file,) = (tmp_path / "profiles").iterdir()
    for broken in ("", "{", '{"model": "m", "address": "a", "profile": {"logprobs": "some"}}'):
        file.write_text(broken)
        assert profiles.find("m", "http://host/v1") is None, "it is asked again"


def test_a_profile_in_one_line() -> None:
    learned = Profile(
        Dialect(form="object", most_top=5, parts=False, stream=True, seed=False), True, "top", False, True
    )
    assert str(learned) == (
        "any JSON object; log-probabilities: the 5 likeliest; text only; counts tokens; max_tokens; content as a "
        "string; a stream only; no seed"
    )
    assert str(Profile()).startswith("structured output not asked; log-probabilities: not asked; pictures not asked")


def teacher_at(server: Any, folder: Path, needs: Any = TEXT, **options: Any) -> OpenAITeacher:
    more = {"attempts": 2, "backoff_s": 0.01, **options}
    return OpenAITeacher("some/model", server.url, profiles=Profiles(folder), needs=needs, **more)


LINES = {
    "openai": "JSON Schema that need not hold; log-probabilities: the 20 likeliest; takes pictures; counts tokens; "
    "max_tokens",
    "openai-reasoning": "JSON Schema that need not hold; log-probabilities: none; takes pictures; counts tokens; "
    "max_completion_tokens; no temperature, stop; thinks unseen",
    "vllm": "JSON Schema; log-probabilities: by token id; takes pictures; counts tokens; keeps pictures; max_tokens",
    "sglang": "JSON Schema; log-probabilities: the 20 likeliest; takes pictures; counts tokens; max_tokens",
    "llama.cpp": "JSON Schema; log-probabilities: the 20 likeliest; text only; counts tokens; max_tokens",
    "ollama": "JSON Schema; log-probabilities: none; takes pictures; counts tokens; max_tokens",
    "ollama-text": "JSON Schema; log-probabilities: the 20 likeliest; text only; counts tokens; max_tokens",
    "litellm": "JSON Schema; log-probabilities: the 20 likeliest; takes pictures; counts tokens; max_tokens; no seed",
    "gemini": "JSON Schema; log-probabilities: none; takes pictures; counts tokens; max_tokens; no seed",
    "azure": "JSON Schema that need not hold; log-probabilities: the 5 likeliest; takes pictures; counts tokens; "
    "max_tokens",
    "stream-only": "JSON Schema; log-probabilities: the 20 likeliest; takes pictures; counts tokens; max_tokens; a "
    "stream only",
}


@pytest.mark.parametrize("name", LINES)
async def test_doctor_says_what_each_kind_of_server_can_do(
    teacher_server: Any, manners: dict[str, Any], tmp_path: Path, name: str
) -> None:
    """In one line, and few small questions are answered, so that no more is paid for."""
    teacher_server.manner = manners[name]
    teacher = teacher_at(teacher_server, tmp_path, ALL)
    try:
        told = await teacher.ping()
    except UsageError as error:
        told = str(error)
    finally:
        await teacher.close()
    kept = Profiles(tmp_path).find("some/model", teacher_server.url)
    assert kept and str(kept) == LINES[name]
    can = kept.pictures and kept.logprobs != "none"
    assert told == f"some/model at {teacher_server.url}: {LINES[name]}" if can else "name another" in told
    assert len(teacher_server.small) <= {"vllm": 4, "sglang": 4, "ollama": 2}.get(name, 10)
    assert teacher_server.total_asked == 0


async def test_what_was_learned_holds_for_the_next_teacher(
    teacher_server: Any, manners: dict[str, Any], inputs: dict[str, Any], tmp_path: Path
) -> None:
    teacher_server.manner = manners["azure"]
    writes = Request("caption", inputs["caption"], Sampling(), reply=CaptionReply)
    judges = Request("judge", inputs["judge"], Sampling())
    asked = []
    for _ in range(2):
        teacher = teacher_at(teacher_server, tmp_path)
        outcomes = await CachedTeacher(teacher).complete([writes]) + await CachedTeacher(teacher).complete([judges])
        await teacher.close()
        assert all(isinstance(each, Reply) for each in outcomes)
        asked.append(len(teacher_server.small))
    assert asked[0] == asked[1] and teacher_server.total_asked == teacher_server.total_served == 4


async def test_a_role_that_was_not_declared_is_held_against_the_server_when_it_is_asked(
    teacher_server: Any, manners: dict[str, Any], inputs: dict[str, Any], tmp_path: Path
) -> None:
    teacher_server.manner = manners["gemini"]
    teacher = teacher_at(teacher_server, tmp_path, ())
    (written,) = await CachedTeacher(teacher).complete(
        [Request("caption", inputs["caption"], Sampling(), reply=CaptionReply)]
    )
    assert isinstance(written, Reply)
    with pytest.raises(UsageError, match=r"judges: some/model at .* gives no log-probabilities"):
        await CachedTeacher(teacher).complete([Request("judge", inputs["judge"], Sampling())])
    await teacher.close()
    assert teacher_server.total_asked == 1


async def test_those_who_ask_at_once_learn_together(
    teacher_server: Any, manners: dict[str, Any], inputs: dict[str, Any], tmp_path: Path
) -> None:
    """Also that it will not do; once nobody asks any more it is asked again."""
    teacher_server.manner = manners["gemini"]
    teacher = teacher_at(teacher_server, tmp_path)
    judgment = Request("judge", inputs["judge"], Sampling())
    asked = []
    for _ in range(2):
        ends = await asyncio.gather(
            *(CachedTeacher(teacher).complete([judgment]) for _ in range(5)), return_exceptions=True
        )
        assert {type(end) for end in ends} == {UsageError}
        asked.append(len(teacher_server.small))
    assert asked[1] == 2 * asked[0] <= 10 and teacher_server.total_asked == 0
    teacher_server.manner = manners["vllm"]
    replies = await asyncio.gather(*(CachedTeacher(teacher).complete([judgment]) for _ in range(5)))
    await teacher.close()
    assert all(isinstance(reply, Reply) for [reply] in replies) and len(teacher_server.small) == asked[1] + 2


async def test_labels_without_a_margin_are_taken_where_that_is_said(
    teacher_server: Any, manners: dict[str, Any], inputs: dict[str, Any], tmp_path: Path
) -> None:
    for name in ("gemini", "ollama"):
        teacher_server.manner = manners[name]
        teacher = teacher_at(teacher_server, tmp_path / name, TEXT, without_margin=True)
        (judged,) = await CachedTeacher(teacher).complete([Request("judge", inputs["judge"], Sampling())])
        await teacher.close()
        assert isinstance(judged, Reply) and judged.answer
        told = confidence(judged.answer)
        assert told.logit_margin is None and told.p_yes is None and not told.exact


async def test_a_server_that_answers_nothing_but_errors_is_not_said_to_lack_anything(
    teacher_server: Any, inputs: dict[str, Any], tmp_path: Path
) -> None:
    teacher_server.fail_always(500)
    teacher = teacher_at(teacher_server, tmp_path)
    judgment = Request("judge", inputs["judge"], Sampling())
    with pytest.raises(MissingDependency, match="answered none"):
        await CachedTeacher(teacher).complete([judgment])
    assert Profiles(tmp_path).find("some/model", teacher_server.url) is None, "nothing is kept of it"
    assert teacher_server.total_asked == 0
    teacher_server.always = None
    (judged,) = await CachedTeacher(teacher).complete([judgment])
    await teacher.close()
    assert isinstance(judged, Reply) and judged.answer and confidence(judged.answer).exact


def test_a_task_of_others_is_a_role_by_its_own_name() -> None:
    headline: Any = "headline"
    assert need_of(Request(headline, {}, Sampling())) == Need("headline", False)
    assert need_of(Request("refine", {}, Sampling())) == Need("check", False)
