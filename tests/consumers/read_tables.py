"""pandas, polars and DuckDB: `python read_tables.py FOLDER NAME`."""

from __future__ import annotations

import sys
from collections.abc import Callable

from consumer import FOLDER, Shown, judged, report


def pandas(path: str) -> list[dict[str, object]]:
    import pandas as pd

    return pd.read_parquet(path).to_dict("records")


def polars(path: str) -> list[dict[str, object]]:
    import polars as pl

    return pl.read_parquet(path).to_dicts()


def duckdb(path: str) -> list[dict[str, object]]:
    import duckdb as db

    found = db.sql(f"select * from '{path}'")
    return [dict(zip(found.columns, row, strict=True)) for row in found.fetchall()]


def read(rows_of: Callable[[str], list[dict[str, object]]]) -> dict[str, str]:
    data = FOLDER / "hf" / "data"
    for path in data.glob("*/*.parquet"):
        assert rows_of(str(path)), path
    ids = {
        row["video_id"]: str(FOLDER / "videos" / str(row["video_path"]))
        for path in (data / "corpus").iterdir()
        for row in rows_of(str(path))
    }
    return judged(
        Shown(path.name.split("-")[0], str(row["query"]), tuple(ids[id] for id in shown if id and id == id))
        for path in (data / "pairs").iterdir()
        for row in rows_of(str(path))
        for shown in [(row["reference_video_id"], row["video_id"])]
    )


if __name__ == "__main__":
    report(sys.argv[2], {"hf": read({"pandas": pandas, "polars": polars, "duckdb": duckdb}[sys.argv[2]])})
