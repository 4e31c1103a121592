"""What a video must show or say to answer a user's query: asked of a teacher before stage user_queries makes the
queries. No video is needed for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from pydantic import JsonValue

from hardcut.engine.stage import Failure
from hardcut.schemas.records import Facet, Query, Sampling
from hardcut.schemas.text.clean import clean
from hardcut.synth.requests import Asker, describe_tasks
from hardcut.teacher.prompts.reply_models import DecomposeReply
from hardcut.teacher.protocol import Refusal, Teacher

TOGETHER = 10
"""Queries in one question."""


@dataclass(frozen=True, slots=True)
class Parts:
    """The facets of one query, or why there are none: `silent` where the teacher names none, `failure` where it gave no
    answer that can be read."""

    facets: tuple[Facet, ...] = ()
    silent: str = ""
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class Decomposer:
    """A teacher that takes queries apart."""

    teacher: Teacher
    sampling: Sampling

    REASON: ClassVar[str] = "no_facets"

    @property
    def described(self) -> dict[str, JsonValue]:
        """Who does it, for a key."""
        return describe_tasks(self.teacher, ["decompose"], self.sampling)

    async def parts(self, queries: Sequence[Query]) -> dict[str, Parts]:
        """The parts of each query, by its id. All questions go out together."""
        groups = [queries[begin : begin + TOGETHER] for begin in range(0, len(queries), TOGETHER)]
        asker = Asker(self.teacher, self.sampling)
        outcomes = await asker.outcomes("decompose", DecomposeReply, [_inputs(group) for group in groups])
        found: dict[str, Parts] = {}
        for group, outcome in zip(groups, outcomes, strict=True):
            if isinstance(outcome, Refusal):
                failure = Failure(outcome.reason, outcome.detail, outcome.raw)
                found |= {query.query_id: Parts(failure=failure) for query in group}
                continue
            assert isinstance(outcome.parsed, DecomposeReply)
            left_out = "".join(f"; {reason}: {clean(detail, 200)}" for reason, detail in outcome.left_out)
            told = {each.number: each.facets for each in outcome.parsed.queries}
            for number, query in enumerate(group, 1):
                facets = [Facet(text=text, modality=each.modality) for each in told.get(number, ())
                          if (text := clean(each.text))]  # fmt: skip
                silent = "" if facets else f"{clean(query.text, 200)!r}: the teacher names no facet of it{left_out}"
                found[query.query_id] = Parts(tuple(facets), silent)
        return found


def _inputs(queries: Sequence[Query]) -> dict[str, JsonValue]:
    return {
        "queries": [
            {"number": number, "text": query.text, "language": query.language}
            for number, query in enumerate(queries, 1)
        ]
    }
