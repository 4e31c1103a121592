"""What is asked of each query of a video before it is written: its kind, its length and style, and who would search.

All of it falls by a digest of video and view, so that a collection meets every form even where a view gets one query.
"""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import JsonValue

from hardcut.schemas.ids import digest
from hardcut.schemas.records import QueryKind, View
from hardcut.schemas.settings import QuerySettings
from hardcut.schemas.text.clean import WORDS

_ONE_SOURCE: tuple[QueryKind, ...] = ("event", "temporal", "negation", "moment", "cause")
KINDS: Mapping[View, tuple[QueryKind, ...]] = {
    "caption": (*_ONE_SOURCE, "count", "spatial", "multi_hop"),
    "speech": _ONE_SOURCE,
    "sound": ("event", "temporal", "negation", "moment"),
    "ocr": (*_ONE_SOURCE, "count"),
    "metadata": ("event",),
    "all": (*_ONE_SOURCE, "count", "spatial", "multi_hop", "contradiction"),
}
"""The kinds that the material of a view can bear. What is said can contradict what is shown only where both are told.
A caption may tell of two modalities."""
_NOT_DRAWN: Mapping[View, frozenset[QueryKind]] = {"caption": frozenset({"multi_hop"})}
PERSONAS = (
    "a teacher who prepares a lesson",
    "a journalist who checks a report",
    "someone who saw it once, long ago",
    "a film editor in need of footage",
    "a traveller who plans a visit",
    "a parent choosing with a child",
    "an engineer who looks into a fault",
    "a learner of the language",
    "an archivist who describes a collection",
    "a fan who knows the subject well",
    "someone in a hurry, on a phone",
    "a researcher who collects examples",
)
INTENTS = (
    "to find this one again",
    "to see whether it really happened",
    "to learn how it is done",
    "to learn why it happened",
    "to find a good example",
    "to tell it from something alike",
    "to quote from it",
    "to see how it ends",
)


def forms(video_id: str, view: View, options: QuerySettings) -> list[JsonValue]:
    """The form of each query that is asked for of a view."""
    turn = _number(video_id, view)
    drawn = [kind for kind in KINDS[view] if kind not in _NOT_DRAWN.get(view, ())]
    return [_form(video_id, view, number, drawn, options) for number in range(turn, turn + options.per_view)]


def _form(
    video_id: str, view: View, number: int, drawn: list[QueryKind], options: QuerySettings
) -> dict[str, JsonValue]:
    """The form that has this number in the turn of all forms."""
    length = options.lengths[number % len(options.lengths)]
    return {
        "view": view,
        "length": length,
        "words": min(WORDS.get(length, options.max_words), options.max_words),
        "style": options.registers[number // len(options.lengths) % len(options.registers)],
        "kind": drawn[(_number(video_id, view, "kind") + number) % len(drawn)],
        "persona": PERSONAS[_number(video_id, view, "persona", number) % len(PERSONAS)],
        "intent": INTENTS[_number(video_id, view, "intent", number) % len(INTENTS)],
    }


def _number(*parts: str | int) -> int:
    return int(digest(*parts)[:8], 16)
