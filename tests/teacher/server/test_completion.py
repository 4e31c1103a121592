"""What a server answers: read as far as it is looked at, and refused with the place where it is something else."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from hardcut.schemas.records import Tokens
from hardcut.teacher.server.completion import Completion, Models, Tokenized, Unreadable, Unusable, billed
from hardcut.teacher.spellings import Spellings


def answer(*tokens: dict[str, Any], **more: Any) -> bytes:
    message = {"role": "assistant", "content": "".join(token["token"] for token in tokens)}
    choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": {"content": list(tokens)}}
    return json.dumps({"id": "x", "object": "chat.completion", "choices": [choice], **more}).encode()


def token(text: str, logprob: float | None = -0.1, **more: Any) -> dict[str, Any]:
    return {"token": text, "logprob": logprob, **more}


def test_a_token_is_its_bytes_where_the_server_tells_them() -> None:
    read = Completion.read(
        answer(token("\ufffd", bytes=[0xC3]), token("\ufffd", bytes=[0xA9]), token("yes", bytes=None))
    )
    assert [each.data for each in read.generated] == [b"\xc3", b"\xa9", b"yes"]


def test_minus_infinity_is_null_where_json_has_no_word_for_it() -> None:
    top = [token("yes", -0.1), token("no", None)]
    score = Completion.read(answer(token("yes", -0.1, top_logprobs=top))).score(0, None)
    assert score.top == ((b"yes", -0.1), (b"no", -math.inf))


@pytest.mark.parametrize("name", ["reasoning", "reasoning_content"])
def test_thoughts_that_a_server_hands_over_apart_are_reasoning(name: str) -> None:
    data = json.loads(answer(token("so <answer>"), token("yes"), token("</answer>")))
    data["choices"][0]["message"] |= {"reasoning": None, "reasoning_content": None, name: "It shows a train."}
    assert Completion.read(json.dumps(data).encode()).reasoning() == "It shows a train.\nso"


def test_alternatives_are_looked_at_where_they_are_asked_for_alone() -> None:
    broken = token("so", top_logprobs=[{"token": 1}])
    read = Completion.read(answer(broken, token("no", top_logprobs=[token("no"), token("yes", -3)])))
    assert read.score(1, None).top == ((b"no", -0.1), (b"yes", -3.0))
    assert read.score(0, Spellings.from_tokens({1: b"yes", 2: b"no"})).top == ()
    with pytest.raises(Unreadable, match=r"Expected `str`, got `int` - at `\$\[0\]\.token`"):
        read.score(0, None)


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        ({}, None),
        ({"usage": None}, None),
        ({"usage": {}}, None),
        ({"usage": {"prompt_tokens": 0, "completion_tokens": 0}}, None),
        ({"usage": {"prompt_tokens": 7}}, None),
        ({"usage": {"prompt_tokens": 7, "completion_tokens": 0}}, None),
        ({"usage": {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9}}, Tokens(prompt=7, completion=2)),
        (
            {"usage": {"prompt_tokens": 7, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 5}}},
            Tokens(prompt=7, completion=2, cached=5),
        ),
        (
            {"usage": {"prompt_tokens": 7, "completion_tokens": 2, "prompt_tokens_details": None}},
            Tokens(prompt=7, completion=2),
        ),
    ],
)
def test_what_was_taken(usage: dict[str, Any], tokens: Tokens | None) -> None:
    """None where nobody says: no prompt is of no tokens, and no text."""
    assert Completion.read(answer(token("a"), **usage)).tokens() == tokens


@pytest.mark.parametrize(
    ("data", "where"),
    [
        (b"<html>proxy error</html>", "malformed"),
        (b"", "truncated"),
        (b'{"choices":[]}', r"\$\.choices"),
        (b'{"choices":[{"message":{"content":"a"}}', "truncated"),
        (b'{"choices":[{"message":"a"}]}', r"choices\[0\]\.message"),
        (b'{"error":{"message":"no"}}', "choices"),
        (answer(token("a", bytes=[256])), "bytes"),
        (answer(token("a", math.nan)), "malformed"),
        (b'{"choices":[{"message":{"content":"\xff"}}]}', "UTF-8|utf-8"),
    ],
)
def test_what_is_no_completion_says_where(data: bytes, where: str) -> None:
    with pytest.raises(Unreadable, match=where):
        Completion.read(data)


@pytest.mark.parametrize("count", ["1" + "0" * 30, "-1", "12.5", "100.0", '"7"', "true", "[]"])
@pytest.mark.parametrize("name", ["prompt_tokens", "completion_tokens"])
def test_a_count_that_cannot_be_makes_a_reply_unusable(name: str, count: str) -> None:
    usage = f'{{"prompt_tokens": 7, "completion_tokens": 2, "{name}": {count}}}'
    data = answer(token("a"))[:-1] + f',"usage":{usage}}}'.encode()
    with pytest.raises(Unusable, match=name):
        Completion.read(data).tokens()
    assert billed(data) is None


@pytest.mark.parametrize("data", [answer(token("a", bytes=[256])), answer(token("a", math.nan))])
def test_a_reply_of_a_model_that_cannot_be_read_is_told_from_what_is_none(data: bytes) -> None:
    """It is paid for, and asked for again it would be paid again."""
    with pytest.raises(Unusable):
        Completion.read(data)


def test_what_an_unreadable_reply_took() -> None:
    assert billed(b'{"usage":{"prompt_tokens":7,"completion_tokens":2}}') == Tokens(prompt=7, completion=2)
    assert billed(b"<html>") is billed(b'{"choices":[]}') is None


def test_other_answers() -> None:
    assert Tokenized.read(b'{"tokens":[1,2],"count":2}').tokens == [1, 2]
    assert [each.id for each in Models.read(b'{"object":"list","data":[{"id":"m","object":"model"}]}').data] == ["m"]
    with pytest.raises(Unreadable):
        Tokenized.read(b'{"tokens":["a"]}')
    with pytest.raises(Unreadable):
        Models.read(b'{"data":null}')
