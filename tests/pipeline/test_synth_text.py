"""`hardcut synth text` from files to a dataset: resumable, bounded, and the same bytes each time."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from hardcut.engine.progress import NullProgress
from hardcut.engine.status import read_status
from hardcut.pipeline.cache import Cache
from hardcut.pipeline.synth_text import TextJob, synth_text
from hardcut.pipeline.text_files import TextFile
from hardcut.publish._scratch import Scratch
from hardcut.publish.dataset import Dataset, verify
from hardcut.publish.formats.tara import read_csv
from hardcut.schemas.dataset_settings import ExportSettings
from hardcut.schemas.errors import UsageError
from hardcut.schemas.settings import Settings, TripletSettings
from hardcut.synth.text.item import TextItem

SETTINGS = Settings(export=ExportSettings(train=0.5, validation=0.25))
COLOURS = ("red", "blue", "green", "white", "black", "yellow", "brown", "grey")
THINGS = ("door", "box", "window", "gate", "jar")


def captions() -> list[str]:
    return [f"A man opens a {colour} {thing}" for colour in COLOURS for thing in THINGS]


def items(path: Path, **choices: Any) -> list[TextItem]:
    with Scratch() as scratch:
        return [source.payload for source in TextFile.opened(path, scratch, **choices)]  # type: ignore[misc]


def carried_out(path: Path, out: Path, settings: Settings = SETTINGS, **choices: Any) -> Any:
    job = TextJob(path, out, settings, Cache(out.parent / "cache"), **choices)
    return asyncio.run(synth_text(job, NullProgress()))


def test_captions_become_a_dataset_and_taras_files(tmp_path: Path) -> None:
    path = tmp_path / "captions.txt"
    path.write_text("\n".join([*captions(), captions()[0], ""]), "utf-8")
    found = carried_out(path, tmp_path / "run")
    dataset = Dataset(tmp_path / "run" / "dataset")
    rows = list(dataset.rows("triplets"))
    assert set(found.nuances) == {"temporal", "composed", "facet"} and sum(found.rows.values()) == len(rows) > 200
    assert found.check.state == "passed" and not verify(dataset.folder)
    split_of = {row["set_id"]: split for split, row in rows}
    assert len(set(split_of.values())) == 3, "the shares of [export]"
    texts: dict[str, set[str]] = {}
    for split, row in rows:
        for name in ("anchor", "positive", "hard_negative"):
            texts.setdefault(row[name].casefold(), set()).add(split)
    assert not [text for text, splits in texts.items() if len(splits) > 1]
    for split in found.rows:
        assert sum(1 for _ in read_csv(dataset.folder / "tara" / f"{split}.csv")) == found.rows[split]
    status = read_status(tmp_path / "run")
    assert status.finished
    dropped = [json.loads(line) for line in (tmp_path / "run" / "dropped.jsonl").read_text().splitlines()]
    assert Counter(each["reason"] for each in dropped)["duplicate"] == 1


def test_it_goes_on_where_it_was_and_a_second_start_does_nothing(tmp_path: Path) -> None:
    path = tmp_path / "captions.txt"
    path.write_text("\n".join(captions()), "utf-8")
    carried_out(path, tmp_path / "whole")
    part = carried_out(path, tmp_path / "run", limit=7)
    again = carried_out(path, tmp_path / "run")
    assert sum(part.rows.values()) < sum(again.rows.values())

    def bytes_of(run: Path) -> dict[str, bytes]:
        files = (each for each in run.rglob("*") if each.suffix in (".parquet", ".csv", ".jsonl", ".json", ".md"))
        return {str(each.relative_to(run)): each.read_bytes() for each in files}

    assert bytes_of(tmp_path / "run") == bytes_of(tmp_path / "whole")
    before = (tmp_path / "run" / "triplets.jsonl").stat().st_mtime_ns
    carried_out(path, tmp_path / "run")
    assert (tmp_path / "run" / "triplets.jsonl").stat().st_mtime_ns == before


def test_only_the_nuances_that_are_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "captions.txt"
    path.write_text("\n".join(captions()[:5]), "utf-8")
    settings = SETTINGS.model_copy(update={"triplets": TripletSettings(nuances=("temporal",))})
    assert set(carried_out(path, tmp_path / "run", settings).nuances) == {"temporal"}


SNLI = [
    ("entailment", "A girl pushes a cart", "A girl is pushing something", 1),
    ("neutral", "A girl pushes a cart", "The cart is hers", 1),
    ("contradiction", "A man sleeps", "A man is awake and runs", 2),
    ("contradiction", "A girl pushes a cart", "A girl is not pushing a cart", 1),
    ("-", "A man sleeps", "He snores", 2),
    ("entailment", "A man sleeps", "Somebody is at rest", 2),
    ("contradiction", "A man sleeps", "Nobody sleeps", 2),
]


def test_nli_pairs_are_brought_together_by_their_premise(tmp_path: Path) -> None:
    path = tmp_path / "snli.jsonl"
    rows = [{"gold_label": label, "sentence1": one, "sentence2": two} for label, one, two, _ in SNLI]
    path.write_text("\n".join(map(json.dumps, rows)), "utf-8")
    found = items(path)
    triples = {(each.text, each.entailment, each.contradiction, each.id) for each in found if each.fault is None}
    assert triples == {
        ("A girl pushes a cart", "A girl is pushing something", "A girl is not pushing a cart", "snli.jsonl:1+4"),
        ("A man sleeps", "Somebody is at rest", "A man is awake and runs", "snli.jsonl:6+3"),
    }
    assert {each.id for each in found if each.fault} == {"snli.jsonl:2", "snli.jsonl:5", "snli.jsonl:7"}
    as_csv = tmp_path / "mnli.csv"
    label = {"entailment": "0", "neutral": "1", "contradiction": "2", "-": "-1"}
    as_csv.write_text("premise,hypothesis,label\n" + "\n".join(f"{p},{h},{label[n]}" for n, p, h, _ in SNLI) + "\n")
    assert {each.text for each in items(as_csv) if each.fault is None} == {each[0] for each in triples}
    summary = carried_out(path, tmp_path / "run")
    assert summary.nuances == {"facet": 2, "negation": 2}


def test_nli_triples_and_captions_of_tables(tmp_path: Path) -> None:
    triples = tmp_path / "triples.csv"
    triples.write_text("sent0,sent1,hard_neg\nA man runs,Somebody runs,A man sits\nA dog,,A cat\n", "utf-8")
    one, other = items(triples)
    assert (one.text, one.entailment, one.contradiction) == ("A man runs", "Somebody runs", "A man sits")
    assert other.fault is not None and other.fault[0] == "empty"
    table = tmp_path / "captions.tsv"
    table.write_text("id\tcaption\tnote\n1\tA man runs\tx\n2\tA dog sits\ty\n", "utf-8")
    assert [(each.id, each.text) for each in items(table)] == [
        ("captions.tsv:2", "A man runs"),
        ("captions.tsv:3", "A dog sits"),
    ]
    assert [each.text for each in items(table, column="note")] == ["x", "y"]
    assert [each.text for each in items(table, limit=1)] == ["A man runs"]


@pytest.mark.parametrize(
    ("name", "body", "told"),
    [
        ("captions.csv", "id,name\n1,x\n", "no column of text; it has id, name"),
        ("captions.jsonl", "{not json}\n", "line 1: not a JSON object"),
        ("captions.docx", "x", "captions are read from .txt, .jsonl, .csv or .tsv"),
        ("captions.txt", "\n\n", "it has no text in it"),
    ],
)
def test_a_file_that_is_none_is_told(tmp_path: Path, name: str, body: str, told: str) -> None:
    path = tmp_path / name
    path.write_text(body, "utf-8")
    with pytest.raises(Exception, match=told):
        items(path)


def test_a_run_over_videos_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "videos.jsonl").write_text("")
    path = tmp_path / "captions.txt"
    path.write_text("A man opens a door", "utf-8")
    with pytest.raises(UsageError, match="a run over videos is there"):
        carried_out(path, tmp_path / "run")
