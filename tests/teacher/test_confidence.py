"""Reading verdicts and margins, with the cases that the published code of RANKVIDEO gets wrong."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest

from hardcut.schemas.logistic import log_sigmoid, sigmoid
from hardcut.teacher.confidence import (
    TokenScore,
    confidence,
    first_token_answer,
    read_answer,
    reasoning_of,
    scored_answer,
)
from hardcut.teacher.protocol import Answer
from hardcut.teacher.spellings import SPELLINGS

YES_NO = ((b"yes", -0.1), (b" yes", -4.0), (b"no", -2.5), (b"No", -6.0), (b"maybe", -7.0))


def tokens(*texts: str | bytes, answer: int, top: tuple[tuple[bytes, float], ...] = YES_NO) -> list[TokenScore]:
    """Tokens of which the one at `answer` has alternatives of interest; all others list a misleading yes and no."""
    raw = [text.encode() if isinstance(text, str) else text for text in texts]
    lure = ((b"yes", -1.0), (b"no", -1.0))
    logprob = dict(top).get(raw[answer], -0.1)
    return [
        TokenScore(token, logprob if place == answer else -0.5, top if place == answer else lure)
        for place, token in enumerate(raw)
    ]


def lse(*values: float) -> float:
    return math.log(sum(math.exp(value) for value in values))


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("<answer>yes</answer>", "yes"),
        ("There is snow on the road.\n<answer>yes</answer>", "yes"),  # "snow" is not no
        ("I know nothing of a casino. <answer>yes</answer> That is no mistake, no.", "yes"),
        ("no no no <answer> YES. </answer>", "yes"),
        ("<ANSWER>\n**No**\n</ANSWER>", "no"),
        ("< answer >no!</ answer >", "no"),
        ("<answer>no</answer> wait <answer>yes</answer>", "yes"),
        ("<answer>yes</answer> wait <answer>no", None),  # cut after a change of mind
        ("The answer is yes", None),
        ("<answer>snow</answer>", None),
        ("<answer>yes and no</answer>", None),
        ("<answer>yesterday</answer>", None),
        ("<answer>да</answer>", None),
        ("<answer>да no</answer>", None),
        ("<answer>はい</answer>", None),
        ("<answer></answer>", None),
        ("", None),
        ("First, the sign is not", None),
    ],
)
def test_only_the_last_answer_tag_counts(text: str, verdict: str | None) -> None:
    answer = read_answer(text)
    assert (answer.verdict if answer else None) == verdict


def test_reasoning_is_what_comes_before_the_answer() -> None:
    assert reasoning_of("It snows.\n<answer>yes</answer> done") == "It snows."
    assert reasoning_of("cut in the mid") == "cut in the mid"
    assert reasoning_of("<think>It <answer>no</answer> snows.</think>\n<answer>yes</answer>") == (
        "It <answer>no</answer> snows."
    )


def test_both_words_shown_are_summed_over_their_spellings() -> None:
    text = "It is no snow. <answer>yes</answer>"
    found = tokens("It is no", " snow", ". ", "<answer>", "yes", "</answer>", answer=4)
    answer = read_answer(text, found)
    assert answer is not None
    assert answer.logprob_yes == pytest.approx(lse(-0.1, -4.0))
    assert answer.logprob_no == pytest.approx(lse(-2.5, -6.0))
    assert (answer.token_yes, answer.token_no) == (-0.1, -2.5), "the canonical pair, which a student ranks by"
    assert (answer.bound, answer.unseen_yes, answer.unseen_no) == (-7.0, 7, 7)
    result = confidence(answer)
    assert not result.exact, "seven spellings of no can each be as likely as the last token listed"
    assert result.logit_margin == pytest.approx(lse(-0.1, -4.0) - lse(-2.5, -6.0, *[-7.0] * 7))
    near = confidence(answer, exact_within=0.2)
    assert near.exact and near.logit_margin == pytest.approx(lse(-0.1, -4.0) - lse(-2.5, -6.0)), "where that is allowed"
    assert near.p_yes == pytest.approx(1 / (1 + math.exp(-(near.logit_margin or 0))))


def test_what_was_asked_for_by_id_is_exact() -> None:
    """Of a tokenizer with five spellings that are one token; one of them is ruled out, and marked as minus infinity."""
    asked = (b"yes", b" yes", b"Yes", b"no", b"No")
    listed = ((b"yes", -0.1), (b" yes", -4.0), (b"Yes", -9999.0), (b"no", -2.5), (b"No", -6.0))
    answer = scored_answer("yes", TokenScore(b"yes", -0.1, listed, asked))
    assert (answer.bound, answer.unseen_yes, answer.unseen_no) == (None, 0, 0)
    assert confidence(answer).exact
    lacking = scored_answer("yes", TokenScore(b"yes", -0.1, listed[:4], asked))
    assert lacking.unseen_no == 1 and confidence(lacking) == confidence(Answer("yes")), (
        "nothing bounds what was asked for and is not there"
    )


def test_an_answer_that_an_earlier_version_kept_is_read_as_before() -> None:
    assert confidence(Answer("yes", -0.1, -2.5)).exact
    assert confidence(Answer("no", None, -0.01, -26.0)).logit_margin == pytest.approx(-26.0 + math.log(9) + 0.01)


@pytest.mark.parametrize(
    ("pieces", "at"),
    [
        (("<", "ans", "wer", ">", "yes", "</", "answer", ">"), 4),  # tag split over tokens
        (("x<answer", ">\n", " Yes", ".", "</answer>"), 2),
        (("<answer>", "YES", "</answer>", "."), 1),
        (("<answer", ">yes", "</answer>"), 1),  # tag and word in one token
        (("<answer>", "yes</", "answer>"), 1),
        (("é€".encode()[:3], "é€".encode()[3:], "<answer>", "yes", "</answer>"), 3),  # tokens inside a character
    ],
)
def test_the_answer_is_found_by_its_place_in_the_bytes(pieces: tuple[str | bytes, ...], at: int) -> None:
    found = tokens(*pieces, answer=at)
    text = b"".join(token.token for token in found).decode()
    answer = read_answer(text, found)
    assert answer is not None and answer.verdict == "yes"
    assert answer.logprob_no == pytest.approx(lse(-2.5, -6.0))


def test_thoughts_that_the_server_cut_off_the_text_do_not_shift_the_answer() -> None:
    found = tokens("<think>no", "</think>", "<answer>", "yes", "</answer>", answer=3)
    answer = read_answer("<answer>yes</answer>", found)
    assert answer is not None and answer.logprob_no == pytest.approx(lse(-2.5, -6.0))


def test_a_word_missing_from_the_top_k_gives_a_bound_and_never_a_value() -> None:
    top = (*((f"w{i}".encode(), -8.0 - i) for i in range(19)), (b"no", -0.01))
    answer = read_answer("<answer>no</answer>", tokens("<answer>", "no", "</answer>", answer=1, top=top))
    near = pytest.approx(-0.01)
    assert answer == Answer("no", None, near, bound=-26.0, token_no=-0.01, unseen_yes=9, unseen_no=8)
    result = confidence(answer)
    assert not result.exact
    assert result.logit_margin == pytest.approx(-26.0 + math.log(9) + 0.01), "each of nine spellings may be as likely"
    assert result.p_yes is not None and result.p_yes < 1e-10


def test_no_margin_is_wrong_in_ten_thousand_distributions() -> None:
    """Over all spellings and 200 other tokens, of which a server lists the likeliest five or twenty, or all spellings
    that are one token by their ids. What is exact is the true margin; all else is a bound of it."""
    dice = random.Random(11)
    names = [spelling.encode() for spelling in SPELLINGS] + [f"w{n}".encode() for n in range(200)]
    bounded = exact = undecided = 0
    for _ in range(10_000):
        scale, spread = dice.choice((1.0, 3.0, 6.0)), dice.choice((0.1, 1.0, 3.0))
        word = dice.choice((-1, 1)) * dice.choice((0.0, 4.0, 12.0, 40.0))
        logits = [
            dice.gauss(word * (1 if n < 9 else -1), spread) if n < 18 else dice.gauss(0, scale) for n in range(218)
        ]
        total = math.log(sum(math.exp(logit) for logit in logits))
        logprobs = dict(zip(names, (logit - total for logit in logits), strict=True))
        drawn = max(names[:18], key=lambda name: logprobs[name] - math.log(dice.random()) * 0.3)
        how = dice.choice((5, 20, "by id"))
        single, asked = names[:18], None
        if how == "by id":
            single = sorted({b"yes", b"no", drawn, *dice.sample(names[:18], 6)})
            listed, asked = [(name, logprobs[name]) for name in single], tuple(single)
        else:
            listed = sorted(logprobs.items(), key=lambda item: -item[1])[:how]
        verdict: Any = drawn.strip().lower().decode()
        answer = scored_answer(verdict, TokenScore(drawn, logprobs[drawn], tuple(listed), asked))
        words = ([name for name in single if name.strip().lower() == word] for word in (b"yes", b"no"))
        yes, no = (lse(*(logprobs[name] for name in part)) for part in words)
        found = confidence(answer)
        if found.exact:
            assert asked or {name for name, _ in listed} >= set(single) or abs(word) == 40
            assert found.logit_margin == pytest.approx(yes - no, abs=1e-6)
            exact += 1
        elif found.logit_margin is None:
            undecided += 1
        else:
            bounded += 1
            assert (yes - no) * found.logit_margin >= 0 and abs(yes - no) >= abs(found.logit_margin) - 1e-9
    print(f"exact {exact}, bounds {bounded}, nothing known {undecided}")
    assert exact > 3000 and bounded > 2000


def test_a_sampled_word_below_the_top_k_bounds_nothing() -> None:
    top = ((b"maybe", -0.1), (b"perhaps", -3.0))
    found = [TokenScore(b"<answer>", 0.0), TokenScore(b"yes", -9.0, top), TokenScore(b"</answer>", 0.0)]
    answer = read_answer("<answer>yes</answer>", found)
    assert answer == Answer("yes", -9.0, None, bound=-3.0, token_yes=-9.0, unseen_yes=8, unseen_no=9)
    result = confidence(answer)
    assert (result.logit_margin, result.p_yes, result.exact) == (None, None, False)


def test_the_mark_for_minus_infinity_is_no_value() -> None:
    found = tokens("<answer>", "yes", "</answer>", answer=1, top=((b"yes", -0.1), (b"x", -5.0), (b"no", -9999.0)))
    answer = read_answer("<answer>yes</answer>", found)
    assert answer is not None and (answer.logprob_no, answer.bound) == (None, -5.0)


@pytest.mark.parametrize(
    "found",
    [
        [],
        tokens("<answer>", "y", "es", "</answer>", answer=1),  # no single token to read it from
        tokens("<answer>", "no", "</answer>", answer=1),  # tokens say something else than the text
    ],
)
def test_without_a_readable_token_the_verdict_stands_alone(found: list[TokenScore]) -> None:
    answer = read_answer("<answer>yes</answer>", found)
    assert answer == Answer("yes")
    assert confidence(answer).logit_margin is None and not confidence(answer).exact


@pytest.mark.parametrize("margin", [-800.0, -30.0, -1.0, 0.0, 1.0, 30.0, 800.0])
def test_sigmoids_neither_overflow_nor_lose_the_margin(margin: float) -> None:
    assert 0 <= sigmoid(margin) <= 1
    assert sigmoid(margin) + sigmoid(-margin) == pytest.approx(1)
    assert log_sigmoid(margin) - log_sigmoid(-margin) == pytest.approx(margin)


@pytest.mark.parametrize("logprob", [float("nan"), float("-inf"), -9999.0, 0.7])
def test_what_is_no_log_probability_is_not_shown(logprob: float) -> None:
    """A server's mark for 'none' or a fault of it is never taken for a probability, let alone for an exact one."""
    open_, close = TokenScore(b"<answer>", 0.0), TokenScore(b"</answer>", 0.0)
    for top in ((), ((b"yes", logprob), (b"no", -0.1))):
        answer = read_answer("<answer>yes</answer>", [open_, TokenScore(b"yes", logprob, top), close])
        assert answer is not None
        assert answer.logprob_yes is None
        assert not confidence(answer).exact
    assert first_token_answer([TokenScore(b"yes", logprob, ((b"yes", logprob), (b"no", -0.1)))]) is None
