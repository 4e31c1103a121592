"""A dataset that was altered: every command that reads one ends in one line with the file and, in a table, the column.

What a column may be that is altered so that its digest fits is in `test_guards.py`, check by check; here are commands.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hardcut.cli.app import main
from hardcut.publish.columns import COLUMNS
from hardcut.publish.damage import damage
from hardcut.publish.dataset import DamagedDataset, Dataset, digests
from hardcut.publish.export_dataset import export, write_marker
from hardcut.reranker.facts import read_facts
from hardcut.reranker.training_data import read_perception, read_ranking
from hardcut.schemas.base import Record
from hardcut.schemas.dataset_settings import ExportSettings
from hardcut.schemas.records import COUNTERFACTUAL
from hardcut.schemas.settings import Settings

SETTINGS = Settings(export=ExportSettings(licence="cc0-1.0", train=0.6, validation=0.2, near_text=1))


@pytest.fixture
def whole(make: Any, write_run: Callable[..., Path], tmp_path: Path) -> Path:
    """A dataset with every config but `media`, and what `evaluate` compares."""
    records: list[Record] = []
    for place in range(12):
        video_id = f"v{place:02}"
        records += [make.video(video_id), make.caption(video_id)]
        query = make.query(f"number {place} turns", video_id)
        fields = {"variant": "facet_changed", "parent_query_id": query.query_id}
        variant = make.query(f"number {place + 50} turns", video_id, **fields)
        records += [query, variant]
        for step in range(4):
            pair = make.pair(query, f"v{(place + step) % 12:02}")
            label = make.label(pair, "no" if step else "yes", -8.0 if step else 6.0)
            records += [pair, label, make.judgment(pair, int(not step), label)]
        pair = make.pair(variant, video_id, expected="no")
        records += [pair, make.judgment(pair, 0)]
    assert "facet_changed" in COUNTERFACTUAL
    (tmp_path / "a.qrels").write_text("q1 0 a 1\n")
    (tmp_path / "a.run").write_text("q1 Q0 a 1 2.0 x\n")
    return export(write_run(tmp_path / "run", records), tmp_path / "set", SETTINGS).out


def table(config: str, change: Callable[[pa.Table], pa.Table]) -> Callable[[Path], None]:
    def alter(folder: Path) -> None:
        path = next(iter(sorted((folder / "data" / config).glob("train-*"))))
        pq.write_table(change(pq.read_table(path)), path)

    return alter


def values(table: pa.Table, column: str, given: pa.Array) -> pa.Table:
    return table.set_column(table.schema.get_field_index(column), column, given)


def nan(table: pa.Table) -> pa.Table:
    return values(table, "logit_margin", pa.array([math.nan] * len(table)))


ALTERED: dict[str, tuple[Callable[[Path], None], tuple[str, ...]]] = {
    "a missing value": (
        table("queries", lambda t: values(t, "query", pa.nulls(len(t), pa.string()))), ("queries/train-", "'query'")
    ),
    "a missing column": (table("queries", lambda t: t.drop_columns(["kind"])), ("queries/train-", "'kind'")),
    "another type": (
        table("queries", lambda t: values(t, "query", pa.array(range(len(t))))), ("queries/train-", "'query'", "int64")
    ),
    "a margin that is no number": (table("pairs", nan), ("pairs/train-", "'logit_margin'", "not finite")),
    "a missing value inside": (
        table("groups", lambda t: values(t, "positive", pa.nulls(len(t), t.schema.field("positive").type))),
        ("groups/train-", "'positive'"),
    ),
    "a missing config": (lambda folder: shutil.rmtree(folder / "data" / "queries"), ("data/queries",)),
    "missing rows": (table("queries", lambda t: t.slice(0, 2)), ("data/queries",)),
    "no Parquet": (
        lambda folder: next((folder / "data" / "queries").glob("train-*")).write_bytes(b"PAR1 no") and None,
        ("queries/train-",),
    ),
    "cut short": (
        lambda folder: (path := next((folder / "data" / "queries").glob("train-*"))).write_bytes(
            path.read_bytes()[:-40]
        ) and None,
        ("queries/train-",),
    ),
    "a marker that is no JSON": (lambda folder: (folder / "hardcut.json").write_text("{") and None, ("hardcut.json",)),
    "a marker without rows": (
        lambda folder: (folder / "hardcut.json").write_text(
            json.dumps({**json.loads((folder / "hardcut.json").read_text()), "rows": 3})
        ) and None,
        ("hardcut.json", "'rows'"),
    ),
}  # fmt: skip


def lines(folder: Path) -> dict[str, list[str | Path]]:
    here = folder.parent
    return {
        "check": ["check", folder],
        "export": ["export", folder, "--out", here / "out", "--format", "rankvideo"],
        "publish": ["publish", folder, "org/set"],
        "evaluate": ["evaluate", "--qrels", here / "a.qrels", "--run", here / "a.run", "--dataset", folder],
        "train": ["train", "ranking", folder, "--videos", here, "--model", "none", "--out", here / "model"],
    }


def told_by(arguments: list[str | Path], capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    told = capsys.readouterr()
    assert ended.value.code == 2, told
    assert told.err.count("\n") == 1 and "Traceback" not in told.err, told.err
    return told.err


@pytest.mark.parametrize("what", ALTERED)
def test_an_altered_file_is_told_in_one_line(whole: Path, capsys: pytest.CaptureFixture[str], what: str) -> None:
    alter, words = ALTERED[what]
    alter(whole)
    config = words[0].split("/")[0] if "train-" in words[0] else ""
    for command, arguments in lines(whole).items():
        if command == "evaluate" and config in ("pairs", "groups"):
            continue  # it does not read them
        told = told_by(arguments, capsys)
        wanted = words if command in ("check", "publish") else words[:1]  # the others go by the digest, which is first
        assert all(word in told for word in wanted), (command, told)
    assert not (whole.parent / "out").exists()


def test_a_dataset_of_a_version_without_counterfactuals_is_read(whole: Path) -> None:
    before = list(Dataset(whole).rows("groups"))
    table("groups", lambda t: t.drop_columns(["counterfactuals"]))(whole)
    Dataset(whole).refuse_incomplete()
    now = [row for split, row in Dataset(whole).rows("groups") if split == "train"]
    assert now and now == [
        {name: value for name, value in row.items() if name != "counterfactuals"}
        for split, row in before
        if split == "train"
    ]
    assert all(not group.blocks for group in read_ranking(Dataset(whole), "raw", blocks=2).examples)


@pytest.mark.parametrize(
    "what", [what for what, (_, words) in ALTERED.items() if len(words) > 1 and "marker" not in what]
)
def test_a_file_that_was_altered_with_its_digest_is_told_where_it_is_read(
    whole: Path, capsys: pytest.CaptureFixture[str], what: str
) -> None:
    alter, words = ALTERED[what]
    alter(whole)
    marker = json.loads((whole / "hardcut.json").read_text())
    write_marker(whole, {**marker, "files": None}, digests(whole))
    config = words[0].split("/")[0]
    for command, arguments in lines(whole).items():
        if command == "train" or (command == "evaluate" and config != "queries"):
            continue  # needs torch; does not read them
        told = told_by(arguments, capsys)
        assert all(word in told for word in words), (command, told)
    readers: dict[str, Callable[[Dataset], object]] = {
        "queries": read_facts,
        "groups": lambda dataset: read_ranking(dataset, "raw"),
        "pairs": lambda dataset: read_ranking(dataset, "raw"),
        "captions": read_perception,
    }
    with pytest.raises(DamagedDataset) as error:
        readers[config](Dataset(whole))
    assert all(word in str(error.value) for word in words)


def test_what_stands_inside_a_column_is_looked_at() -> None:
    facets = [[{"text": "a", "modality": "ocr", "span": None}], []]
    assert damage("queries", "facets", pa.array(facets)) is None
    unnamed = pa.array([[facets[0][0], {**facets[0][0], "text": None}]])
    assert damage("queries", "facets", unnamed) == "has 1 missing values in 'text'"
    spans = [{"text": "a", "modality": "ocr", "span": {"start": math.inf, "end": 1.0}}]
    assert "not finite" in str(damage("queries", "facets", pa.array([spans])))
    assert damage("queries", "query", pa.array([1.5])) == "is double"
    assert damage("queries", "another", pa.array([None])) is None, "not ours"
    assert all(config in COLUMNS for config in ("pairs", "media"))
