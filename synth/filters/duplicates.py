"""Queries that say the same: in nearly the same words, or with their parts in another place."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from hardcut.schemas.records import Query
from hardcut.teacher.direction import directed
from hardcut.teacher.evidence_judge import parse
from hardcut.teacher.similar import normalised, similar_pairs
from hardcut.teacher.words import edited, words

_NEAR = 0.75
"""Similarity of texts (Jaccard, pieces of four letters) from which they are compared word by word."""


class _Said(NamedTuple):
    query_id: str
    text: str
    kind: str
    reference: str | None


def duplicates(queries: Iterable[Query]) -> dict[str, str]:
    """`{query_id: id of the query that it repeats}`; of several the one with the least id stays.

    Two say the same if, besides filling words and endings, they ask for the same things in the same order of time
    ("A before B", "B after A"), or their words differ by a letter at most, directions and figures not at all. Compared
    are original queries that a teacher wrote: a paraphrase is meant to say the same, and a counterfactual nearly so.
    """
    written = sorted(
        _Said(query.query_id, query.text, query.kind, query.reference_video_id)
        for query in queries
        if query.variant == "original" and query.source_video_id is not None
    )
    first: dict[object, str] = {}
    found: dict[str, str] = {}
    for said in written:
        kept = first.setdefault((said.kind, said.reference, meaning(said.text)), said.query_id)
        if kept != said.query_id:
            found[said.query_id] = kept
    left = {said.query_id: said for said in written if said.query_id not in found}
    texts = {query_id: normalised(said.text) for query_id, said in left.items()}
    for here, there in similar_pairs({query_id: text for query_id, text in texts.items() if text}, _NEAR):
        kept, other = sorted((here, there))
        one, two = left[kept], left[other]
        if (one.kind, one.reference) == (two.kind, two.reference) and _nearly(one.text, two.text):
            found.setdefault(other, found.get(kept, kept))
    return found


def meaning(text: str) -> object:
    """What is asked for, clause by clause in order of time, and what must be absent, as something to compare: filling
    words and endings do not count."""
    parsed = parse(text)
    clauses = [tuple(map(_stem, clause)) for clause in parsed.clauses]
    relations = list(parsed.relations)
    if relations == ["after"]:
        clauses, relations = clauses[::-1], ["before"]
    if relations == ["while"]:
        clauses.sort()
    return tuple(clauses), tuple(relations), tuple(sorted(map(_stem, parsed.absent)))


def _nearly(one: str, other: str) -> bool:
    here, there = words(one), words(other)
    if len(here) != len(there) or directed(here).ways != directed(there).ways:
        return False
    return all(a == b or edited(a, b) for a, b in zip(here, there, strict=True))


def _stem(word: str) -> str:
    """The word without the commonest endings of English, as far as four letters remain."""
    for ending in ("ing", "ed", "es", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 4:
            return word[: -len(ending)].rstrip("e")
    return word.rstrip("e") if len(word) > 4 else word
