"""What triplets of texts are made of: two texts of nearly the same words that do not say the same. Pure functions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from hardcut.schemas.ids import content_id
from hardcut.schemas.records import Caption, Claim, Query, TeacherRef, Variant
from hardcut.schemas.text.words import STOP_WORDS, words
from hardcut.schemas.triplets import AFFIRMED, Nuance, TextSource, Triplet, composed_anchor
from hardcut.schemas.twin import Difference, Twin
from hardcut.teacher.rules.judge import parse_query

_NUANCES: Mapping[Variant, Nuance] = {"reversed": "temporal", "negated": "negation", "facet_changed": "facet"}
SINGLE_SIGN = re.compile(r'(?<!\w)"\W?[A-Za-z0-9]\W?"(?!\w)')
"""A letter or a digit that is quoted by itself, often a piece of another text or none at all; in other scripts a sign
may be a word."""
_SHARED = 3
"""Claims that both captions have, which are told beside what differs."""
_DENIALS = (
    (' but the screen never shows "', ' and the screen shows "'),
    (' but nobody says "', ' and somebody says "'),
    (" but never ", " and "),
    (" without ", " with "),
)
"""What denies, and what says the same thing without the denial."""
_ENGLISH = frozenset({"en", "und"})


@dataclass(frozen=True, slots=True)
class Said:
    """A text, its language, and where it is from."""

    text: str
    source: TextSource
    language: str = "en"

    @classmethod
    def of_query(cls, query: Query) -> Said:
        """A query as it stands."""
        kind = "query" if query.variant == "original" else "counterfactual"
        return cls(query.text, TextSource(kind=kind, id=query.query_id, teacher=query.teacher), query.language)

    @classmethod
    def affirmed(cls, denial: Query) -> Said | None:
        """A denial without its denial: "A but never B" as "A and B". None for one that denies in other words."""
        if denial.language.split("-")[0] not in _ENGLISH:
            return None
        found = [(denies, says) for denies, says in _DENIALS if denies in denial.text]
        if len(found) != 1 or denial.text.count(found[0][0]) != 1:
            return None
        text = denial.text.replace(*found[0])
        return cls(text, TextSource(kind="affirmed", id=f"{denial.query_id}{AFFIRMED}"), denial.language)

    def reworded(self, text: str, teacher: TeacherRef) -> Said:
        """Another wording of it."""
        return Said(text, TextSource(kind="paraphrase", id=self.source.id, teacher=teacher), self.language)


@dataclass(frozen=True, slots=True)
class Contrast:
    """Two texts that differ in a nuance: `video_id` answers `one`, and not `other`. `family` is the query that they
    began with."""

    nuance: Nuance
    one: Said
    other: Said
    video_id: str
    family: str

    @property
    def what(self) -> str:
        """For people."""
        return f"{self.nuance}: {self.one.text!r} and {self.other.text!r}"


def contrasts_of(queries: Sequence[Query], nuances: Sequence[Nuance]) -> Iterator[Contrast]:
    """The contrasts of one video's queries, in the order of their ids.

    A reversed query and one with a facet changed stand against the query that they were made of. A denial of what is
    there stands against the same denial of what is not there and, where the query asks for what is denied, against the
    query. What denies in words that can be taken out stands against itself without them, with and without what is
    denied: of a video that "A but never C" is true of, and "A but never B" is not, "A and B" is true, "A and C" not.
    """
    by_id = {query.query_id: query for query in queries}
    absent = {query.parent_query_id: query for query in queries if query.variant == "negated_absent"}
    for other in queries:
        nuance, parent = _NUANCES.get(other.variant), by_id.get(other.parent_query_id or "")
        if nuance is None or nuance not in nuances or parent is None:
            continue
        video_id, family, said = other.source_video_id or "", parent.query_id, Said.of_query(other)
        if nuance != "negation" or _asks_for_what_is_denied(parent, other):
            yield Contrast(nuance, Said.of_query(parent), said, video_id, family)
        denial = absent.get(family)
        if nuance == "negation" and denial is not None:
            yield Contrast(nuance, Said.of_query(denial), said, video_id, family)
            with_it, without = Said.affirmed(other), Said.affirmed(denial)
            if with_it is not None and without is not None:
                yield Contrast(nuance, with_it, said, video_id, family)
                yield Contrast(nuance, Said.of_query(denial), without, video_id, family)


def _asks_for_what_is_denied(query: Query, denial: Query) -> bool:
    denied = set(parse_query(denial.text).absent)
    asked = {word for clause in parse_query(query.text).clauses for word in clause}
    return bool(denied) and denied <= asked


def query_triplets(contrast: Contrast, one: str, other: str, turn: int, teacher: TeacherRef) -> list[Triplet]:
    """The set of a contrast, by another wording of each of its queries; `turn` counts several such."""
    here, there = contrast.one, contrast.other
    return balanced_set(
        contrast.nuance,
        (here, here.reworded(one, teacher)),
        (there, there.reworded(other, teacher)),
        content_id("s", contrast.nuance, here.source.id, there.source.id, turn),
        true_of=contrast.video_id,
        family=contrast.family,
    )


def balanced_set(
    nuance: Nuance,
    here: tuple[Said, Said],
    there: tuple[Said, Said],
    set_id: str,
    true_of: str | None = None,
    family: str | None = None,
) -> list[Triplet]:
    """The eight triplets of two meanings in two wordings each. `true_of` is the video that `here` is true of.

    Anchor and positive say the same in two wordings. The hard negative says the other thing, once in the anchor's
    wording and once in the positive's. So each text is twice a positive and twice a negative, and what has more words
    of the anchor may be either.
    """
    made = []
    for mine, others, video in ((here, there, true_of), (there, here, None)):
        for anchor, positive in (mine, mine[::-1]):
            for negative in others:
                whose = {"video_id": video, "made_from": true_of, "family": family}
                made.append(triplet_of(nuance, set_id, anchor, positive, negative, **whose))
    return made


def triplet_of(
    nuance: Nuance, set_id: str, anchor: Said, positive: Said, negative: Said, **whose: str | None
) -> Triplet:
    """The triplet of three texts; `whose` are the fields that say what it is about."""
    return Triplet.create(
        set_id=set_id,
        nuance=nuance,
        anchor=anchor.text,
        positive=positive.text,
        hard_negative=negative.text,
        anchor_source=anchor.source,
        positive_source=positive.source,
        hard_negative_source=negative.source,
        **whose,
    )


def composed_triplet(query: Query, twin: Twin, here: Caption, there: Caption) -> Triplet | None:
    """The triplet of a composed query: the caption of its reference and the edit; the edited caption, the unedited one.

    The captions are as short as the edit lets them be: the claims that tell of what differs, and a few that both have.
    The query of the other direction makes the other triplet of the set. None where the captions' claims do not tell
    what differs.
    """
    texts = edited_captions(here.claims, there.claims, twin.differences)
    if texts is None:
        return None
    edited, unedited = texts
    return triplet_of(
        "composed",
        content_id("s", "composed", sorted((twin.video_id, twin.other_video_id))),
        Said(
            composed_anchor(unedited, query.text), TextSource(kind="edited", id=query.query_id, teacher=query.teacher)
        ),
        Said(edited, TextSource(kind="caption", id=here.caption_id, teacher=here.teacher)),
        Said(unedited, TextSource(kind="caption", id=there.caption_id, teacher=there.teacher)),
        video_id=twin.video_id,
        made_from=twin.video_id,
        family=query.query_id,
    )


def edited_captions(
    here: Sequence[Claim], there: Sequence[Claim], differences: Sequence[Difference]
) -> tuple[str, str] | None:
    """The claims of two videos that tell of their differences, with a few that both have, as two captions; None where
    there is a difference that a claim of either does not tell of, or that is one of a single sign. The other way round
    it gives the same two."""
    mine: list[Claim] = []
    theirs: list[Claim] = []
    for difference in differences:
        for text, claims, found in ((difference.here, here, mine), (difference.there, there, theirs)):
            for part in (text or "").split(", then ") if text else ():
                claim = _telling(part, claims)
                if claim is None or SINGLE_SIGN.search(claim.text):
                    return None
                if claim not in found:
                    found.append(claim)
    if not mine or not theirs:
        return None
    differing = {word for claim in (*mine, *theirs) for word in words(claim.text)}
    both = {claim.text for claim in here if claim.span} & {claim.text for claim in there if claim.span}
    sure = (text for text in both if not SINGLE_SIGN.search(text))
    shared = sorted(text for text in sure if not set(words(text)) <= differing)[:_SHARED]
    edited, unedited = told([*_of(here, shared), *mine]), told([*_of(there, shared), *theirs])
    return (edited, unedited) if edited != unedited else None


def _telling(part: str, claims: Sequence[Claim]) -> Claim | None:
    """The shortest claim that has all words of a difference."""
    wanted = [word for word in words(part) if word not in STOP_WORDS] or words(part)
    having = [claim for claim in claims if set(wanted) <= set(words(claim.text))]
    return min(having, key=lambda claim: (len(claim.text), claim.text), default=None)


def _of(claims: Sequence[Claim], texts: Sequence[str]) -> list[Claim]:
    """The first claim of each of these texts."""
    first: dict[str, Claim] = {}
    for claim in claims:
        first.setdefault(claim.text, claim)
    return [first[text] for text in texts if text in first]


def told(claims: Sequence[Claim]) -> str:
    """Claims in order of time as one text, with "then" where one begins after the end of the one before it."""
    ordered = sorted(claims, key=lambda claim: (claim.span.start if claim.span else -1.0, claim.text))
    text = ""
    for at, claim in enumerate(ordered):
        said = claim.text.strip().rstrip(".")
        before = ordered[at - 1].span if at else None
        if before is not None and claim.span is not None and claim.span.start >= before.end:
            said = f"Then {said[0].lower()}{said[1:]}"
        text += f"{' ' if text else ''}{said}."
    return text
