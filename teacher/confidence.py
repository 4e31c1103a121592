"""From a judge's reply to a verdict with its margin (RANKVIDEO, arXiv 2602.02444, teacher confidence). Pure functions.

The answer is what stands inside the last `<answer>…</answer>`; nothing else in a reply counts. The margin is
log p(yes) - log p(no) at the token that carries the answer. What a server did not show is never made up.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple

from hardcut.schemas.logistic import sigmoid
from hardcut.schemas.records import Sampling
from hardcut.teacher.protocol import Answer
from hardcut.teacher.spellings import SPELLINGS

Word = Literal["yes", "no"]

_ANSWER = re.compile(rb"<\s*answer\s*>([^<]*)<\s*/\s*answer\s*>", re.IGNORECASE)
_OPEN = re.compile(rb"<\s*answer\s*>", re.IGNORECASE)
_WORD = re.compile(r"[\W_]*(yes|no)[\W_]*", re.IGNORECASE)
_STOPPED = re.compile(r"<\s*answer\s*>[\W_]*(yes|no)[^\w<]*$", re.IGNORECASE)
_FLOOR = -9999.0
"""Servers write this for minus infinity and for anything below it: a mark, not a value."""
_EACH = len(SPELLINGS) // 2
"""Spellings of a word."""
_ALL_SPELLINGS = math.log(_EACH)
"""How much likelier a word can be than its likeliest spelling: by this, where all spellings are as likely."""
_DIGITS = 1e-6
"""What servers round log-probabilities to (single precision): less is no difference."""
_CANONICAL = tuple(spelling.encode() for spelling in SPELLINGS)
_ROUNDING = 0.01
"""How far above 0 the rounding of a server can put a log-probability."""


@dataclass(frozen=True, slots=True)
class TokenScore:
    """One generated token as bytes (a token can be a part of a character), its log-probability, and the most likely
    tokens at its position with theirs, as the server listed them. `asked` are the spellings of yes and no that it was
    asked for by id, all that are one token of its tokenizer; None where it listed the most likely tokens."""

    token: bytes
    logprob: float
    top: tuple[tuple[bytes, float], ...] = ()
    asked: tuple[bytes, ...] | None = None


@dataclass(frozen=True, slots=True)
class Confidence:
    """The fields of a `TeacherLabel` that an answer decides."""

    logit_margin: float | None
    p_yes: float | None
    exact: bool


def reasoning_of(text: str) -> str:
    """What was said before the answer: the text up to the last `<answer>`, all of it where there is none, without the
    marks that some models put around their thoughts."""
    data = text.encode("utf-8", "surrogatepass")
    opened = list(_OPEN.finditer(data))
    said = data[: opened[-1].start() if opened else len(data)]
    return re.sub(rb"</?think>", b"", said).decode("utf-8", "surrogatepass").strip()


def close_answer(text: str) -> str:
    """The text of a judge who was stopped at `</answer>`, with it; any other text as it is."""
    return f"{text.rstrip()}</answer>" if _STOPPED.search(text) else text


class Place(NamedTuple):
    """What a reply answers, and which of its tokens carries the answer; None where it is not one whole token."""

    verdict: Word
    token: int | None


def find_answer(text: str, tokens: Sequence[bytes]) -> Place | None:
    """Where the answer stands; None where there is no verdict.

    `tokens` are those that were generated, in order. They need not begin where `text` does (a server may cut off the
    thoughts), but they must end in the same answer; otherwise no token carries it.
    """
    data = text.encode("utf-8", "surrogatepass")
    found = _find(data)
    if found is None:
        return None
    generated = b"".join(tokens)
    again = found if generated == data else _find(generated) or _find(_closed(generated))
    return Place(found[0], _token_at(tokens, *again) if again and again[0] == found[0] else None)


def scored_answer(verdict: Word, at: TokenScore) -> Answer:
    """The verdict with both log-probabilities at its token, as far as the server showed them: each is summed over all
    shown spellings of its word (`yes`, ` Yes`, `YES`, …)."""
    shown = _shown(at)
    lowest = min((logprob for _, logprob in shown), default=None)
    if all(token != at.token for token, _ in shown) and _is_value(at.logprob):
        shown.append((at.token, at.logprob))  # a sampled token can rank below the top k
    return _answer(verdict, at, shown, lowest)


def read_answer(text: str, tokens: Sequence[TokenScore] = ()) -> Answer | None:
    """The answer of a reply and its tokens, as `find_answer` and `scored_answer` have it; a verdict without numbers
    where no token carries it."""
    place = find_answer(text, [token.token for token in tokens])
    if place is None or place.token is None:
        return Answer(place.verdict) if place else None
    return scored_answer(place.verdict, tokens[place.token])


def first_token_answer(tokens: Sequence[TokenScore]) -> Answer | None:
    """The answer where the prompt ended in `<answer>`: the likelier word at the first token, whichever token was drawn.
    None where not both words are shown."""
    shown = _shown(tokens[0]) if tokens else []
    yes, no = _masses(shown)
    if yes is None or no is None:
        return None
    return _answer("yes" if yes > no else "no", tokens[0], shown, min(logprob for _, logprob in shown))


def _shown(at: TokenScore) -> list[tuple[bytes, float]]:
    return [(token, logprob) for token, logprob in at.top if _is_value(logprob)]


def _answer(verdict: Word, at: TokenScore, shown: Sequence[tuple[bytes, float]], lowest: float | None) -> Answer:
    """Of a list of the most likely tokens, what is not on it is at most as likely as the last one. What was asked for
    by id and is not there can be anything; what a server marks as minus infinity is there, and is nothing."""
    yes, no = _masses(shown)
    seen = {token for token, _ in shown}
    if at.asked is not None:
        seen |= {token for token, logprob in at.top if logprob <= _FLOOR}
    unseen = [token for token in (_CANONICAL if at.asked is None else at.asked) if token not in seen]
    exactly = dict(reversed(shown))
    return Answer(
        verdict,
        yes,
        no,
        bound=lowest if unseen and at.asked is None else None,
        token_yes=exactly.get(b"yes"),
        token_no=exactly.get(b"no"),
        unseen_yes=sum(_spelled(token) == "yes" for token in unseen),
        unseen_no=sum(_spelled(token) == "no" for token in unseen),
    )


def confidence(answer: Answer, exact_within: float = 0.0) -> Confidence:
    """Margin and probability of an answer.

    It is exact where every spelling of both words was seen, or where those that were not can change the margin by no
    more than `exact_within` (and by no less than the digits that servers give). Else the margin is a bound: the true
    one is at least that far from zero on the same side, however likely each unseen spelling is within `Answer.bound`.
    It is 0 where both words were seen and either can be the likelier one, and None where nothing can be said.
    """
    yes, no = answer.logprob_yes, answer.logprob_no
    if yes is None and no is None:
        return Confidence(None, None, exact=False)
    least, most = _margins(answer)
    if yes is not None and no is not None and most - least <= max(_DIGITS, exact_within):
        return Confidence(yes - no, sigmoid(yes - no), exact=True)
    if least >= 0 or most <= 0:
        margin = least if least >= 0 else most
    elif yes is None or no is None or math.isinf(least) or math.isinf(most):
        return Confidence(None, None, exact=False)
    else:
        margin = 0.0
    return Confidence(margin, sigmoid(margin), exact=False)


def _margins(answer: Answer) -> tuple[float, float]:
    """The least and the greatest margin that an answer can have."""
    yes, no = answer.logprob_yes, answer.logprob_no
    most_yes = _with_unseen(yes, answer.unseen_yes or (_EACH if yes is None else 0), answer.bound)
    most_no = _with_unseen(no, answer.unseen_no or (_EACH if no is None else 0), answer.bound)
    least = yes - most_no if yes is not None else -math.inf
    most = most_yes - no if no is not None else math.inf
    return least, most


def _with_unseen(seen: float | None, unseen: int, bound: float | None) -> float:
    """The largest log-probability of a word, so much of which was seen and so many spellings of which were not."""
    if not unseen:
        return 0.0 if seen is None else seen
    if bound is None:
        return math.inf
    rest = bound + math.log(unseen)
    if seen is None:
        return rest
    return max(seen, rest) + math.log1p(math.exp(-abs(seen - rest)))


def contradicts(answer: Answer, sampling: Sampling) -> bool:
    """Whether a reply says what its own log-probabilities deny.

    Without chance (temperature 0) the likeliest token is drawn. It is at least as likely as each of the other word's
    spellings, so that a word that was drawn is behind the other by log 9 at most, 9 being the spellings of a word: by
    more, text and log-probabilities are not of one reply. With chance the less likely word may be drawn, and nothing
    can be said.
    """
    yes, no = answer.logprob_yes, answer.logprob_no
    if yes is None or no is None or sampling.temperature > 0:
        return False
    ahead = yes - no if answer.verdict == "yes" else no - yes
    return ahead < -_ALL_SPELLINGS


def _closed(generated: bytes) -> bytes:
    """As `close_answer`, of the tokens themselves."""
    text = generated.decode("utf-8", "surrogateescape")
    return close_answer(text).encode("utf-8", "surrogateescape")


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


def _token_at(tokens: Sequence[bytes], verdict: Word, begins: int) -> int | None:
    """The token in which the word at this byte begins, if it is the whole word (with space or punctuation)."""
    end = 0
    for at, token in enumerate(tokens):
        end += len(token)
        if end > begins:
            return at if _spelled(token) == verdict else None
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


def _masses(shown: Iterable[tuple[bytes, float]]) -> tuple[float | None, float | None]:
    """log of the summed probability of the spellings of yes, and of no; None where none is shown."""
    found: dict[Word, list[float]] = {"yes": [], "no": []}
    for token, logprob in shown:
        if word := _spelled(token):
            found[word].append(logprob)
    return _log_sum(found["yes"]), _log_sum(found["no"])


def _log_sum(values: Sequence[float]) -> float | None:
    if not values:
        return None
    if len(values) == 1:
        return min(0.0, values[0])
    highest = max(values)
    return min(0.0, highest + math.log(sum(math.exp(value - highest) for value in values)))
