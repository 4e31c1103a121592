"""Captions and queries without a model, out of lines of evidence. Plain, true as far as the evidence is, and the same
every time: choices fall by a digest of the inputs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from hardcut.schemas.ids import digest
from hardcut.schemas.records import EvidenceKind, Modality, QueryKind
from hardcut.teacher.evidence_judge import NEGATIONS, RELATIONS
from hardcut.teacher.inputs import CaptionInputs, ClaimLine, EvidenceLine, QueriesInputs
from hardcut.teacher.replies import CaptionReply, ClaimReply, FacetReply, QueriesReply, QueryReply, WrittenView
from hardcut.teacher.words import STOP_WORDS, WordIndex, contains, weight, words

_Item = TypeVar("_Item")

_MODALITIES: Mapping[EvidenceKind, Modality] = {
    "ocr": "ocr", "speech": "speech", "motion": "motion", "colour": "visual", "metadata": "metadata",
}  # fmt: skip
_RANKS: Mapping[EvidenceKind, int] = {"ocr": 0, "speech": 0, "motion": 1, "colour": 1, "metadata": 2, "shot": 3}
"""What is left out of a caption last comes first."""
_FIELD = re.compile(r"([A-Za-z_ ]{1,30}):\s+(.+)", re.DOTALL)
_QUOTES = re.compile(r'["“”„«»]')
_TITLES = frozenset({"title", "name", "filename", "file name"})
_EXPECTED: Mapping[Modality, tuple[str, ...]] = {
    "ocr": ("exit", "closed", "welcome", "danger", "menu", "sale", "stop", "breaking news"),
    "speech": ("goodbye", "thank you", "hello", "sorry", "congratulations", "good morning"),
}
"""What one might expect to read or hear; used for a negation where all evidence of the video is without it."""
_STRIKING = 0.5
"""Movement that is less sure than this is told in captions and asked for nowhere."""
_CHOICES = 12
"""Of a video's mentions so many are combined with each other: enough for ten queries, and bounded."""


@dataclass(frozen=True, slots=True)
class _Mention:
    """Something that a query can ask for: a clause around a phrase, and where it is found."""

    phrase: str
    modality: Modality
    start: float | None
    end: float | None

    def clause(self, seed: str) -> str:
        quoted = f'"{self.phrase}"'
        if self.modality == "ocr":
            return _pick(
                (f"the text {quoted} appears", f"{quoted} is written on screen", f"a sign reads {quoted}"), seed
            )
        if self.modality == "speech":
            return _pick((f"someone says {quoted}", f"a speaker says {quoted}", f"{quoted} is said"), seed)
        return quoted if set(words(self.phrase)) & (NEGATIONS | RELATIONS.keys()) else self.phrase

    def facet(self) -> FacetReply:
        return FacetReply(text=self.phrase, modality=self.modality, start=self.start, end=self.end)


def write_caption(inputs: CaptionInputs) -> CaptionReply:
    """One sentence for each line of evidence, in order of time and metadata last, as many as fit into `max_words`;
    texts and speech come before movement and colour, metadata and cuts where not all fit. Every claim cites its
    line."""
    in_order = sorted(inputs.evidence, key=lambda line: (line.start is None, line.start))
    ranked = {claim.text: (_RANKS[kind], claim) for kind, claim in _claims(in_order)}
    left = inputs.max_words
    kept: set[str] = set()
    for _, claim in sorted(ranked.values(), key=lambda each: each[0]):
        size = len(claim.text.split()) + 1
        if size <= left:
            left -= size
            kept.add(claim.text)
    chosen = [claim for _, claim in ranked.values() if claim.text in kept]
    if not chosen:
        return CaptionReply(caption="Nothing is known about what this video shows.", claims=())
    sentences: list[str] = []
    before: float | None = None
    for claim in chosen:
        follows = before is not None and claim.start is not None and claim.start >= before
        sentences.append(f"Then {claim.text[0].lower()}{claim.text[1:]}." if follows else f"{claim.text}.")
        before = claim.end
    return CaptionReply(caption=" ".join(sentences), claims=tuple(chosen))


def write_queries(inputs: QueriesInputs) -> QueriesReply:
    """For each view at most `per_view` queries out of its own part of the evidence, their kinds varied."""
    index = WordIndex([line.text for line in inputs.evidence] + [inputs.caption])
    metadata = [_field(line.text) for line in inputs.evidence if line.kind == "metadata"]
    titles = [words(value) for name, value in metadata if name in _TITLES or len(words(value)) > 1]
    told = inputs.model_dump(mode="json")
    written: dict[str, QueryReply] = {}
    for view in inputs.views:
        mentions = _mentions(view, inputs)
        seed = digest(told, view)
        groups = [
            [
                query
                for query in group
                if query.text not in written
                and len(query.text.split()) <= inputs.max_words
                and (view == "metadata" or not any(contains(words(query.text), title) for title in titles))
            ]
            for group in _candidates(view, mentions, index, seed)
        ]
        for query in _in_turn(groups, seed)[: inputs.per_view]:
            written[query.text] = query
    return QueriesReply(queries=tuple(written.values()))


def _claims(evidence: Sequence[EvidenceLine]) -> Iterator[tuple[EvidenceKind, ClaimReply]]:
    for line in evidence:
        text = " ".join(line.text.split())
        start, end = line.start, line.end
        if line.kind == "ocr":
            said = f'The text "{_shorten(text)}" can be read'
        elif line.kind == "speech":
            said = f'Someone says: "{_shorten(text)}"'
        elif line.kind == "metadata":
            name, value = _field(line.text)
            said = f'{name.capitalize().replace("_", " ") or "Told of it"}: "{_shorten(value)}"'
        elif line.kind == "shot":
            if not start:
                continue  # the first shot begins with the video: no cut
            said, end = f"The picture cuts at {start:g} s", start
        else:
            said = f"{text[0].upper()}{text[1:].rstrip('.')}"
        yield line.kind, ClaimReply(text=said, start=start, end=end, evidence=(line.id,))


def _mentions(view: WrittenView, inputs: QueriesInputs) -> list[_Mention]:
    """What a view may ask for, in order of time, each phrase once."""
    if view == "caption":
        kinds = {line.id: line.kind for line in inputs.evidence}
        too_common = {
            line.id
            for line in inputs.evidence
            if line.kind in ("motion", "colour") and not _can_be_asked(line, inputs.video.duration_s)
        }
        asked = [claim for claim in inputs.claims if not claim.evidence or not too_common.issuperset(claim.evidence)]
        found = [mention for claim in asked for mention in _from_claim(claim, kinds)]
    else:
        found = [
            _from_line(line)
            for line in inputs.evidence
            if (line.kind == view if view != "all" else _can_be_asked(line, inputs.video.duration_s))
        ]
    telling = [m for m in found if sum(weight(word) for word in words(m.phrase) if word not in STOP_WORDS) >= 3]
    unique = {(mention.modality, tuple(words(mention.phrase))): mention for mention in reversed(telling)}
    return list(reversed(unique.values()))


def _can_be_asked(line: EvidenceLine, duration_s: float) -> bool:
    """Whether a query can ask for a line beside metadata: colours and a camera that stands are of too many videos."""
    if line.kind == "motion":
        whole = line.start == 0 and line.end is not None and line.end >= duration_s
        return not whole and (line.confidence or 0.0) >= _STRIKING
    return line.kind in ("ocr", "speech")


def _from_line(line: EvidenceLine) -> _Mention:
    if line.kind == "motion":
        phrase = _phrase(line.text, 14)
    else:
        phrase = _phrase(_field(line.text)[1], 8) if line.kind == "metadata" else _phrase(line.text, 5)
    return _Mention(phrase, _MODALITIES[line.kind], line.start, line.end)


def _from_claim(claim: ClaimLine, kinds: Mapping[str, EvidenceKind]) -> Iterator[_Mention]:
    """A claim of the caption, unless it repeats metadata or tells of a cut."""
    cited = [kinds[id] for id in claim.evidence if id in kinds]
    if cited and set(cited) <= {"metadata", "shot"}:
        return
    modality: Modality = next((_MODALITIES[kind] for kind in cited if kind in _MODALITIES), "visual")
    quoted = re.search(r'"([^"]+)"', claim.text) if modality in ("ocr", "speech") else None
    yield _Mention(_phrase(quoted[1], 5) if quoted else _phrase(claim.text, 12), modality, claim.start, claim.end)


def _candidates(view: WrittenView, mentions: Sequence[_Mention], index: WordIndex, seed: str) -> list[list[QueryReply]]:
    """Queries by kind, each list in the order of a digest. The view `all` joins two sources where it can."""
    some = _shuffled(mentions, seed)[:_CHOICES]

    def query(kind: QueryKind, texts: Sequence[str], *facets: _Mention) -> QueryReply:
        text = _pick(texts, digest(seed, kind, [facet.phrase for facet in facets]))
        return QueryReply(
            text=text, language="en", view=view, kind=kind, facets=tuple(facet.facet() for facet in facets)
        )

    multi_hop: list[QueryReply] = []
    temporal: list[QueryReply] = []
    for a in some:
        for b in some:
            if a.start is None or a.end is None or b.start is None or a.start >= b.start:
                continue
            first, second = a.clause(seed + b.phrase), b.clause(seed + a.phrase)
            in_order = (f"{first} before {second}", f"{first} and then {second}", f"{second} after {first}")
            if a.modality != b.modality:
                multi_hop.append(
                    query("multi_hop", (f"{first} while {second}",) if b.start < a.end else in_order, a, b)
                )
            elif a.end <= b.start:
                temporal.append(query("temporal", in_order, a, b))
    if view == "all" and multi_hop:
        return [_shuffled(multi_hop, seed)]
    negation = [
        query("negation", tuple(f"{a.clause(seed)} but {absent}" for absent in _absent(a.modality, index)), a)
        for a in some
        if _absent(a.modality, index)
    ]
    moment = [
        query("moment", (f"the moment when {a.clause(seed)}", f"the part where {a.clause(seed)}"), a)
        for a in some
        if a.start is not None
    ]
    event = [query("event", [f"{opening} {a.clause(seed)}" for opening in _openings(a)], a) for a in some]
    kinds = {"multi_hop": multi_hop, "temporal": temporal, "negation": negation, "moment": moment, "event": event}
    return [_shuffled(queries, seed + kind) for kind, queries in kinds.items()]


def _absent(modality: Modality, index: WordIndex) -> list[str]:
    """Clauses that deny what one might expect in the modality, each true of all evidence."""
    never = {"ocr": "the screen never shows", "speech": "nobody says"}.get(modality, "")
    return [
        f'{never} "{phrase}"'
        for phrase in _EXPECTED.get(modality, ())
        if not any(index.find(word) for word in words(phrase) if word not in STOP_WORDS)
    ]


def _openings(mention: _Mention) -> tuple[str, str]:
    return ("video about", "footage of") if mention.modality == "metadata" else ("clip where", "a scene in which")


def _in_turn(groups: Sequence[Sequence[QueryReply]], seed: str) -> list[QueryReply]:
    """One of each kind, then the next of each; which kind comes first falls by digest."""
    filled = [group for group in groups if group]
    turn = _number(seed) % len(filled) if filled else 0
    filled = [*filled[turn:], *filled[:turn]]
    return [group[at] for at in range(max(map(len, filled), default=0)) for group in filled if at < len(group)]


def _phrase(text: str, most: int) -> str:
    """The run of at most `most` words that tells most, in lower case, without quotation marks and outer punctuation."""
    parts = [part.strip(".,;:!?()[]…-–—*|/\\") for part in _QUOTES.sub(" ", text).lower().split()]
    parts = [part if part.isascii() else part[:24] for part in parts if part]
    if len(parts) > most:
        tells = [sum(weight(word) for word in words(part) if word not in STOP_WORDS) for part in parts]
        at = max(range(len(parts) - most + 1), key=lambda begin: (sum(tells[begin : begin + most]), -begin))
        telling = [place for place in range(at, at + most) if tells[place]] or [at]
        parts = parts[telling[0] : telling[-1] + 1]
    return " ".join(parts)


def _shorten(text: str, most: int = 25) -> str:
    parts = _QUOTES.sub("'", text).rstrip(". ").split()
    return " ".join(parts if len(parts) <= most else [*parts[:most], "…"])


def _field(text: str) -> tuple[str, str]:
    """Name and value of a line of metadata such as `title: A day out`; no name where it is not of that form."""
    match = _FIELD.fullmatch(text)
    return (match[1].strip().lower(), match[2]) if match else ("", text)


def _shuffled(items: Sequence[_Item], seed: str) -> list[_Item]:
    return [item for _, item in sorted(enumerate(items), key=lambda pair: digest(seed, pair[0]))]


def _pick(choices: Sequence[str], seed: str) -> str:
    return choices[_number(digest(seed, list(choices))) % len(choices)]


def _number(seed: str) -> int:
    return int(seed[:8], 16)
