"""Splits by meaning: queries that say the same in other words or languages, by vectors that are given."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hardcut.engine.vectors import VectorWriter, unit, write_note
from hardcut.publish.dataset import Dataset
from hardcut.publish.export_dataset import export
from hardcut.publish.gate import CHECKS
from hardcut.publish.given_splits import QueryRef
from hardcut.publish.same_meaning import Meanings, read_meanings
from hardcut.publish.splits import plan_splits
from hardcut.schemas.base import Record
from hardcut.schemas.config import load_settings
from hardcut.schemas.dataset_settings import ExportSettings
from hardcut.schemas.errors import UsageError
from hardcut.schemas.ids import digest
from hardcut.schemas.records import Video

WriteRun = Callable[[Path, Iterable[Record]], Path]


def video(video_id: str, **metadata: Any) -> Video:
    return Video(
        video_id=video_id, path=f"{video_id}.mp4", sha256=digest(video_id), size_bytes=1, duration_s=1,
        fps=1, width=1, height=1, codec="h264", video_streams=1, has_audio=False, complete=True, metadata=metadata,
    )  # fmt: skip


def _meanings(folder: Path, queries: dict[str, QueryRef], same: list[tuple[str, ...]], lacking: str = "") -> Meanings:
    """Vectors as `hardcut embed` writes them: a direction for each query, and one for all of each group of `same`."""
    names = sorted((ref.external_id or id) for id, ref in queries.items() if id != lacking)
    numbers = np.eye(len(names), dtype=np.float32)
    for group in same:
        places = [names.index(queries[id].external_id or id) for id in group]
        numbers[places] = numbers[places[0]] + 0.1 * numbers[places]
    VectorWriter(folder, "queries", {}).add(names, ["c"] * len(names), unit(numbers))
    write_note(folder, {"name": "/models/any", "complete": True})
    return read_meanings(folder, queries, 0.95)


def test_queries_that_mean_the_same_in_other_words_stay_together(tmp_path: Path) -> None:
    """Whatever their language and script; another number, or another video to start from, is another query."""
    videos = [video(f"v{i}") for i in range(40)]
    queries = {f"q{i:02}": QueryRef(f"v{i}", None, text=text * 9) for i, text in enumerate("abcdefghijklmnopqrst")}
    queries["q20"] = QueryRef("v20", None, text="ein Mann öffnet das Tor", external_id="U20")
    queries["q21"] = QueryRef("v21", None, text="男が門を開ける")
    queries["q22"] = QueryRef("v22", None, text="gate 7 opens")
    queries["q23"] = QueryRef("v23", None, text="the door of number 8 opens")
    queries["q24"] = QueryRef("v24", None, text="but at night", reference_video_id="v1")
    queries["q25"] = QueryRef("v25", None, text="only in the dark", reference_video_id="v2")
    same = [("q20", "q21", "q03"), ("q22", "q23"), ("q24", "q25")]
    told = _meanings(tmp_path, queries, same)
    assert told.model == "any" and not told.lacking
    planned = plan_splits(videos, queries, {}, ExportSettings(), meanings=told)
    assert planned.groups["v20"] == planned.groups["v21"] == planned.groups["v3"]
    assert len({planned.groups[f"v{i}"] for i in (22, 23, 24, 25)}) == 4
    assert not planned.leaks
    alone = plan_splits(videos, queries, {}, ExportSettings())
    assert len({alone.groups[f"v{i}"] for i in (3, 20, 21)}) == 3, "by words they are three"


def test_of_given_splits_what_means_the_same_leaves_the_earlier_one(tmp_path: Path) -> None:
    """A query of train that means the same as one of test is left out, and so is its rewrite; a query that is left out
    itself keeps none out."""
    splits = {"v1": "train", "v2": "test", "v3": "validation", "v4": "train"}
    videos = [video(id, split=split) for id, split in splits.items()]
    queries = {
        "a": QueryRef("v1", None, text="a man opens the gate"),
        "a2": QueryRef("v1", "a", text="opening of a gate"),
        "b": QueryRef("v2", None, text="jemand öffnet das Tor"),
        "c": QueryRef("v3", None, text="門を開ける男"),
        "d": QueryRef("v4", None, text="человек открывает ворота"),
        "e": QueryRef("v4", None, text="something else"),
    }
    told = _meanings(tmp_path, queries, [("a", "b"), ("c", "d")], lacking="e")
    assert told.lacking == ["e"], "it is told, and the gate says that it could not look"
    planned = plan_splits(videos, queries, {}, ExportSettings(), meanings=told)
    assert planned.leaks == {"a": "b", "a2": "b", "d": "c"}
    assert planned.videos == splits
    many = _meanings(tmp_path / "three", queries, [("a", "b", "c", "d")])
    planned = plan_splits(videos, queries, {}, ExportSettings(), meanings=many)
    assert planned.leaks.keys() == {"a", "a2", "c", "d"} and "c" not in {planned.leaks[id] for id in ("a", "a2", "d")}


def test_a_thousand_queries_that_all_mean_the_same_are_one_cluster(tmp_path: Path) -> None:
    queries = {f"q{i:04}": QueryRef(f"v{i}", None, text="ab"[i % 2] * 9) for i in range(2_100)}
    told = _meanings(tmp_path, queries, [tuple(queries)])
    links = list(told.links())
    assert len(links) == 2_099 and {first for first, _ in links} == {"q0000"}


def test_vectors_that_are_none_are_told(tmp_path: Path) -> None:
    queries = {"q1": QueryRef("v1", None, text="a"), "q2": QueryRef("v2", None, text="b")}
    VectorWriter(tmp_path, "queries", {}).add(["q1", "q2"], ["c", "c"], np.zeros((2, 4), dtype=np.float32))
    write_note(tmp_path, {"name": "any", "complete": True})
    with pytest.raises(UsageError, match=r"zero or not finite.*embed again"):
        read_meanings(tmp_path, queries, 0.95)


def test_an_export_with_vectors_leaks_nothing_by_meaning(tmp_path: Path, make: Any, write_run: WriteRun) -> None:
    """Official splits, and a query of training that says in German what one of test says in English."""
    records: list[Any] = []
    queries: dict[str, QueryRef] = {}
    for i in range(12):
        records.append(make.video(f"v{i}", licence="CC0-1.0", split="test" if i < 4 else "train"))
        text = {0: "a man opens the gate", 5: "ein Mann öffnet das Tor"}.get(i, "abcdefghijkl"[i] * 12)
        query = make.query(text, external_id=f"u{i}")
        queries[query.query_id] = QueryRef.from_query(query)
        pairs = [make.pair(query, f"v{(i + step) % 12}") for step in range(2)]
        records += [query, *pairs, *(make.judgment(pair, int(n == 0)) for n, pair in enumerate(pairs))]
    run = write_run(tmp_path / "run", records)
    named = {ref.external_id: id for id, ref in queries.items()}
    _meanings(tmp_path / "vectors", queries, [(named["u0"], named["u5"])])
    states = {}
    for name, vectors in (("plain", None), ("vectors", str(tmp_path / "vectors"))):
        settings = load_settings(None, {"export.licence": "cc0-1.0", "check.vectors": vectors})
        summary = export(run, tmp_path / f"{name}-out", settings)
        with_vectors = load_settings(None, {"check.vectors": str(tmp_path / "vectors")})
        states[name] = CHECKS["meaning_leakage"](Dataset(summary.out), with_vectors).state
        texts = {row["query"] for _, row in Dataset(summary.out).rows("queries")}
        assert ("ein Mann öffnet das Tor" in texts) == (name == "plain")
        card = (summary.out / "README.md").read_text("utf-8")
        assert ("mean the same by vectors of any, cosine of at least 0.95" in card) == (name == "vectors")
        assert str(tmp_path) not in card + (summary.out / "hardcut.json").read_text("utf-8")
    assert states == {"plain": "failed", "vectors": "passed"}
    assert summary.left_out["leaks_into_later_split"] == 2
