"""TARA's own files of text triplets: CSV with the columns `sent0,sent1,hard_neg`, a file for each split."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from hardcut.engine.files import atomic_writer
from hardcut.publish._csv import csv_rows
from hardcut.publish.dataset import Dataset
from hardcut.publish.formats.writing import of_split
from hardcut.schemas.errors import UsageError

HEADER = ("sent0", "sent1", "hard_neg")


class Texts(NamedTuple):
    """The texts of a triplet, in the order of TARA's columns."""

    anchor: str
    positive: str
    hard_negative: str


def write(dataset: Dataset, out: Path) -> dict[str, int]:
    """`SPLIT.csv`, the rows in the order of the dataset. Rows by file.

    Raises UsageError for a dataset without triplets.
    """
    counts: dict[str, int] = {}
    for split in dataset.splits("triplets"):
        rows = of_split(dataset, "triplets", split, Texts._fields)
        texts = (Texts(**{name: row[name] for name in Texts._fields}) for row in rows)
        counts[f"{split}.csv"] = write_csv(out / f"{split}.csv", texts)
    if not counts:
        raise UsageError(
            f"{dataset.folder}: it has no triplets: set `triplets.nuances` in the settings, run and export again"
        )
    return counts


def write_csv(path: Path, rows: Iterator[Texts]) -> int:
    """Writes a file of TARA's form, and returns how many rows it has."""
    count = 0
    with atomic_writer(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(HEADER)
        for row in rows:
            writer.writerow(row)
            count += 1
    return count


def read_csv(path: Path) -> Iterator[Texts]:
    """The triplets of a file of TARA's form; other columns are passed over. Raises UsageError naming file and line."""
    places: list[int] = []
    for line, row in csv_rows(path, csv.reader):
        if not places:
            missing = [name for name in HEADER if name not in row]
            if missing:
                raise UsageError(f"{path}: no column {missing[0]!r}: TARA's files have {', '.join(HEADER)}")
            places = [row.index(name) for name in HEADER]
            continue
        if not row:
            continue
        texts = Texts(*(row[at].strip() if at < len(row) else "" for at in places))
        if not all(texts):
            raise UsageError(f"{path}, line {line}: a text is missing: each row has {', '.join(HEADER)}")
        yield texts
    if not places:
        raise UsageError(f"{path}: it is empty: TARA's files begin with {','.join(HEADER)}")
