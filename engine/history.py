"""What a ledger ever had, current or not: results are kept under their keys when settings and inputs change."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

from hardcut.engine import checksums
from hardcut.engine.ledger import Ledger
from hardcut.schemas.base import Record

R = TypeVar("R", bound=Record)


def ever_named(ledger: Ledger, kind: type[R], by: type[Record], field: str) -> Iterator[R]:
    """The records of one kind that records of another kind name in a field, whatever the settings were: each in its
    present form, else its latest. A body that does not fit its digest is passed over."""
    sql = (
        "SELECT r.id, r.body, r.digest FROM record r JOIN unit u ON u.id = r.unit "
        "LEFT JOIN stage s ON s.name = u.stage WHERE r.kind = ?1 AND r.id IN "
        f"(SELECT json_extract(body, '$.{field}') FROM record WHERE kind = ?2 AND json_valid(body)) "
        "ORDER BY r.id, u.generation = s.generation DESC, u.id DESC"
    )
    last = ""
    with ledger.database.errors():
        for row in ledger.database.reader.execute(sql, (kind.__name__, by.__name__)):
            if row["id"] != last and checksums.of_body(row["body"]) == row["digest"]:
                last = row["id"]
                yield kind.model_validate_json(row["body"])


def latest(ledger: Ledger, kind: type[R], about: str, stage: str) -> list[R]:
    """What a stage last made of one kind about one thing, whatever its settings and inputs were, sorted by id. A body
    that does not fit its digest is passed over. For the event loop's thread."""
    rows = ledger.database.read(
        "SELECT r.unit, r.body, r.digest FROM record r JOIN unit u ON u.id = r.unit WHERE r.kind = ? "
        "AND r.about = ? AND u.stage = ? ORDER BY u.generation DESC, u.id DESC, r.id",
        (kind.__name__, about, stage),
    )
    return [
        kind.model_validate_json(row["body"])
        for row in rows
        if row["unit"] == rows[0]["unit"] and checksums.of_body(row["body"]) == row["digest"]
    ]
