"""From a judge's reply to a verdict with its margin (RANKVIDEO, arXiv 2602.02444, teacher confidence). Pure functions.

The answer is what stands inside the last `<answer>…</answer>`; nothing else in a reply counts. The margin is
log p(yes) - log p(no) at the token that carries the answer. What a server did not show is never made up.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from hardcut.teacher.protocol import Answer

Word = Literal["yes", "no"]

_ANSWER = re.compile(rb"<\s*answer\s*>([^<]*)<\s*/\s*answer\s*>", re.IGNORECASE)
_OPEN = re.compile(rb"<\s*answer\s*>", re.IGNORECASE)
_WORD = re.compile(r"[\W_]*(yes|no)[\W_]*", re.IGNORECASE)
_FLOOR = -9999.0
"""Servers write this for minus infinity and for anything below it: a mark, not a value."""
_ROUNDING = 0.01
"""How far above 0 the rounding of a server can put a log-probability."""


@dataclass(frozen=True, slots=True)
class TokenScore:
    """One generated token as bytes (a token can be a part of a character), its log-probability, and the most likely
    tokens at its position with theirs, as the server listed them."""

    token: bytes
    logprob: float
    top: tuple[tuple[bytes, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Confidence:
    """The fields of a `TeacherLabel` that an answer decides."""

    logit_margin: float | None
    p_yes: float | None
    exact: bool


def read_verdict(text: str) -> Word | None:
    """Yes or no, or None where the last answer tag is missing, not closed, or holds anything else."""
    found = _find(text.encode("utf-8", "surrogatepass"))
    return found[0] if found else None


def reasoning_of(text: str) -> str:
    """What was said before the answer: the text up to the last `<answer>`, all of it where there is none."""
    data = text.encode("utf-8", "surrogatepass")
    opened = list(_OPEN.finditer(data))
    return data[: opened[-1].start() if opened else len(data)].decode("utf-8", "surrogatepass").strip()


def read_answer(text: str, tokens: Sequence[TokenScore] = ()) -> Answer | None:
    """The verdict with both log-probabilities, as far as the server showed them.

    `tokens` are those that were generated, in order. They need not begin where `text` does (a server may cut off the
    thoughts), but they must end in the same answer; otherwise, and where the answer is not one whole token, the verdict
    stands without numbers. Each log-probability sums all shown spellings of its word (`yes`, ` Yes`, `YES`, …).
    Returns None where there is no verdict.
    """
    data = text.encode("utf-8", "surrogatepass")
    found = _find(data)
    if found is None:
        return None
    verdict = found[0]
    generated = b"".join(token.token for token in tokens)
    at = _answer_token(tokens, verdict, found if generated == data else _find(generated))
    if at is None:
        return Answer(verdict)
    shown = [(token, logprob) for token, logprob in at.top if _is_value(logprob)]
    lowest = min((logprob for _, logprob in shown), default=None)
    if all(token != at.token for token, _ in shown) and _is_value(at.logprob):
        shown.append((at.token, at.logprob))  # a sampled token can rank below the top k
    return _answer(verdict, shown, lowest)


def first_token_answer(tokens: Sequence[TokenScore]) -> Answer | None:
    """The answer where the prompt ended in `<answer>`: the likelier word at the first token, whichever token was drawn.
    None where not both words are shown."""
    shown = [(token, logprob) for token, logprob in tokens[0].top if _is_value(logprob)] if tokens else []
    yes, no = _mass(shown, "yes"), _mass(shown, "no")
    if yes is None or no is None:
        return None
    return _answer("yes" if yes > no else "no", shown, None)


def _answer(verdict: Word, shown: Sequence[tuple[bytes, float]], lowest: float | None) -> Answer:
    yes, no = _mass(shown, "yes"), _mass(shown, "no")
    bound = lowest if yes is None or no is None else None
    exactly = dict(reversed(shown))
    return Answer(verdict, yes, no, bound, token_yes=exactly.get(b"yes"), token_no=exactly.get(b"no"))


def confidence(answer: Answer) -> Confidence:
    """Margin and probability of an answer.

    With one word not shown the margin is a bound: the true one is at least that far from zero on the same side. It is
    None where even that cannot be said.
    """
    yes, no = answer.logprob_yes, answer.logprob_no
    if yes is not None and no is not None:
        return Confidence(yes - no, sigmoid(yes - no), exact=True)
    known = yes if yes is not None else no
    if known is None or answer.bound is None or known < answer.bound:
        return Confidence(None, None, exact=False)
    margin = known - answer.bound if yes is not None else answer.bound - known
    return Confidence(margin, sigmoid(margin), exact=False)


def sigmoid(margin: float) -> float:
    """1 / (1 + exp(-margin)) without overflow."""
    if margin >= 0:
        return 1 / (1 + math.exp(-margin))
    return math.exp(margin) / (1 + math.exp(margin))


def log_sigmoid(margin: float) -> float:
    """log sigmoid(margin) without loss of digits at either end."""
    return -math.log1p(math.exp(-margin)) if margin >= 0 else margin - math.log1p(math.exp(margin))


def _find(data: bytes) -> tuple[Word, int] | None:
    """The answer and the byte at which its word begins."""
    answers = list(_ANSWER.finditer(data))
    if not answers or _OPEN.search(data, answers[-1].end()):
        return None
    inside = answers[-1][1].decode("utf-8", "surrogateescape")
    word = _WORD.fullmatch(inside)
    if word is None:
        return None
    begins = answers[-1].start(1) + len(inside[: word.start(1)].encode("utf-8", "surrogateescape"))
    return ("yes" if word[1].lower() == "yes" else "no"), begins


def _answer_token(tokens: Sequence[TokenScore], verdict: Word, found: tuple[Word, int] | None) -> TokenScore | None:
    """The token in which the answer's word, `found` in the tokens' bytes, begins, if it is the whole word (with space
    or punctuation)."""
    if found is None or found[0] != verdict:
        return None
    end = 0
    for token in tokens:
        end += len(token.token)
        if end > found[1]:
            return token if _spelled(token.token) == verdict else None
    return None


@lru_cache(maxsize=4096)
def _spelled(token: bytes) -> Word | None:
    """The word that a token spells by itself."""
    word = _WORD.fullmatch(token.decode("utf-8", "replace"))
    if word is None:
        return None
    return "yes" if word[1].lower() == "yes" else "no"


def _is_value(logprob: float) -> bool:
    """Whether it is the log of a probability: no mark, no infinity, no NaN (for which this is false), not above 0."""
    return _FLOOR < logprob <= _ROUNDING


def _mass(shown: Sequence[tuple[bytes, float]], word: Word) -> float | None:
    """log of the summed probability of a word's spellings; None where none is shown."""
    values = [logprob for token, logprob in shown if _spelled(token) == word]
    if not values:
        return None
    highest = max(values)
    return min(0.0, highest + math.log(sum(math.exp(value - highest) for value in values)))
