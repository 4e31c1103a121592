"""The reviews of one pair: which of them count, and their consensus. Pure functions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from hardcut.schemas.ids import digest
from hardcut.schemas.judgments import Relevance, Review
from hardcut.schemas.records import Query


@dataclass(frozen=True, slots=True)
class Consensus:
    """The one result of the reviews of a pair, and the reviews behind it."""

    relevance: Relevance
    source: Literal["human", "adjudicated"]
    reviews: tuple[Review, ...]


def query_digest(query: Query) -> str:
    """The digest of the text that was shown. A review belongs to this text only."""
    return digest(query.text)


def of_content(reviews: Iterable[Review], sha256: str | None) -> list[Review]:
    """The reviews of a video whose file has this digest. One that does not say which file was judged counts, and so do
    all where the video is not known."""
    return [review for review in reviews if None in (sha256, review.video_sha256) or review.video_sha256 == sha256]


def is_answer(review: Review) -> bool:
    """Whether a review is an answer: no draft, not discarded, and with a relevance."""
    return review.status == "submitted" and review.relevance is not None


def reviews_in_force(query: Query, reviews: Iterable[Review]) -> list[Review]:
    """The reviews that count for the query's present wording: one for each reviewer, sorted by reviewer.

    Drafts, discarded answers, answers without a relevance and answers to another wording (orphans) do not count. If a
    reviewer gave a blind and an assisted answer, the blind one counts. An adjudication counts only if its reviewer had
    not answered before, since a third person must decide, or is an expert, who may settle what they had a part in.
    """
    wanted = query_digest(query)
    chosen: dict[str, Review] = {}
    for review in sorted(reviews, key=_place):
        if is_answer(review) and review.query_digest == wanted:
            chosen.setdefault(review.reviewer, review)
    return [chosen[reviewer] for reviewer in sorted(chosen)]


def _place(review: Review) -> tuple[bool, bool, bool, str]:
    """Of one person's answers the first counts."""
    return not review.expert, review.adjudicates, not review.blind, review.review_id


def consensus(reviews: Sequence[Review]) -> Consensus | None:
    """The answer of more than half of the reviews in force; `None` where no answer has so many. If there are
    adjudications, only they count, and of these only those of experts, if there are any."""
    last = [review for review in reviews if review.adjudicates]
    last = [review for review in last if review.expert] or last
    people = last or reviews
    votes = Counter(review.relevance for review in people)
    relevance, count = votes.most_common(1)[0] if votes else (None, 0)
    if relevance is None or 2 * count <= len(people):
        return None
    return Consensus(relevance, "adjudicated" if last else "human", tuple(people))
