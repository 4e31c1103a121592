"""What the reviews of one pair say together: which of them count, and what they come to. Pure functions."""

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
    """What people say of a pair and the reviews that it rests on."""

    relevance: Relevance
    source: Literal["human", "adjudicated"]
    reviews: tuple[Review, ...]


def query_digest(query: Query) -> str:
    """What a review is bound to: the digest of the text that was shown. Another text, another judgment."""
    return digest(query.text)


def is_answer(review: Review) -> bool:
    """Whether a review is an answer at all: no draft, not discarded, and with a relevance."""
    return review.status == "submitted" and review.relevance is not None


def reviews_in_force(query: Query, reviews: Iterable[Review]) -> list[Review]:
    """The reviews that count for a query as it reads now, one a reviewer, sorted by reviewer.

    Drafts, discarded answers, answers without a relevance and answers to another wording (orphans) do not count; of a
    reviewer's blind and assisted answers the blind one does, and an adjudication only where they had not answered
    before: a third person decides.
    """
    wanted = query_digest(query)
    chosen: dict[str, Review] = {}
    for review in sorted(reviews, key=lambda review: (review.adjudicates, not review.blind, review.review_id)):
        if is_answer(review) and review.query_digest == wanted:
            chosen.setdefault(review.reviewer, review)
    return [chosen[reviewer] for reviewer in sorted(chosen)]


def consensus(reviews: Sequence[Review]) -> Consensus | None:
    """What applicable reviews come to: of those who adjudicated, where there are any, else of all, the answer of more
    than half; `None` where no answer has so many."""
    last = [review for review in reviews if review.adjudicates]
    people = last or reviews
    votes = Counter(review.relevance for review in people)
    relevance, count = votes.most_common(1)[0] if votes else (None, 0)
    if relevance is None or 2 * count <= len(people):
        return None
    return Consensus(relevance, "adjudicated" if last else "human", tuple(people))
