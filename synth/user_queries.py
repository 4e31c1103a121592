"""The user's own queries (`--queries FILE`): .tsv (id, tab, text), MultiVENT's .csv (Query_id,query), or .jsonl, which
may give a split, a kind, and the video that a composed query starts from."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar, Literal, NamedTuple, get_args

from pydantic import JsonValue

from hardcut.engine.stage import Output, Reader
from hardcut.schemas.base import Record
from hardcut.schemas.errors import UsageError
from hardcut.schemas.jsonl import parse_json
from hardcut.schemas.limits import MAX_ID
from hardcut.schemas.query_columns import ID_COLUMNS, TEXT_COLUMNS, column, find_column
from hardcut.schemas.records import Dropped, Query, QueryKind, Split
from hardcut.schemas.text.clean import clean, length_class
from hardcut.schemas.text.visible import is_seen
from hardcut.synth.decompose import Decomposer, Parts

_KINDS: tuple[QueryKind, ...] = ("event", "moment", "composed")
"""Kinds that a user's query may have: what the others promise, such as a negation's other side, nobody wrote for it."""


class _Row(NamedTuple):
    line: int
    query_id: str
    text: str
    language: str = "und"
    split: Split | None = None
    kind: QueryKind = "event"
    reference_video_id: str | None = None


def read_queries(path: Path) -> list[Query]:
    """The queries of a file in the file's order, with the user's ids as `external_id`.

    Raises UsageError, which names file and line: a line that is not a query, no id or text, an id used twice.
    """
    readers = {".tsv": _tsv, ".csv": _csv, ".jsonl": _jsonl}
    if path.suffix.lower() not in readers:
        raise UsageError(f"{path}: queries come as .tsv (id, tab, text), .csv (Query_id,query) or .jsonl")
    queries: dict[str, Query] = {}
    lines: dict[str, int] = {}
    for row in readers[path.suffix.lower()](path, _text_of(path)):
        text = clean(row.text)
        if not is_seen(row.query_id) or not is_seen(text):
            missing = "text" if is_seen(row.query_id) else "id"
            raise UsageError(f"{path}, line {row.line}: the query has no {missing}")
        if len(row.query_id) > MAX_ID:
            raise UsageError(f"{path}, line {row.line}: the query's id has more than {MAX_ID} characters")
        if row.query_id in queries:
            first = lines[row.query_id]
            raise UsageError(f"{path}, line {row.line}: the id {row.query_id!r} is that of line {first} already")
        lines[row.query_id] = row.line
        queries[row.query_id] = Query.create(
            text=text,
            language=row.language,
            view="user",
            kind=row.kind,
            length=length_class(text),
            external_id=row.query_id,
            split=row.split,
            reference_video_id=row.reference_video_id,
        )
    if not queries:
        raise UsageError(f"{path}: no query in it")
    return list(queries.values())


@dataclass(frozen=True, slots=True)
class UserQueryStage:
    """Makes the Queries of the user's file; its units are the user's ids. `decomposer` finds the facets of each; where
    it finds none, the query is kept without."""

    path: Path
    decomposer: Decomposer | None = None
    parts: Mapping[str, Parts] = field(default_factory=dict)

    kind: ClassVar[Literal["collection"]] = "collection"
    name: ClassVar[str] = "user_queries"
    version: ClassVar[int] = 4
    reads: ClassVar[tuple[type[Record], ...]] = ()
    makes: ClassVar[tuple[type[Record], ...]] = (Query,)

    @property
    def settings(self) -> Mapping[str, JsonValue]:
        digest = {"sha256": hashlib.sha256(_bytes_of(self.path)).hexdigest()}
        return {**digest, "teachers": self.decomposer.described} if self.decomposer else digest

    async def prepared(self) -> UserQueryStage:
        """The stage with what its teacher says of the queries."""
        if self.decomposer is None:
            return self
        return replace(self, parts=await self.decomposer.parts(read_queries(self.path)))

    def run(self, records: Reader) -> Iterable[tuple[str, Output]]:
        for query in read_queries(self.path):
            parts = self.parts.get(query.query_id, Parts())
            dropped = [
                Dropped.create(item=query.query_id, stage=self.name, reason=Decomposer.REASON, detail=detail)
                for detail in (parts.silent,)
                if detail
            ]
            whole = query.model_copy(update={"facets": parts.facets})
            yield query.external_id or "", Output(records=(whole,), dropped=dropped, failure=parts.failure)


def _tsv(path: Path, text: str) -> Iterator[_Row]:
    for number, line in enumerate(io.StringIO(text, newline=None), 1):  # breaks at line ends alone, not at U+2028
        if not line.strip():
            continue
        cells = line.rstrip("\n").split("\t")
        if len(cells) != 2:
            raise UsageError(f"{path}, line {number}: expected id, tab, text; found {len(cells)} columns")
        if number == 1 and column(cells[0]) in ID_COLUMNS:
            continue
        yield _Row(number, cells[0].strip(), cells[1])


def _csv(path: Path, text: str) -> Iterator[_Row]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = next(reader, [])
        id_name, text_name = find_column(ID_COLUMNS, header), find_column(TEXT_COLUMNS, header)
        if id_name is None or text_name is None:
            raise UsageError(
                f"{path}, line 1: the first line must name the columns Query_id and query, parted by commas"
            )
        at_id, at_text = header.index(id_name), header.index(text_name)
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(header):
                raise UsageError(
                    f"{path}, line {reader.line_num}: {len(cells)} columns where line 1 names {len(header)}"
                )
            yield _Row(reader.line_num, cells[at_id].strip(), cells[at_text])
    except csv.Error as error:
        raise UsageError(f"{path}, line {reader.line_num}: {error}") from error


def _jsonl(path: Path, text: str) -> Iterator[_Row]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            value = parse_json(line)
        except ValueError as error:
            raise UsageError(f"{path}, line {number}: not JSON: {error}") from error
        if not isinstance(value, dict):
            raise UsageError(f"{path}, line {number}: expected an object with query_id and text")
        query_id, query = (value.get(find_column(of, value) or "") for of in (ID_COLUMNS, TEXT_COLUMNS))
        language, split = value.get("language", "und"), value.get("split")
        if isinstance(query_id, int) and not isinstance(query_id, bool):
            query_id = str(query_id)
        if not isinstance(query_id, str) or not isinstance(query, str) or not isinstance(language, str):
            raise UsageError(f"{path}, line {number}: query_id, text (or query) and language must be texts")
        if split not in (None, *get_args(Split)):
            raise UsageError(f"{path}, line {number}: the split is {split!r}: {', '.join(get_args(Split))} or none")
        reference = value.get("reference_video_id")
        if reference is not None and (not isinstance(reference, str) or not reference.strip()):
            raise UsageError(f"{path}, line {number}: reference_video_id is no video's id")
        kind = value.get("kind", "event" if reference is None else "composed")
        if kind not in _KINDS or (kind == "composed") != (reference is not None):
            raise UsageError(
                f"{path}, line {number}: the kind is {kind!r}: {', '.join(_KINDS)}; composed ones have a "
                "reference_video_id, the video that they start from, and no others"
            )
        yield _Row(number, query_id.strip(), query, language, split, kind, reference)


def _text_of(path: Path) -> str:
    try:
        return _bytes_of(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise UsageError(f"{path}, line {line}: not UTF-8 ({error.reason}): save it as UTF-8") from error


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: the queries cannot be read: {error.strerror}") from error
