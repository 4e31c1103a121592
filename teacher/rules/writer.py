"""Captions and queries without a model, out of lines of evidence. Plain, true as far as the evidence is, and the same
every time: choices fall by a digest of the inputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any

from hardcut.schemas.ids import digest
from hardcut.schemas.records import EvidenceKind, QueryKind, Register
from hardcut.schemas.text.words import WordIndex, contains_phrase, words
from hardcut.teacher.prompts.inputs import CaptionInputs, EvidenceLine, QueriesInputs
from hardcut.teacher.prompts.reply_models import CaptionReply, ClaimReply, QueriesReply, QueryReply, WrittenView
from hardcut.teacher.rules.mentions import (
    QUOTES,
    Mention,
    denials,
    field_of,
    keywords,
    mentions_of,
    number_of,
    pick_by_digest,
    shuffled,
)

_RANKS: Mapping[EvidenceKind, int] = {
    "ocr": 0,
    "speech": 0,
    "motion": 1,
    "sound": 1,
    "colour": 1,
    "metadata": 2,
    "shot": 3,
}
"""What is left out of a caption last comes first."""
_TITLES = frozenset({"title", "name", "filename", "file name"})
_SHORT_WORDS = 20
"""Of a short caption."""
_EVENT = ("clip where", "a scene in which")
_TOPIC = ("video about", "footage of")
_MOMENT = ("the moment when", "the part where")
"""What a query of an event, of a topic and of a moment begins with."""
QUESTION = "what clip is it where"
_OF_ONE_REQUEST: Mapping[str, Any] = {"view": None, "kinds": (), "written": ()}
"""In what the requests about the views of one video differ: their queries are made together."""
_UNSEEDED: Mapping[str, Any] = {
    "video": {"looked_s"}, "forms": {"__all__": {"kind", "persona", "intent"}},
    **dict.fromkeys(_OF_ONE_REQUEST, True),
}  # fmt: skip
"""What earlier versions were not told: the choices that fall by a digest stay as they were."""
_CHOICES = 12
"""Of a video's mentions so many are combined with each other: enough for ten queries, and bounded."""
_Choice = tuple[QueryKind, Sequence[str], tuple[Mention, ...]]
"""A query that can be made: its kind, the texts to choose from, and what it mentions."""


def write_caption(inputs: CaptionInputs) -> CaptionReply:
    """One claim for each line of evidence, in order of time and metadata last, as many as fit into `max_words`;
    texts and speech come before movement and colour, metadata and cuts where not all fit. Every claim cites its
    line."""
    in_order = sorted(inputs.evidence, key=lambda line: (line.start is None, line.start))
    ranked = {claim.text: (_RANKS[kind], claim) for kind, claim in claims_of(in_order)}
    kept = _fitting([(rank, claim) for rank, claim in ranked.values()], inputs.max_words)
    chosen = [claim for _, claim in ranked.values() if claim in kept]
    if not chosen:
        chosen = [ClaimReply(text="Nothing is known about what this video shows", start=None, end=None, evidence=())]
    by_rank = [(ranked[claim.text][0], claim) for claim in chosen if claim.text in ranked]
    first = [claim for _, claim in sorted(by_rank, key=lambda each: each[0])[:1]]
    best = _fitting(by_rank, _SHORT_WORDS) or first or chosen
    return CaptionReply(short=_in_one([claim for claim in chosen if claim in best]), claims=tuple(chosen))


def _fitting(ranked: Sequence[tuple[int, ClaimReply]], most: int) -> list[ClaimReply]:
    """As many of the claims as fit into `most` words, those of the lowest rank first."""
    kept: list[ClaimReply] = []
    for _, claim in sorted(ranked, key=lambda each: each[0]):
        size = len(claim.text.split()) + 1
        if size <= most:
            most -= size
            kept.append(claim)
    return kept


def _in_one(claims: Sequence[ClaimReply]) -> str:
    """The claims as one sentence, with "then" where one begins after the end of the one before it."""
    text = claims[0].text
    for before, claim in pairwise(claims):
        follows = before.end is not None and claim.start is not None and claim.start >= before.end
        text += f"; {'then ' if follows else ''}{claim.text[0].lower()}{claim.text[1:]}"
    return text


def write_queries(inputs: QueriesInputs) -> QueriesReply:
    """The queries of the view that is asked for, or of all. They differ from those of the views before it."""
    views = inputs.views or ((inputs.view,) if inputs.view else ())
    every = _every_query(inputs.model_copy(update={**_OF_ONE_REQUEST, "views": views}))
    return QueriesReply(queries=tuple(each for each in every if inputs.view in (None, each.view)))


@lru_cache(maxsize=8)
def _every_query(inputs: QueriesInputs) -> tuple[QueryReply, ...]:
    """For each view at most `per_view` queries out of its own part of the evidence, their kinds varied, as short and
    in the style that `forms` ask for, as far as there are such."""
    index = WordIndex([line.text for line in inputs.evidence] + [inputs.caption])
    metadata = [field_of(line.text) for line in inputs.evidence if line.kind == "metadata"]
    titles = [words(value) for name, value in metadata if name in _TITLES or len(words(value)) > 1]
    given = inputs.model_dump(mode="json", exclude=_UNSEEDED)
    written: dict[str, QueryReply] = {}
    for view in inputs.views:
        mentions = mentions_of(view, inputs)
        seed = digest(given, view)
        groups = [
            [
                query
                for query in group
                if query.text not in written
                and len(query.text.split()) <= inputs.max_words
                and (view == "metadata" or not any(contains_phrase(words(query.text), title) for title in titles))
            ]
            for group in _candidates(view, mentions, index, seed)
        ]
        forms = [(form.words, form.style) for form in inputs.forms if form.view == view]
        left = _in_turn(groups, seed)
        for most, style in forms or [(inputs.max_words, "plain")] * inputs.per_view:
            query = next((query for query in left if len(query.text.split()) <= most), left[0] if left else None)
            if query is not None:
                left.remove(query)
                query = _styled(query, style, inputs.max_words)
                written[query.text] = query
    return tuple(written.values())


def claims_of(evidence: Sequence[EvidenceLine]) -> Iterator[tuple[EvidenceKind, ClaimReply]]:
    """What each line of evidence lets one say, with its kind."""
    for line in evidence:
        text = " ".join(line.text.split())
        start, end = line.start, line.end
        if line.kind == "ocr":
            said = f'The text "{_shorten(text)}" can be read'
        elif line.kind == "speech":
            said = f'Someone says: "{_shorten(text)}"'
        elif line.kind == "metadata":
            name, value = field_of(line.text)
            said = f'{name.capitalize().replace("_", " ") or "It says of it"}: "{_shorten(value)}"'
        elif line.kind == "shot":
            if not start:
                continue  # the first shot begins with the video: no cut
            said, end = f"The picture cuts at {start:g} s", start
        else:
            said = f"{text[0].upper()}{text[1:].rstrip('.')}"
        yield line.kind, ClaimReply(text=said, start=start, end=end, evidence=(line.id,))


def _candidates(view: WrittenView, mentions: Sequence[Mention], index: WordIndex, seed: str) -> list[list[QueryReply]]:
    """Queries by kind, each list in the order of a digest. The view `all` joins two sources where it can."""
    some = shuffled(mentions, seed)[:_CHOICES]
    kinds: dict[QueryKind, list[QueryReply]] = {
        kind: [] for kind in ("multi_hop", "temporal", "negation", "moment", "event")
    }
    for kind, texts, facets in (*_of_two(some, seed), *_of_one(some, index, seed)):
        text = pick_by_digest(texts, digest(seed, kind, [facet.phrase for facet in facets]))
        replied = tuple(facet.facet() for facet in facets)
        kinds[kind].append(QueryReply(text=text, language="en", view=view, kind=kind, style="plain", facets=replied))
    if view == "all" and kinds["multi_hop"]:
        return [shuffled(kinds["multi_hop"], seed)]
    return [shuffled(queries, seed + kind) for kind, queries in kinds.items()]


def _of_two(mentions: Sequence[Mention], seed: str) -> Iterator[_Choice]:
    """Queries of two mentions, the first of which begins earlier."""
    for a in mentions:
        for b in mentions:
            if a.start is None or a.end is None or b.start is None or a.start >= b.start:
                continue
            first, second = a.clause(seed + b.phrase), b.clause(seed + a.phrase)
            in_order = (f"{first} before {second}", f"{first} and then {second}", f"{second} after {first}")
            if a.modality != b.modality:
                yield "multi_hop", (f"{first} while {second}",) if b.start < a.end else in_order, (a, b)
            elif a.end <= b.start:
                yield "temporal", in_order, (a, b)


def _of_one(mentions: Sequence[Mention], index: WordIndex, seed: str) -> Iterator[_Choice]:
    """Queries of one mention."""
    for a in mentions:
        clause = a.clause(seed)
        if absent := denials(a.modality, index):
            yield "negation", [f"{clause} but {each}" for each in absent], (a,)
        if a.start is not None:
            yield "moment", [f"{opening} {clause}" for opening in _MOMENT], (a,)
        yield "event", [f"{opening} {clause}" for opening in _openings(a)], (a,)


def _styled(query: QueryReply, style: Register, most: int) -> QueryReply:
    """The query as keywords or as a question, where it can be said so in `most` words."""
    text, opening = query.text, ""
    for each in (*_EVENT, *_TOPIC, *_MOMENT):
        if text.startswith(f"{each} "):
            text, opening = text.removeprefix(f"{each} "), each
    if style == "keywords" and opening not in _MOMENT:
        wording = keywords(text)
    elif style == "question":
        asks = "what video is about" if opening in _TOPIC else "when is it that" if opening in _MOMENT else QUESTION
        wording = f"{asks} {text}?"
    else:
        return query
    return query if len(wording.split()) > most else query.model_copy(update={"text": wording, "style": style})


def _openings(mention: Mention) -> tuple[str, str]:
    return _TOPIC if mention.modality == "metadata" else _EVENT


def _in_turn(groups: Sequence[Sequence[QueryReply]], seed: str) -> list[QueryReply]:
    """One of each kind, then the next of each; which kind comes first falls by digest."""
    filled = [group for group in groups if group]
    turn = number_of(seed) % len(filled) if filled else 0
    filled = [*filled[turn:], *filled[:turn]]
    return [group[at] for at in range(max(map(len, filled), default=0)) for group in filled if at < len(group)]


def _shorten(text: str, most: int = 25) -> str:
    parts = QUOTES.sub("'", text).rstrip(". ").split()
    return " ".join(parts if len(parts) <= most else [*parts[:most], "…"])
