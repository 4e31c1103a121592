"""From an answer in Argilla to a Review, and nothing made up on the way. Pure functions."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from hardcut.annotate.policy import SetName
from hardcut.annotate.sets import FLAGS, RELEVANCE, WELL_FORMED
from hardcut.schemas.judgments import Relevance, Review, Stratum
from hardcut.schemas.records import Span
from hardcut.schemas.text.languages import language_tag

MAX_WORDING = 5000
"""Characters of a rewrite that are kept. (A query is far shorter: what is longer is told when it is used.)"""

_TIME = r"(?:(?:(\d{1,2}):)?(\d{1,3}):)?(\d{1,6}(?:[.,]\d{1,3})?)\s*s?"
_MOMENT = re.compile(rf"\s*(?:from\s+)?{_TIME}\s*(?:-|–|—|to|until|\.\.+)\s*{_TIME}\s*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ShownPair:
    """What a record told of itself when it was pushed: whose answer it is. It comes back with the record. So an answer
    says what was judged, even if the run has changed since. `run_id` is who pushed it; None in an early record."""

    pair_id: str
    query_id: str
    video_id: str
    query_digest: str
    stratum: Stratum
    suggested: Relevance | None
    video_sha256: str | None = None
    run_id: str | None = None


@dataclass(frozen=True, slots=True)
class Response:
    """A response as Argilla keeps it: values by question, and when it was first given (seconds since the epoch)."""

    response_id: str
    user_id: str | None
    status: str
    values: Mapping[str, Any]
    given_s: float


def read_response(
    shown: ShownPair,
    answer: Response,
    reviewer: str,
    set_name: SetName,
    seconds: float | None,
    experts: Collection[str] = (),
) -> tuple[Review, str | None]:
    """The Review, and what of the answer could not be read (a moment or a language that is none), else None."""
    value_of = answer.values.get
    told = _text(value_of("language"))
    language = language_tag(told)
    moment = _text(value_of("moment"))
    span = parse_moment(moment) if moment else None
    flags = value_of("flags")
    relevance = RELEVANCE.get(str(value_of("relevance")))
    well_formed = WELL_FORMED.get(str(value_of("well_formed")))
    found = Review.create(
        pair_id=shown.pair_id,
        query_id=shown.query_id,
        video_id=shown.video_id,
        query_digest=shown.query_digest,
        video_sha256=shown.video_sha256,
        reviewer=reviewer,
        relevance=relevance[0] if relevance else None,
        suggested=shown.suggested if set_name == "assisted" else None,
        span=span,
        well_formed=well_formed[0] if well_formed else None,
        rewritten_query=_text(value_of("rewrite"))[:MAX_WORDING] or None,
        language=language,
        flags=tuple(flag for flag in FLAGS if flag in flags) if isinstance(flags, list) else (),
        seconds=seconds,
        blind=set_name != "assisted",
        adjudicates=set_name == "adjudication",
        expert=set_name == "adjudication" and reviewer in experts,
        stratum=shown.stratum,
        status=answer.status,
    )
    unread = []
    if moment and span is None:
        unread.append(f"gives the moment as {moment!r}, expected such as 3-7.5 or 0:03-0:07")
    if told and language is None:
        unread.append(f"gives the language as {told[:40]!r}, expected a tag such as de or pt-BR")
    return found, f"{shown.pair_id}: {reviewer} {' and '.join(unread)}" if unread else None


def parse_moment(text: str) -> Span | None:
    """`3-7.5`, `0:03 - 0:07`, `from 3 to 7 s`; None for anything else, also where it ends before it starts."""
    match = _MOMENT.fullmatch(text)
    if match is None:
        return None
    start, end = (_seconds(*match.groups()[at : at + 3]) for at in (0, 3))
    return Span(start=start, end=end) if start <= end else None


def _seconds(hours: str | None, minutes: str | None, seconds: str | None) -> float:
    return 3600 * int(hours or 0) + 60 * int(minutes or 0) + float((seconds or "0").replace(",", "."))


def _text(value: object) -> str:
    return value.strip() if isinstance(value, str) else ""
