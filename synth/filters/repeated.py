"""Queries that say the same: in nearly the same words, or with their parts in another place."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from hashlib import blake2b
from itertools import repeat
from typing import NamedTuple

from hardcut.schemas.guards import PASSED, Answer, could_not_look, found
from hardcut.schemas.records import Query
from hardcut.schemas.text.direction import split_directions
from hardcut.schemas.text.words import deletion_variants, one_letter_apart, words
from hardcut.synth.filters.filter import Filter
from hardcut.teacher.rules.judge import parse_query

_BITS = (1 << 64) - 1


class _Said(NamedTuple):
    query_id: str
    text: str
    kind: str
    reference: str | None


def duplicates(queries: Iterable[Query], stays: Callable[[str], bool] = lambda query_id: False) -> dict[str, str]:
    """`{query_id: id of the query that it repeats}`; of several the first of those that `stays` says, else the one with
    the least id.

    Two say the same if, besides filling words and endings, they ask for the same things in the same order of time
    ("A before B", "B after A"), or differ in one letter of one word, but not in a direction or a figure. Compared
    are original queries that a teacher wrote: a paraphrase is meant to say the same, and a counterfactual nearly so.
    Those without a word say the same as nothing.
    """
    written = [
        _Said(query.query_id, query.text, query.kind, query.reference_video_id)
        for query in queries
        if query.variant == "original" and query.source_video_id is not None and words(query.text)
    ]
    written.sort(key=lambda said: (not stays(said.query_id), said))
    first: dict[int, str] = {}
    found: dict[str, str] = {}
    for said in written:
        kept = first.setdefault(_hash(said.kind, said.reference, meaning(said.text)), said.query_id)
        if kept != said.query_id:
            found[said.query_id] = kept
    left = [said for said in written if said.query_id not in found]
    for one, other in _alike(left):
        if (one.kind, one.reference) == (other.kind, other.reference) and _nearly(one.text, other.text):
            found.setdefault(other.query_id, found.get(one.query_id, one.query_id))
    return found


def duplicate(query: Query, repeats: Mapping[str, str]) -> Answer:
    """Whether the query is one of `repeats` (of `duplicates`). It has no answer for a query without a word."""
    if query.query_id in repeats:
        return found(f"says the same as {repeats[query.query_id]}: {query.text!r}")
    return PASSED if words(query.text) else could_not_look("it has no word that could be compared")


def _alike(texts: list[_Said]) -> Iterator[tuple[_Said, _Said]]:
    """Pairs that may differ in a letter of one word, in order: those that share all other words and what is left of
    this one without a letter. What is held are numbers, and no text is compared with all others."""
    from hardcut.media.meetings import pairs_with_shared_key

    keys, owners = array("Q"), array("I")
    for place, said in enumerate(texts):
        found = [_word(*each) for each in enumerate(words(said.text))]
        whole = _hash(said.kind, said.reference) + sum(own for own, _ in found)
        without = [(whole - own + each) & _BITS for own, less in found for each in less]
        keys.extend(without)
        owners.extend(repeat(place, len(without)))
    for one, other in pairs_with_shared_key(keys, owners):
        yield texts[one], texts[other]


@lru_cache(maxsize=1 << 16)
def _word(place: int, word: str) -> tuple[int, tuple[int, ...]]:
    """Numbers of a word at its place in a text: its own, and those of what is left of it without a letter."""
    return _hash(place, word), tuple(_hash(place, "-", less) for less in deletion_variants(word))


def _hash(*parts: object) -> int:
    return int.from_bytes(blake2b(repr(parts).encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")


def meaning(text: str) -> object:
    """What is asked for, clause by clause in order of time, and what must be absent, as something to compare: filling
    words and endings do not count."""
    parsed = parse_query(text)
    clauses = [tuple(map(_stem, clause)) for clause in parsed.clauses]
    relations = list(parsed.relations)
    if relations == ["after"]:
        clauses, relations = clauses[::-1], ["before"]
    if relations == ["while"]:
        clauses.sort()
    return tuple(clauses), tuple(relations), tuple(sorted(map(_stem, parsed.absent)))


def _nearly(one: str, other: str) -> bool:
    here, there = words(one), words(other)
    if len(here) != len(there) or split_directions(here).ways != split_directions(there).ways:
        return False
    return all(a == b or one_letter_apart(a, b) for a, b in zip(here, there, strict=True))


def _stem(word: str) -> str:
    """The word without the commonest endings of English, as far as four letters remain."""
    for ending in ("ing", "ed", "es", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 4:
            return word[: -len(ending)].rstrip("e")
    return word.rstrip("e") if len(word) > 4 else word


DUPLICATE = Filter(
    "duplicate",
    None,
    lambda written: duplicate(written.query, written.repeats),
    on=lambda settings: settings.duplicate,
)
