"""What became of a unit, as the ledger keeps it. Pure functions."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple

from hardcut.engine.stage import Output
from hardcut.schemas.base import Record
from hardcut.schemas.records import Dropped

Status = Literal["done", "dropped", "failed"]


class Entry(NamedTuple):
    """A record as a row: its class's name, id, video, SHA-256 of the body, and the body, one line of JSON."""

    kind: str
    id: str
    about: str
    digest: str
    body: str


@dataclass(frozen=True, slots=True)
class Result:
    """A settled unit."""

    key: str
    status: Status
    entries: tuple[Entry, ...] = ()
    reason: str | None = None
    detail: str | None = None
    raw: str | None = None
    seconds: float = 0.0


def settled(
    key: str, output: Output, makes: Iterable[type[Record]], seconds: float = 0.0, about: str | None = None
) -> Result:
    """What the ledger keeps of a unit. `about` is the video that its records must be about, if about any.

    Raises ValueError where the output breaks the contract of stages.
    """
    if output.drop and (output.failure or output.records):
        raise ValueError("a unit that is dropped has neither a failure nor records")
    allowed: tuple[type[Record], ...] = (*makes, Dropped)
    if strange := sorted({type(record).__name__ for record in output.records if not isinstance(record, allowed)}):
        raise ValueError(f"the stage does not say that it makes {', '.join(strange)}")
    if about is not None and (foreign := {record.about for record in output.records} - {about, ""}):
        raise ValueError(f"the unit {about!r} made records about {', '.join(map(repr, sorted(foreign)))}")
    entries = [_entry(record) for record in (*output.records, *output.dropped)]
    if output.drop:
        entries.append(_entry(output.drop))
    entries.sort()
    for one, other in itertools.pairwise(entries):
        if one[:2] == other[:2]:
            raise ValueError(f"two records of kind {one.kind} have the id {one.id!r}")
    if output.failure:
        reason, detail, raw = output.failure.reason, output.failure.detail, output.failure.raw
        raw = None if raw is None else _storable(raw)
        return Result(key, "failed", tuple(entries), _storable(reason), _storable(detail), raw, seconds)
    if output.drop:
        return Result(key, "dropped", tuple(entries), output.drop.reason, output.drop.detail, None, seconds)
    return Result(key, "done", tuple(entries), seconds=seconds)


def _entry(record: Record) -> Entry:
    body = record.model_dump_json()
    return Entry(type(record).__name__, record.id, record.about, hashlib.sha256(body.encode()).hexdigest(), body)


def _storable(text: str) -> str:
    """Outside text may hold halves of surrogate pairs, which no database stores."""
    return text.encode("utf-8", "backslashreplace").decode()
