"""The protocol of a stage. It knows nothing of files, retries or the ledger. The engine knows nothing of videos."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol, TypeVar

from pydantic import JsonValue

from hardcut.schemas.base import Record
from hardcut.schemas.errors import ItemError
from hardcut.schemas.records import Dropped

R = TypeVar("R", bound=Record)


@dataclass(frozen=True, slots=True)
class Source:
    """A unit that enters the run from outside, such as a file found in a folder.

    `fingerprint` must change whenever the source changes (path, size, time of change, sidecars). Only the fingerprint
    decides whether the unit is done again. `payload` is given to the stage unread.
    """

    id: str
    fingerprint: str
    payload: object


@dataclass(frozen=True, slots=True)
class Unit:
    """One piece of work: a video's id and all records about it that the stage reads."""

    id: str
    records: tuple[Record, ...] = ()
    payload: object = None

    def all(self, kind: type[R]) -> tuple[R, ...]:
        """The unit's records of one kind, sorted by id."""
        return tuple(record for record in self.records if isinstance(record, kind))

    def one(self, kind: type[R]) -> R:
        """The unit's only record of one kind. Raises ItemError where there is none or more than one."""
        found = self.all(kind)
        if len(found) != 1:
            raise ItemError("input", f"{self.id} has {len(found)} records in {kind.FILE}, expected 1")
        return found[0]


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a unit failed: a stable word, a sentence, and the message from outside, word for word."""

    reason: str
    detail: str
    raw: str | None = None


@dataclass(frozen=True, slots=True)
class Output:
    """The result of a unit. With neither `drop` nor `failure` it is done.

    `dropped` lists parts of the unit that were left out (a query of a video); `drop` leaves out the unit itself.
    A unit that failed in part has its good `records`, and `failure` says what is missing.
    """

    records: Sequence[Record] = ()
    dropped: Sequence[Dropped] = ()
    drop: Dropped | None = None
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class Earlier:
    """An earlier version of a stage, with the settings that it would have had for what is asked now.

    A unit stage may list such versions, the latest first, as `earlier`. What they made stays in force in a run that has
    it, until it is renewed: later stages were paid for what they made of it. `reads` is what that version read, if that
    was something else; where a kind of it is made by a later stage now, its present records count.
    """

    version: int
    settings: Mapping[str, JsonValue]
    reads: tuple[type[Record], ...] | None = None


class UnitStage(Protocol):
    """Turns one unit into records, independent of all others.

    `over` says which units there are. `None`: the sources of the engine. A stage's name: the units that this stage
    finished. A record class: every video with such a record. `reads` are the kinds of records about the video that the
    unit gets; if one of them changes, the unit is done again. `settings` is everything else that can change the
    result. It is computed once a run.

    All records that a unit makes are about the unit's video. So a unit goes on to the next stage while others are
    still here (`legs.py`). A stage whose units need something of other units besides may have a coroutine
    `ready(unit_id)`, which returns once it is there; a unit that waits for it takes no place in the stage.

    A unit stage may say, as `without`, which records it does not get after all: by kind, a field and its value. Such
    records come and go, and the unit is not done again.
    """

    kind: ClassVar[Literal["unit"]]
    name: ClassVar[str]
    version: ClassVar[int]
    reads: ClassVar[tuple[type[Record], ...]]
    makes: ClassVar[tuple[type[Record], ...]]

    @property
    def over(self) -> str | type[Record] | None: ...
    @property
    def settings(self) -> Mapping[str, JsonValue]: ...

    async def run(self, unit: Unit) -> Output:
        """Does one unit. May raise ItemError (fails it) or DropItem (leaves it out)."""
        ...


class Reader(Protocol):
    """All records of a run, as a collection stage sees them."""

    def all(self, kind: type[R]) -> Iterator[R]:
        """Every record of one kind that the stage reads, sorted by id, one at a time."""
        ...

    def get(self, kind: type[R], id: str) -> R | None:
        """One record by its id."""
        ...

    def about(self, kind: type[R], subject: str) -> list[R]:
        """The records of one kind about one video, sorted by id."""
        ...


class CollectionStage(Protocol):
    """Sees all records of its inputs at once. Deterministic. It has its own units, such as queries.

    A stage that asks teachers may have a coroutine `prepared()`, which returns the stage to run: one that has their
    answers. `run` itself asks nobody.
    """

    kind: ClassVar[Literal["collection"]]
    name: ClassVar[str]
    version: ClassVar[int]
    reads: ClassVar[tuple[type[Record], ...]]
    makes: ClassVar[tuple[type[Record], ...]]

    @property
    def settings(self) -> Mapping[str, JsonValue]: ...

    def run(self, records: Reader) -> Iterable[tuple[str, Output]]:
        """Every unit of the stage with its result, each once."""
        ...


Stage = UnitStage | CollectionStage
