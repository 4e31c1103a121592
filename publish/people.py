"""What a dataset tells of the people behind a label: each answer with its reason, and nobody's name. Pure functions."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from hardcut.schemas.judgments import Review

ANSWER: Mapping[str, Any] = {
    "reviewer": "string",
    "relevance": "int32",
    "asked": "string?",
    "blind": "bool",
    "adjudicates": "bool",
    "decides": "bool",
}
"""An answer in `reviews`, a column of `pairs`. `asked` is the stratum of `Review`: why the pair was put before people;
`decides`: the label rests on it."""


def pseudonyms(reviews: Iterable[Review]) -> dict[str, str]:
    """What a dataset calls each reviewer of a run: `reviewer-1` and so on.

    They are numbered by the lowest id of their reviews, which is a digest: so the order tells nothing of names, and a
    digest of a name, which anybody could compute for the names they know, is nowhere.
    """
    first: dict[str, str] = {}
    for review in reviews:
        first[review.reviewer] = min(first.get(review.reviewer, review.review_id), review.review_id)
    return {name: f"reviewer-{at}" for at, name in enumerate(sorted(first, key=lambda name: first[name]), start=1)}


def answer_rows(reviews: Sequence[Review], names: Mapping[str, str], decisive: Collection[str]) -> list[dict[str, Any]]:
    """The answers in force about a pair, sorted by who gave them; `decisive` are the ids that the judgment rests on."""
    rows = [
        {
            "reviewer": names[review.reviewer],
            "relevance": review.relevance,
            "asked": review.stratum,
            "blind": review.blind,
            "adjudicates": review.adjudicates,
            "decides": review.review_id in decisive,
        }
        for review in reviews
    ]
    return sorted(rows, key=lambda row: (len(row["reviewer"]), row["reviewer"]))
