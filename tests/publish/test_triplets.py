"""The config of triplets, and TARA's own files."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from hardcut.publish._parquet import ConfigWriter
from hardcut.publish.columns import COLUMNS
from hardcut.publish.formats.tara import Texts, read_csv, write_csv
from hardcut.publish.triplets import triplet_row
from hardcut.schemas.errors import UsageError
from hardcut.schemas.records import TeacherRef
from hardcut.schemas.triplets import TextSource, Triplet, composed_anchor

AWKWARD = (
    Texts('a sign reads "stop, please"', "a sign\nof two lines", "it says: no"),
    Texts("大門打開", "the door opens", "the door closes"),
)


def triplet(anchor: str = "a before b", positive: str = "b after a", negative: str = "a after b") -> Triplet:
    source = TextSource(kind="query", id="q_1", teacher=TeacherRef(backend="openai", model="m", endpoint="http://x"))
    return Triplet.create(
        set_id="s_1", nuance="temporal", anchor=anchor, positive=positive, hard_negative=negative,
        anchor_source=source, positive_source=source, hard_negative_source=source, video_id="v1", made_from="v1",
    )  # fmt: skip


def test_a_row_has_every_column_and_no_address(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    row = triplet_row(triplet())
    assert set(row) == set(COLUMNS["triplets"])
    with ConfigWriter(tmp_path, "triplets", ["train"]) as writer:
        writer.add("train", row)
    [path] = (tmp_path / "triplets").iterdir()
    assert pq.read_table(path).to_pylist() == [row]
    assert row["anchor_source"] == {"kind": "query", "id": "q_1", "teacher": "openai:m"}


def test_taras_file_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "train.csv"
    assert write_csv(path, iter(AWKWARD)) == 2
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [tuple(row.values()) for row in rows] == [tuple(texts) for texts in AWKWARD]
    assert list(rows[0]) == ["sent0", "sent1", "hard_neg"]
    assert list(read_csv(path)) == list(AWKWARD)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("sent0,sent1\na,b\n", "no column 'hard_neg'"),
        ("sent0,sent1,hard_neg\na,b,c\na,,c\n", "line 3: a text is missing"),
        ("", "it is empty"),
    ],
)
def test_a_file_of_another_form_is_told(tmp_path: Path, body: str, told: str) -> None:
    path = tmp_path / "train.csv"
    path.write_text(body)
    with pytest.raises(UsageError, match=told):
        list(read_csv(path))


def test_other_columns_and_another_order_are_read(tmp_path: Path) -> None:
    path = tmp_path / "train.csv"
    path.write_text("id,hard_neg,sent0,sent1\n1,c,a,b\n")
    assert list(read_csv(path)) == [Texts("a", "b", "c")]


def test_the_anchor_of_an_edit_says_both() -> None:
    assert composed_anchor("a red ball rolls", "make it blue") == "a red ball rolls Edit: make it blue"
