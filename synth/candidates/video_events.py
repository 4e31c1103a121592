"""What happens in a video in short: things read, said and moving, each apart from when and in which direction.

Two videos of one content that tell it in another order or direction are chiral twins: this is how they are compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Literal, NamedTuple

from hardcut.schemas.records import Box, Caption, Claim, Evidence, EvidenceKind
from hardcut.schemas.text.direction import DirectedText, split_directions
from hardcut.schemas.text.words import COLOURS, MOVEMENT, STOP_WORDS, words

ItemKind = Literal["ocr", "speech", "motion", "claim"]

MOST = 24
"""Items of a video that are compared: enough for what a short clip tells, and bounded for a long one."""
_SURE: dict[EvidenceKind, float] = {"ocr": 0.8, "speech": 0.0, "motion": 0.5}
"""Evidence at least this confident must be matched in a twin; what is less sure may be a slip of the extractor."""
_MANNER = frozenset(
    (
        "resting",
        "slowly",
        "quickly",
        "small",
        "large",
        "tiny",
        "rest",
        "comes",
        "then",
        "gets",
        "moves",
        "enters",
        "leaves",
    )
)
_UNNAMED = frozenset(("something", "camera"))
_GENERIC = frozenset(
    ("thing", "things", "mostly", "stands", "still", "picture", "cuts", "text", "read", "says", "someone")
)
_SHADES = frozenset(("grey", "black", "brown"))
"""What shadow and blur make of any colour."""
_PLAIN_SHARE = 0.6
"""Of a thing, what its first colour fills at least for the thing to be known by that colour."""
_LEAST_LETTERS = 3
_TEXT_SHARE = 0.4
"""Of the place where something moves, what a text must fill for the text to be what moved."""


class VideoEvent(NamedTuple):
    """One thing that happens: `key` says what without direction, `ways` which way, `start` when (seconds).

    `plain_colour`: its colour, where it moves, is one that a viewer would give it too. Of a hand and its sleeve in real
    light one recording shows an orange thing and another one a grey thing.
    """

    kind: ItemKind
    key: str
    ways: tuple[int, ...]
    start: float
    sure: bool
    text: str
    plain_colour: bool = True


def observed_events(evidence: Iterable[Evidence]) -> tuple[VideoEvent, ...]:
    """What evidence tells of a video in order of time. Marks of a letter or two are left out: they are mostly misread;
    so is movement of what has no name, and what holds of the whole video alike (colours, cuts, metadata). Movement
    where text stands is unsure: a sign that changes its words looks like a thing that grows."""
    lines = list(evidence)
    texts = [line for line in lines if line.kind == "ocr"]
    return _in_order(item for line in lines for item in _of_evidence(line, texts))


def claimed_events(caption: Caption | None, evidence: Iterable[Evidence]) -> tuple[VideoEvent, ...]:
    """What the caption's claims tell in order of time, but for those that rest on metadata or cuts alone."""
    if caption is None:
        return ()
    about = {line.evidence_id: line for line in evidence}
    return _in_order(item for claim in caption.claims for item in _of_claim(claim, about))


def is_specific(items: Iterable[VideoEvent]) -> bool:
    """Whether the items together say so much that hardly two scenes share it by chance: two of them at least, and
    twelve letters of words that are no directions, colours or such as any description has."""
    found = list(items)
    event_words = {word for item in found for word in item.key.split() if not word.startswith("±")}
    telling = event_words - COLOURS - MOVEMENT - _GENERIC - _UNNAMED
    return len(found) > 1 and sum(map(len, telling)) >= 12


def _of_evidence(line: Evidence, texts: Iterable[Evidence]) -> Iterator[VideoEvent]:
    if line.span is None or line.kind not in _SURE:
        return
    sure = _is_sure(line)
    found = _words(line.text)
    if line.kind == "motion":
        if _UNNAMED.intersection(found):
            return
        apart = _apart(line.text)
        if apart.ways:
            sure = sure and not any(_covers(text.box, line.box) for text in texts)
            yield VideoEvent(
                "motion", " ".join(apart.words), apart.ways, line.span.start, sure, line.text, _plain(line)
            )
    elif sum(map(len, found)) >= _LEAST_LETTERS:
        kind: ItemKind = "ocr" if line.kind == "ocr" else "speech"
        yield VideoEvent(kind, " ".join(found), (), line.span.start, sure, line.text)


def _covers(text: Box | None, moving: Box | None) -> bool:
    if text is None or moving is None:
        return False
    width = min(text.right, moving.right) - max(text.left, moving.left)
    height = min(text.bottom, moving.bottom) - max(text.top, moving.top)
    area = (moving.right - moving.left) * (moving.bottom - moving.top)
    return width > 0 and height > 0 and width * height >= _TEXT_SHARE * area


def _of_claim(claim: Claim, about: dict[str, Evidence]) -> Iterator[VideoEvent]:
    """A claim is as sure as the best of what it rests on."""
    cited = [about[id] for id in claim.evidence_ids if id in about]
    if claim.span is None or (cited and {line.kind for line in cited} <= {"metadata", "shot", "colour"}):
        return
    sure = not cited or any(_is_sure(line) for line in cited)
    moving = [line for line in cited if line.kind == "motion"]
    plain = not moving or any(_plain(line) for line in moving)
    apart = _apart(claim.text)
    if not _UNNAMED.intersection(_words(claim.text)) and sum(map(len, apart.words)) >= _LEAST_LETTERS:
        yield VideoEvent("claim", " ".join(apart.words), apart.ways, claim.span.start, sure, claim.text, plain)


def _is_sure(line: Evidence) -> bool:
    return line.confidence is None or line.confidence >= _SURE.get(line.kind, 0.0)


def _plain(line: Evidence) -> bool:
    """Whether one colour fills most of what moves, and is no shade. Evidence that tells no share is believed."""
    share = (line.support or {}).get("colour", 1.0)
    return share >= _PLAIN_SHARE and _SHADES.isdisjoint(_words(line.text))


@lru_cache(maxsize=1024)
def _words(text: str) -> tuple[str, ...]:
    """A claim mostly says what a line of evidence says, so texts come again at once."""
    return tuple(words(text))


@lru_cache(maxsize=1024)
def _apart(text: str) -> DirectedText:
    """What it says but for manner and stop words, and which way that goes."""
    return split_directions(word for word in _words(text) if word not in STOP_WORDS and word not in _MANNER)


def _in_order(items: Iterable[VideoEvent]) -> tuple[VideoEvent, ...]:
    return tuple(sorted(items, key=lambda item: (item.start, item.kind, item.key))[:MOST])
