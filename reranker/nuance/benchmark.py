"""What a benchmark asks: queries, what they are ranked against, and the parts that its figures are about."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import quote


class Asked(NamedTuple):
    """A query: a text, a video, or both where an edit of the video is asked for."""

    text: str | None = None
    video: str | None = None


class Choice(NamedTuple):
    """A query, the ids that it is ranked against, and those among them that answer it."""

    query: str
    candidates: tuple[str, ...]
    relevant: frozenset[str]


@dataclass(frozen=True, slots=True)
class Part:
    """Choices with one set of figures. `measures` are of `MEASURES`. `plain`: ordinary retrieval, beside which the
    others stand. `choices` gives the same each time."""

    name: str
    measures: tuple[str, ...]
    choices: Callable[[], Iterator[Choice]]
    plain: bool = False


@dataclass(frozen=True)
class Benchmark:
    """A benchmark read from its files. `queries` and `candidates` say what each id stands for: a text, or the path or
    id of a video or picture (`Asked.video`). Ids have no white space, so that a TREC run can hold them."""

    name: str
    parts: tuple[Part, ...]
    queries: Mapping[str, Asked] = field(default_factory=dict)
    candidates: Mapping[str, Asked] = field(default_factory=dict)

    @property
    def needed(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Each query of a part with the candidates that must be scored for it; a query may come more than once."""
        return ((choice.query, choice.candidates) for part in self.parts for choice in part.choices())


def trec_id(text: str) -> str:
    """An id that can stand in a TREC file: white space and signs of percentage are percent-encoded."""
    return quote(text, safe="".join(chr(at) for at in range(33, 127) if chr(at) != "%"))
