"""JSON Lines in and out: what is written is read back, and what is wrong is named by file, line and field."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardcut.schemas.errors import RecordError, UsageError
from hardcut.schemas.jsonl import format_record, parse_record, read_objects, read_records, write_records
from hardcut.schemas.records import Evidence, Facet, Query, Span

TEXT = st.text(min_size=1).filter(lambda text: text.strip() != "").map(str)


@given(text=TEXT.filter(lambda t: t.isprintable()), start=st.floats(0, 1e5), length=st.floats(0, 1e3))
def test_a_record_survives_its_json(text: str, start: float, length: float) -> None:
    record = Evidence.create(
        video_id="a", kind="ocr", text=text, span=Span(start=start, end=start + length), extractor="x"
    )
    line = format_record(record)
    assert "\n" not in line
    assert parse_record(Evidence, line) == record


def test_a_file_survives_the_round_trip_with_separators_inside_the_text(tmp_path: Path) -> None:
    texts = ["plain", "two\nlines", "line\u2028separator", 'quote " and \\', "日本語", "\u0085next"]
    records = [Query.create(text=text, view="caption", kind="event") for text in texts]
    buffer = io.StringIO()
    assert write_records(buffer, records) == len(texts)
    path = tmp_path / "queries.jsonl"
    path.write_text(buffer.getvalue(), encoding="utf-8")
    assert list(read_records(path, Query)) == records


@pytest.mark.parametrize(
    ("line", "field"),
    [
        ('{"query_id":"q","text":"t","view":"nowhere","kind":"event"}', "view"),
        ('{"query_id":"q","text":"t","view":"ocr"}', "kind"),
        ('{"query_id":"q","text":"t","view":"ocr","kind":"event","colour":1}', "colour"),
        (
            '{"query_id":"q","text":"t","view":"ocr","kind":"event","facets":[{"text":"x","modality":"smell"}]}',
            "facets.0",
        ),
        ('{"query_id":"q","text":"t","view":"ocr","kind":"event","schema_version":2}', "newer"),
        ("{not json", "JSON"),
        ("[1]", "object"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str, field: str) -> None:
    good = format_record(Query.create(text="t", view="ocr", kind="event"))
    path = tmp_path / "queries.jsonl"
    path.write_text(f"{good}\n\n{line}\n", encoding="utf-8")
    with pytest.raises(RecordError) as caught:
        list(read_records(path, Query))
    message = str(caught.value)
    assert f"{path}, line 3" in message
    assert field in message


def test_a_missing_file_and_bytes_that_are_no_text_are_said_plainly(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        list(read_records(tmp_path / "none.jsonl", Query))
    binary = tmp_path / "binary.jsonl"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RecordError, match="UTF-8"):
        list(read_records(binary, Query))


def test_foreign_objects_come_with_their_line_numbers(tmp_path: Path) -> None:
    path = tmp_path / "manifest.jsonl"
    path.write_text('{"a": 1}\n\n{"b": 2}\n"text"\n', encoding="utf-8")
    found = read_objects(path)
    assert [next(found), next(found)] == [(1, {"a": 1}), (3, {"b": 2})]
    with pytest.raises(RecordError, match="line 4"):
        next(found)


def test_ids_are_digests_of_what_a_record_is() -> None:
    base = {"text": "t", "view": "ocr", "kind": "event"}
    one = Query.create(**base)
    assert one == Query.create(**base)
    assert one.query_id != Query.create(**{**base, "text": "other"}).query_id
    assert one.query_id == Query.create(**base, facets=[Facet(text="f", modality="ocr")]).query_id, (
        "facets are no identity"
    )
