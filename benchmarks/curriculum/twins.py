"""Whether a clip that answers stands above its twin that does not: the sharpest question that the world asks.

Chance is one half, whatever the first stage: both are among what is reranked.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from benchmarks.curriculum.stories import Asked, Story
from benchmarks.curriculum.world import Part
from hardcut.report.statistics.significance import Mean, mean
from hardcut.schemas.trec import Run

Twins = Callable[[Asked, Story, Story], bool]
"""Whether the second story, which does not answer the query, is a twin of the first, which does."""


def chiral(part: Part, run: Run) -> Mean:
    """Over queries of the kind temporal: how often an answer is scored above the same pictures in reverse."""
    return _above(part, run, "temporal", lambda _, story, other: other == story.reverse)


def negated(part: Part, run: Run) -> Mean:
    """Over queries of the kind negation: how often an answer is scored above a clip that has all that is wanted, and
    with it what must not be there."""
    return _above(part, run, "negation", lambda asked, _, other: replace(asked, without=None).answered_by(other))


def _above(part: Part, run: Run, kind: str, twins: Twins) -> Mean:
    shares = []
    for query, asked in part.queries.items():
        scores = run[query]
        answers = [video for video in scores if video in part.qrels[query]]
        others = [video for video in scores if video not in part.qrels[query]]
        won = [
            (scores[one] > scores[other]) + 0.5 * (scores[one] == scores[other])
            for one in answers
            for other in others
            if asked.kind == kind and twins(asked, part.stories[one], part.stories[other])
        ]
        if won:
            shares.append(sum(won) / len(won))
    return mean(shares)
