"""What evidence lets one ask for: phrases with their place in time, and what one might expect and does not find."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from hardcut.schemas.ids import digest
from hardcut.schemas.records import EvidenceKind, Modality
from hardcut.schemas.text.words import STOP_WORDS, WordIndex, word_weight, words
from hardcut.teacher.prompts.inputs import ClaimLine, EvidenceLine, QueriesInputs
from hardcut.teacher.prompts.reply_models import FacetReply, WrittenView
from hardcut.teacher.rules.judge import NEGATIONS, RELATIONS

_Item = TypeVar("_Item")

_MODALITIES: Mapping[EvidenceKind, Modality] = {
    "ocr": "ocr", "speech": "speech", "sound": "sound", "motion": "motion", "colour": "visual", "metadata": "metadata",
}  # fmt: skip
_FIELD = re.compile(r"([A-Za-z_ ]{1,30}):\s+(.+)", re.DOTALL)
_FILLERS = re.compile(r"\b(a|an|the|from|is|on)\b", re.IGNORECASE)
QUOTED = re.compile(r'("[^"]*")')
QUOTES = re.compile(r'["“”„«»]')
EXPECTED: Mapping[Modality, tuple[str, ...]] = {
    "ocr": ("exit", "closed", "welcome", "danger", "menu", "sale", "stop", "breaking news"),
    "speech": ("goodbye", "thank you", "hello", "sorry", "congratulations", "good morning"),
}
"""What one might expect to read or hear; used for a negation where all evidence of the video is without it."""
_TELLING = 3
"""Least weight of the words of a phrase (`word_weight`)."""
_STANDS = "the camera stands still"
_STRIKING = 0.5
"""Movement that is less sure than this is told in captions and asked for nowhere."""


@dataclass(frozen=True, slots=True)
class Mention:
    """Something that a query can ask for: a clause around a phrase, and where it is found."""

    phrase: str
    modality: Modality
    start: float | None
    end: float | None

    def clause(self, seed: str) -> str:
        """The phrase as a statement, worded by a digest of `seed`."""
        quoted = f'"{self.phrase}"'
        if self.modality == "ocr":
            return pick_by_digest(
                (f"the text {quoted} appears", f"{quoted} is written on screen", f"a sign reads {quoted}"), seed
            )
        if self.modality == "speech":
            return pick_by_digest((f"someone says {quoted}", f"a speaker says {quoted}", f"{quoted} is said"), seed)
        return quoted if set(words(self.phrase)) & (NEGATIONS | RELATIONS.keys()) else self.phrase

    def facet(self) -> FacetReply:
        return FacetReply(text=self.phrase, modality=self.modality, start=self.start, end=self.end)


def mentions_of(view: WrittenView, inputs: QueriesInputs) -> list[Mention]:
    """What a view may ask for, in order of time, each phrase once."""
    if view == "caption":
        kinds = {line.id: line.kind for line in inputs.evidence}
        too_common = {
            line.id
            for line in inputs.evidence
            if line.kind in ("motion", "colour", "sound") and not can_be_asked(line, inputs.video.duration_s)
        }
        asked = [claim for claim in inputs.claims if not claim.evidence or not too_common.issuperset(claim.evidence)]
        found = [mention for claim in asked for mention in _from_claim(claim, kinds)]
    else:
        found = [
            mention_of(line)
            for line in inputs.evidence
            if (line.kind == view if view != "all" else can_be_asked(line, inputs.video.duration_s))
        ]
    telling = [mention for mention in found if is_telling(mention)]
    unique = {(mention.modality, tuple(words(mention.phrase))): mention for mention in reversed(telling)}
    return list(reversed(unique.values()))


def is_telling(mention: Mention) -> bool:
    """Whether the phrase says enough to be searched for or denied: a single sign is often a piece of another text."""
    return sum(word_weight(word) for word in words(mention.phrase) if word not in STOP_WORDS) >= _TELLING


def can_be_asked(line: EvidenceLine, duration_s: float) -> bool:
    """Whether a query can ask for a line beside metadata: colours and a camera that stands are of too many videos. That
    a camera stands is no event either: it begins and ends with a shot or with what can be told of it, so that it comes
    before and after whatever else happens."""
    whole = line.start == 0 and line.end is not None and line.end >= duration_s
    if line.kind == "sound":
        return not whole
    if line.kind == "motion":
        return not whole and line.text != _STANDS and (line.confidence or 0.0) >= _STRIKING
    return line.kind in ("ocr", "speech")


def mention_of(line: EvidenceLine) -> Mention:
    """What a line lets one ask for."""
    if line.kind == "motion":
        phrase = phrase_of(line.text, 14)
    else:
        phrase = phrase_of(field_of(line.text)[1], 8) if line.kind == "metadata" else phrase_of(line.text, 5)
    return Mention(phrase, _MODALITIES[line.kind], line.start, line.end)


def _from_claim(claim: ClaimLine, kinds: Mapping[str, EvidenceKind]) -> Iterator[Mention]:
    """A claim of the caption, unless it repeats metadata or tells of a cut."""
    cited = [kinds[id] for id in claim.evidence if id in kinds]
    if cited and set(cited) <= {"metadata", "shot"}:
        return
    modality: Modality = next((_MODALITIES[kind] for kind in cited if kind in _MODALITIES), "visual")
    quoted = re.search(r'"([^"]+)"', claim.text) if modality in ("ocr", "speech") else None
    yield Mention(phrase_of(quoted[1], 5) if quoted else phrase_of(claim.text, 12), modality, claim.start, claim.end)


def denials(modality: Modality, index: WordIndex) -> list[str]:
    """Clauses that deny what one might expect in the modality, each true of all evidence."""
    never = {"ocr": "the screen never shows", "speech": "nobody says"}.get(modality, "")
    return [
        f'{never} "{phrase}"'
        for phrase in EXPECTED.get(modality, ())
        if not any(index.find(word) for word in words(phrase) if word not in STOP_WORDS)
    ]


def phrase_of(text: str, most: int) -> str:
    """The run of at most `most` words that tells most, in lower case, without quotation marks and outer punctuation."""
    parts = [part.strip(".,;:!?()[]…-–—*|/\\") for part in QUOTES.sub(" ", text).lower().split()]
    parts = [part if part.isascii() else part[:24] for part in parts if part]
    if len(parts) > most:
        tells = [sum(word_weight(word) for word in words(part) if word not in STOP_WORDS) for part in parts]
        at = max(range(len(parts) - most + 1), key=lambda begin: (sum(tells[begin : begin + most]), -begin))
        telling = [place for place in range(at, at + most) if tells[place]] or [at]
        parts = parts[telling[0] : telling[-1] + 1]
    return " ".join(parts)


def keywords(text: str) -> str:
    """The text without articles and the like, quotations as they are: what people type into a search box."""
    parts = QUOTED.split(text)
    kept = [part if part.startswith('"') else _FILLERS.sub("", part) for part in parts]
    return " ".join("".join(kept).split())


def field_of(text: str) -> tuple[str, str]:
    """Name and value of a line of metadata such as `title: A day out`; no name where it is not of that form."""
    match = _FIELD.fullmatch(text)
    return (match[1].strip().lower(), match[2]) if match else ("", text)


def shuffled(items: Sequence[_Item], seed: str) -> list[_Item]:
    """The items in an order that falls by digest."""
    return [item for _, item in sorted(enumerate(items), key=lambda pair: digest(seed, pair[0]))]


def pick_by_digest(choices: Sequence[str], seed: str) -> str:
    """One of the choices, by digest."""
    return choices[number_of(digest(seed, list(choices))) % len(choices)]


def number_of(seed: str) -> int:
    """A number out of a digest."""
    return int(seed[:8], 16)
