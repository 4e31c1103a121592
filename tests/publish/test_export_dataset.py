"""The exported folder is a dataset: it loads, it streams, it is typed, and it is the same bytes every time."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from hardcut.publish import _parquet
from hardcut.publish.card import languages, size_category
from hardcut.publish.columns import COLUMNS, features
from hardcut.publish.dataset import Dataset
from hardcut.publish.export_dataset import ExportOptions, export
from hardcut.publish.formats.registry import EXPORTERS, OF_PIXELS, OF_TRIPLETS, convert
from hardcut.publish.licences import front_matter
from hardcut.report.statistics.audit import TeacherEstimate
from hardcut.report.templates import escape_markdown
from hardcut.schemas.base import Record
from hardcut.schemas.config import load_settings
from hardcut.schemas.copies import Copy, Group
from hardcut.schemas.dataset_settings import ExportSettings
from hardcut.schemas.errors import RecordError, UsageError
from hardcut.schemas.ids import digest
from hardcut.schemas.judgments import Judgment
from hardcut.schemas.records import UNREAD_TEXT, Dropped, Pair, TeacherLabel, TeacherRef
from hardcut.schemas.settings import Settings

WriteRun = Callable[[Path, Iterable[Record]], Path]
SETTINGS = Settings(
    export=ExportSettings(
        name="clips | [of] <b>us</b>", description="Clips of <i>a</i> fair.", authors=("A & B", "C"),
        licence="cc-by-4.0", train=0.5, validation=0.2,
    )
)  # fmt: skip
CONFIGS = ("pairs", "groups", "captions", "queries", "corpus", "qrels")


@pytest.fixture
def records(make: Any) -> list[Record]:
    """30 videos (two of the same content, two of one event), a query each and one of a user's, 4 candidates a query."""
    found: list[Record] = []
    metadata = {"title": "A | day", "tags": ["x", {"deep": 1}], "secret": "/home/me", "date": None}
    videos = [make.video(f"v{i:02}", content="same" if i < 2 else None, **metadata) for i in range(28)]
    videos += [make.video(f"v{i}", event="flood") for i in (28, 29)]
    ids = [video.video_id for video in videos]
    found += [*videos, *(make.caption(video_id, f"Caption of {video_id}.") for video_id in ids)]
    queries = [make.query(f"query of {video_id}", video_id) for video_id in ids]
    queries.append(make.query("the user's own", external_id="U1", language="de"))
    for place, query in enumerate(queries):
        for step in range(4):
            video_id = ids[(place + 7 * step) % len(ids)]
            pair = make.pair(query, video_id)
            label = make.label(pair, *(("yes", 5.0) if step == 0 else ("no", -2.0 - 3 * step)))
            found += [pair, label, make.judgment(pair, int(step == 0), None if step == 3 else label)]
        found.append(query)
    unjudged = make.pair(queries[0], "v29")
    found += [unjudged, make.dropped(unjudged.pair_id, "judgments", "suspected_positive", "margin 9.00")]
    found.append(make.dropped("broken", "probe", "no_video_stream"))
    return found


@pytest.fixture
def run(tmp_path: Path, records: list[Record], write_run: WriteRun) -> Path:
    return write_run(tmp_path / "run", records)


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_loads_and_streams_offline(run: Path, tmp_path: Path) -> None:
    """As a stranger would, in a process of its own: no network, nothing of ours imported."""
    summary = export(run, tmp_path / "data set", SETTINGS)
    program = """
import json, sys
from datasets import load_dataset
told = {}
for config in sys.argv[2:]:
    loaded = load_dataset(sys.argv[1], config)
    streamed = load_dataset(sys.argv[1], config, streaming=True)
    told[config] = {
        "rows": {split: part.num_rows for split, part in loaded.items()},
        "same": all(list(streamed[split]) == list(loaded[split]) for split in loaded),
        "first": loaded["train"][0],
        "features": str(loaded["train"].features),
    }
assert list(load_dataset(sys.argv[1])) == list(load_dataset(sys.argv[1], "pairs"))
print(json.dumps(told))
"""
    home = {"HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", program, str(summary.out), *CONFIGS],
        env={**os.environ, **home}, cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    for config in CONFIGS:
        assert told[config]["rows"] == summary.rows[config]
        assert told[config]["same"]
    row = told["pairs"]["first"]
    assert row["facets"][0] == {"text": "the ball", "modality": "visual", "span": {"start": 1.0, "end": 2.5}}
    assert row["facets"][1]["span"] is None
    assert row["first_stage"] == [{"run": "bm25", "rank": row["first_stage"][0]["rank"], "score": 3.25}]
    assert "json" not in " ".join(entry["features"].lower() for entry in told.values())
    assert sum(told["corpus"]["rows"].values()) == 30
    metadata = [(entry["key"], entry["value"]) for entry in told["corpus"]["first"]["metadata"]]
    assert not any(key == "secret" for key, _ in metadata)
    assert metadata in ([("title", "A | day"), ("tags", "x"), ("tags.deep", "1")], [("event", "flood")])


def test_a_split_without_rows_is_not_in_its_config_and_the_others_load(
    tmp_path: Path, make: Any, write_run: WriteRun
) -> None:
    """Captions of training videos alone, groups that only training queries can make, no group of anybody."""
    records: list[Any] = []
    for i in range(30):
        query = make.query(f"a query of its own, number {i * 7919} {'abcdefghij'[i % 10] * 9}", f"v{i}")
        records += [make.video(f"v{i}", licence="CC0-1.0"), query]
        for step in range(3 if i else 1):
            pair = make.pair(query, f"v{(i + step) % 30}")
            label = make.label(pair, "no" if step else "yes", -9.0 if step else 5.0)
            records += [pair, label, make.judgment(pair, int(not step), label)]
    first = export(write_run(tmp_path / "first", records), tmp_path / "plain", SETTINGS)
    assert "captions" not in first.rows and not (first.out / "data" / "captions").exists()
    trained = next(row["video_id"] for row in read(first.out, "corpus") if row["split"] == "train")
    whole = export(write_run(tmp_path / "run", [*records, make.caption(trained)]), tmp_path / "data", SETTINGS)
    assert whole.rows["captions"] == {"train": 1} and set(whole.rows["pairs"]) == {"train", "validation", "test"}
    program = """
import json, sys
from datasets import get_dataset_config_names, load_dataset
names = get_dataset_config_names(sys.argv[1])
loaded = {name: load_dataset(sys.argv[1], name) for name in names}
print(json.dumps({name: {split: part.num_rows for split, part in loaded[name].items()} for name in names}))
"""
    home = {"HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
    for summary in (first, whole):
        done = subprocess.run(
            [sys.executable, "-c", program, str(summary.out)],
            env={**os.environ, **home}, cwd=tmp_path, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout) == summary.rows
        for name in EXPORTERS.keys() - OF_PIXELS - OF_TRIPLETS:
            convert(Dataset(summary.out), name, tmp_path / summary.out.name / "formats" / name)


@pytest.mark.parametrize("config", COLUMNS)
def test_columns_are_told_in_the_form_that_every_version_of_datasets_reads(config: str) -> None:
    """`datasets` 4 and later write lists as `List`, on which 3 fails (tests/consumers has it open the files)."""
    from datasets import Features

    schema = _parquet.arrow_schema(features(config))
    assert b'"List"' not in schema.metadata[b"huggingface"]
    assert Features.from_arrow_schema(schema) == features(config)


def test_official_splits_stand_and_what_leaks_is_left_out_by_name(
    tmp_path: Path, make: Any, write_run: WriteRun
) -> None:
    records: list[Any] = []
    for i in range(20):
        records.append(make.video(f"v{i}", licence="CC0-1.0", split="test" if i < 5 else "train"))
        for text in ("a man is talking", f"something else entirely, {'abcdefghijklmnopqrst'[i] * 12} {i * 7919}"):
            query = make.query(text, external_id=f"{i} {text[:3]}")
            pairs = [make.pair(query, f"v{(i + step) % 20}", "yes" if step == 0 else "no") for step in range(3)]
            records += [query, *pairs, *(make.judgment(pair, int(n == 0)) for n, pair in enumerate(pairs))]
    summary = export(write_run(tmp_path / "run", records), tmp_path / "out", SETTINGS)
    splits = Counter((row["split"], row["query"][:3]) for row in read(summary.out, "queries"))
    assert splits == {("test", "a m"): 5, ("test", "som"): 5, ("train", "som"): 15}
    left = [json.loads(line) for line in (summary.out / "left_out.jsonl").read_text().splitlines()]
    leaks = [row for row in left if row["reason"] == "leaks_into_later_split"]
    assert len({row["detail"].split()[0] for row in leaks}) == 15 and "says the same as" in leaks[0]["detail"]
    assert next(result for result in summary.gate if result.name == "query_leakage").state == "passed"


def test_times_of_facets_stand_with_the_source_alone(run: Path, tmp_path: Path) -> None:
    summary = export(run, tmp_path / "out", SETTINGS)
    source = {row["query_id"]: row["source_video_id"] for row in read(summary.out, "queries")}
    rows = read(summary.out, "pairs")
    own = [row for row in rows if row["video_id"] == source[row["query_id"]]]
    assert own and len(own) < len(rows)
    assert all(row["facets"][0]["span"] == {"start": 1.0, "end": 2.5} for row in own)
    others = [row for row in rows if row["video_id"] != source[row["query_id"]]]
    assert all(facet["span"] is None and facet["text"] for row in others for facet in row["facets"])


def test_one_content_has_one_judgment_for_a_query(tmp_path: Path, make: Any, write_run: WriteRun) -> None:
    """v1 is the same file as v0, v3 a copy of v2 in another container: judged alike they stay, otherwise both go."""
    records: list[Any] = [make.video(f"v{i}", content="same" if i < 2 else None, licence="CC0-1.0") for i in range(12)]
    records += [Group(video_id=id, group_id="v2", size=2) for id in ("v2", "v3")]
    for i in range(12):
        query = make.query(f"a query of its own {'abcdefghijkl'[i] * 12} {i * 7919}", external_id=f"u{i}")
        grades = {f"v{i}": 1, f"v{(i + 5) % 12}": 0}
        if i < 4:
            grades = {"v0": 1, "v1": int(i == 1), "v2": int(i > 1), "v3": int(i == 3)}
        pairs = [(make.pair(query, video_id), grade) for video_id, grade in grades.items()]
        records += [query, *(pair for pair, _ in pairs), *(make.judgment(pair, grade) for pair, grade in pairs)]
    whole = Settings(export=SETTINGS.export.model_copy(update={"train": 1.0, "validation": 0.0}))
    summary = export(write_run(tmp_path / "run", records), tmp_path / "out", whole)
    kept = Counter(row["query"].split()[5][0] for row in read(summary.out, "pairs"))
    assert [kept[letter] for letter in "abcd"] == [2, 4, 0, 2]
    assert summary.left_out["same_file_disagrees"] == 2 + 0 + 2 + 2 and summary.left_out["copies_disagree"] == 2
    found = next(result for result in summary.gate if result.name == "contradictions")
    assert found.state == "failed" and all("v1, a copy, does not" in told for told in found.examples)


def test_a_mirrored_copy_shares_the_split_and_answers_for_itself(
    tmp_path: Path, make: Any, write_run: WriteRun
) -> None:
    """v1 shows v0 with left and right exchanged, v3 v2, and so on: one split for both, though a query may be judged
    otherwise there."""
    records: list[Any] = [make.video(f"v{i:02}", licence="CC0-1.0") for i in range(24)]
    for i in range(24):
        id, other = f"v{i:02}", f"v{i ^ 1:02}"
        records.append(Group(video_id=id, group_id=id, size=1, copies=(Copy(video_id=other, changes=("mirrored",)),)))
        query = make.query(f"a query of its own {chr(97 + i) * 12} {i * 7919}", external_id=f"u{i}")
        pairs = [(make.pair(query, id), 1), (make.pair(query, other), 0)]
        records += [query, *(pair for pair, _ in pairs), *(make.judgment(pair, grade) for pair, grade in pairs)]
    summary = export(write_run(tmp_path / "run", records), tmp_path / "out", SETTINGS)
    split_of = {row["video_id"]: (row["split"], row["group"]) for row in read(summary.out, "corpus")}
    assert all(split_of[f"v{i:02}"] == split_of[f"v{i + 1:02}"] for i in range(0, 24, 2))
    assert len({split for split, _ in split_of.values()}) > 1
    assert "copies_disagree" not in summary.left_out and len(read(summary.out, "pairs")) == 48


def test_a_share_that_stays_empty_is_a_finding(tmp_path: Path, make: Any, write_run: WriteRun) -> None:
    """100 videos with a query of their own each, and one in the same words: all are one group."""
    records: list[Any] = []
    for i in range(100):
        records.append(make.video(f"v{i}", licence="CC0-1.0"))
        for text in ("the runner wins the long race at last", f"{digest(i)[:40]} {i * 7919}"):
            query = make.query(text, f"v{i}")
            pairs = [make.pair(query, f"v{(i + step) % 100}") for step in range(2)]
            records += [query, *pairs, *(make.judgment(pair, int(n == 0)) for n, pair in enumerate(pairs))]
    summary = export(write_run(tmp_path / "run", records), tmp_path / "out", SETTINGS)
    assert set(summary.rows["pairs"]) == {"train"}
    found = next(result for result in summary.gate if result.name == "degenerate")
    assert found.state == "failed" and {"validation: no pair", "test: no pair"} <= set(found.examples)


def test_every_judged_pair_is_there_or_left_out_with_a_reason(run: Path, records: list[Record], tmp_path: Path) -> None:
    summary = export(run, tmp_path / "out", SETTINGS)
    pairs, splits = read(summary.out, "pairs"), {row["video_id"]: row["split"] for row in read(summary.out, "corpus")}
    left_out = [json.loads(line) for line in (summary.out / "left_out.jsonl").read_text().splitlines()]
    judged = {record.pair_id for record in records if isinstance(record, Judgment)}
    assert {row["pair_id"] for row in pairs} | {row["item"] for row in left_out} == judged
    assert len(pairs) + len(left_out) == len(judged) and left_out and pairs
    assert summary.left_out == Counter(row["reason"] for row in left_out) == {"held_out_video": len(left_out)}
    order = ["train", "validation", "test"]
    assert all(order.index(splits[row["video_id"]]) <= order.index(row["split"]) for row in pairs)
    assert all(row["split"] == splits[row["video_id"]] for row in pairs if "source" in row["origins"])
    assert splits["v00"] == splits["v01"] and splits["v28"] == splits["v29"]


def test_rows_say_what_the_records_say(run: Path, records: list[Record], tmp_path: Path) -> None:
    out = export(run, tmp_path / "out", SETTINGS).out
    rows = {row["pair_id"]: row for row in read(out, "pairs")}
    pairs = {record.pair_id: record for record in records if isinstance(record, Pair)}
    kinds = Counter((row["label"], row["label_source"], row["negative"]) for row in rows.values())
    assert set(kinds) == {
        (1, "teacher", "none"),
        (0, "teacher", "hard"),
        (0, "teacher", "trusted"),
        (0, "human", "trusted"),
    }
    for pair_id, row in rows.items():
        assert row["caption"] == f"Caption of {row['video_id']}." and row["video_path"] == f"{row['video_id']}.mp4"
        assert row["origins"] == list(pairs[pair_id].origins) and row["teacher"] == "openai:judge-8b"
        assert (row["negative"] == "trusted") == (row["logit_margin"] <= -6 or row["label_source"] == "human")
    qrels = {(row["query_id"], row["video_id"]): row for row in read(out, "qrels")}
    assert {key: row["grade"] for key, row in qrels.items()} == {
        (row["query_id"], row["video_id"]): row["label"] for row in rows.values()
    }
    assert {row["external_id"] for row in qrels.values()} == {None, "U1"}


def test_a_row_of_pairs_says_what_every_teacher_said(
    run: Path, records: list[Record], tmp_path: Path, write_run: WriteRun, make: Any
) -> None:
    judged = {record.pair_id for record in records if isinstance(record, Judgment) and record.source == "human"}
    contrary = TeacherRef(backend="vllm", model="contrary")
    more = [
        label
        for pair in records
        if isinstance(pair, Pair) and pair.pair_id in judged
        for label in (
            make.label(pair, "yes", 1.5, teacher=contrary, sample=1),
            make.label(pair, "unparsed", teacher=contrary),
            make.label(pair, "yes", 9.0, teacher=contrary, input="text_only"),
        )
    ]
    export(write_run(tmp_path / "more", [*records, *more]), tmp_path / "out", SETTINGS)
    rows = [row for _, row in Dataset(tmp_path / "out").rows("pairs")]
    two = [row for row in rows if row["pair_id"] in judged]
    assert two and len(two) < len(rows)
    for row in two:
        told = [(each["teacher"], each["sample"], each["verdict"], each["logit_margin"]) for each in row["teachers"]]
        assert told == [
            ("openai:judge-8b", 0, "no", -11.0),
            ("vllm:contrary", 0, "unparsed", None),
            ("vllm:contrary", 1, "yes", 1.5),
        ]
        assert row["agreement"] == 0.0, "one said no, one yes; who could not be read has no say"
    others = [row for row in rows if row["pair_id"] not in judged]
    assert {len(row["teachers"]) for row in others} == {1} and {row["agreement"] for row in others} == {1.0}


def test_the_same_bytes_every_time_and_for_every_shard_size(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_parquet, "ROWS_PER_SHARD", 10)
    monkeypatch.setattr(_parquet, "ROWS_PER_GROUP", 4)
    first, second = export(run, tmp_path / "a", SETTINGS), export(run, tmp_path / "b" / "c", SETTINGS)
    assert digests(first.out) == digests(second.out)
    shards = sorted(path.name for path in (first.out / "data" / "pairs").glob("train-*"))
    assert len(shards) == -(-first.rows["pairs"]["train"] // 10) > 1
    assert shards[0] == f"train-00000-of-{len(shards):05}.parquet"
    before = read(first.out, "pairs")
    monkeypatch.undo()
    assert read(export(run, tmp_path / "a", SETTINGS).out, "pairs") == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "run"]


def test_another_export_of_ours_is_replaced_and_nothing_else(run: Path, tmp_path: Path) -> None:
    out = export(run, tmp_path / "out", SETTINGS).out
    (out / "data" / "stale").touch()
    export(run, out, SETTINGS)
    assert not (out / "data" / "stale").exists()

    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("years of work")
    file = tmp_path / "file"
    file.touch()
    for place, message in ((mine, "did not export"), (file, "not a folder"), (run, "did not export")):
        with pytest.raises(UsageError, match=message):
            export(run, place, SETTINGS)
    assert (mine / "thesis.txt").read_text() == "years of work"


def test_an_export_that_fails_leaves_the_earlier_one(run: Path, tmp_path: Path) -> None:
    out = export(run, tmp_path / "out", SETTINGS).out
    before = digests(out)
    (run / "videos.jsonl").write_text("".join((run / "videos.jsonl").read_text().splitlines(keepends=True)[5:]))
    with pytest.raises(UsageError, match=r"captions\.jsonl: c_\w+ belongs to v0\d, which videos\.jsonl lacks"):
        export(run, out, SETTINGS)
    assert digests(out) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "run"]


@pytest.mark.parametrize("file", ["pairs.jsonl", "labels.jsonl", "judgments.jsonl"])
def test_a_line_that_somebody_broke_is_told(run: Path, tmp_path: Path, file: str) -> None:
    lines = (run / file).read_text().splitlines()
    wrong = {
        lines[3][:-10]: "line 4: the line: Invalid JSON",
        lines[3].replace('"query_id":"q_', '"query_id":"gone_'): "belongs to gone_[0-9a-f]+, which queries.jsonl lacks",
        lines[3].replace('"schema_version":1', '"schema_version":9'): "line 4: .*newer than this Hardcut reads",
        "": "",
    }
    for line, message in wrong.items():
        (run / file).write_text("\n".join([*lines[:3], line, *lines[3:]]) + "\n")
        if message:
            with pytest.raises((UsageError, RecordError), match=f"{file}.*{message}"):
                export(run, tmp_path / "out", SETTINGS)
            assert not (tmp_path / "out").exists()
        else:
            export(run, tmp_path / "out", SETTINGS)


def test_an_export_killed_between_its_two_renames_is_mended(run: Path, tmp_path: Path) -> None:
    out = export(run, tmp_path / "out", SETTINGS).out
    before = digests(out)
    out.rename(tmp_path / ".out.hardcut-previous")
    (tmp_path / ".out.hardcut-building").mkdir()
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError):
        export(tmp_path / "empty", out, SETTINGS)
    export(run, out, SETTINGS)
    assert digests(out) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "out", "run"]
    splits = [(split, row["video_id"]) for split, row in Dataset(out).rows("corpus", ("video_id",))]
    out.rename(tmp_path / ".out.hardcut-previous")
    again = export(run, out, SETTINGS.model_copy(update={"export": SETTINGS.export.model_copy(update={"seed": 9})}))
    assert (again.before, again.version) == ("1.0.0", "1.0.1"), "what was put aside is the version before"
    assert splits == [(split, row["video_id"]) for split, row in Dataset(out).rows("corpus", ("video_id",))]


def test_a_run_without_judgments_is_told_so(tmp_path: Path, write_run: WriteRun, make: Any) -> None:
    run = write_run(tmp_path / "run", [make.video("v1")])
    with pytest.raises(UsageError, match="no pair has a judgment yet"):
        export(run, tmp_path / "out", SETTINGS)


def test_one_video_makes_a_dataset_of_one_split(tmp_path: Path, write_run: WriteRun, make: Any) -> None:
    query = make.query("alone", "v1")
    pair = make.pair(query, "v1")
    run = write_run(tmp_path / "run", [make.video("v1"), query, pair, make.judgment(pair, 1)])
    summary = export(run, tmp_path / "out", Settings())
    (split,) = summary.rows["pairs"]
    assert summary.rows["pairs"][split] == 1 and "captions" not in summary.rows
    (row,) = read(summary.out, "pairs")
    assert row["logit_margin"] is None and row["caption"] is None


def test_metadata_of_any_size_is_cut_and_the_cut_is_seen(tmp_path: Path, write_run: WriteRun, make: Any) -> None:
    query = make.query("alone", "v1")
    pair = make.pair(query, "v1")
    tags = [f"tag {i}" for i in range(5_000)]
    video = make.video("v1", title="ab " * 1_000_000, event="e" * 2_000, tags=tags)
    run = write_run(tmp_path / "run", [video, query, pair, make.judgment(pair, 1)])
    (row,) = read(export(run, tmp_path / "out", Settings()).out, "corpus")
    values = {entry["key"]: entry["value"] for entry in row["metadata"]}
    told = [entry["value"] for entry in row["metadata"] if entry["key"] == "tags"]
    assert told == [*tags[:100], "... and 4,900 more"]
    assert len(values["title"]) == 2_004 and values["title"].endswith(" ...") and values["event"] == "e" * 2_000


def test_the_card_tells_and_escapes(run: Path, tmp_path: Path) -> None:
    from huggingface_hub import DatasetCard

    summary = export(run, tmp_path / "out", SETTINGS, {"scores": 3}, ExportOptions(steps={"scores": TeacherLabel}))
    card = DatasetCard.load(summary.out / "README.md")
    front = card.data.to_dict()
    assert front["license"] == "cc-by-4.0" and front["language"] == ["de", "en"]
    assert front["pretty_name"] == SETTINGS.export.name and front["size_categories"] == ["n<1K"]
    assert [config["config_name"] for config in front["configs"]] == list(CONFIGS)
    assert {entry["config_name"] for entry in front["dataset_info"]} == set(CONFIGS)
    text = card.text
    assert "Clips of &lt;i&gt;a&lt;/i&gt; fair." in text and "Made by A &amp; B, C.\n" in text
    assert "<b>" not in text and r"# clips \| \[of\] &lt;b&gt;us&lt;/b&gt;" in text
    for expected in (
        "suspected\\_positive 1", "no\\_video\\_stream 1", "openai\\:judge-8b", "abababababab", "arXiv:2602.02444",
        "arXiv:2512.13511", "held\\_out\\_video", "| scores | 124 | 3 |", "| human |",
    ):  # fmt: skip
        assert expected in text, expected
    assert "The teacher was `evidence`" not in text
    assert re.search(
        r"Queries that make one: \d+ of \d+ in train, \d+ of \d+ in validation, \d+ of \d+ in test\.", text
    )
    assert re.search(
        r"Of \d+ pairs that a teacher judged and somebody else too, it says the same of 100 % \(\d+ to 100 %\)", text
    )
    assert "**Version 1.0.0**, the first of its line." in text and "the tag `v1.0.0` is this version" in text
    for table in (block for block in text.split("\n\n") if block.startswith("|")):
        widths = {line.replace("\\|", "").count("|") for line in table.splitlines()}
        assert len(widths) == 1 and table.splitlines()[1].startswith("| ---"), table


def test_the_card_warns_of_labels_that_no_model_gave(tmp_path: Path, write_run: WriteRun, make: Any) -> None:
    query = make.query("alone", "v1")
    pair = make.pair(query, "v1")
    for name, backend, warned in (("a", "evidence", True), ("b", "openai", False)):
        label = make.label(pair, "yes", 3.0, teacher=TeacherRef(backend=backend, model="1"))
        run = write_run(tmp_path / name, [make.video("v1"), query, pair, label, make.judgment(pair, 1, label)])
        text = (export(run, tmp_path / f"{name}-out", Settings()).out / "README.md").read_text()
        assert ("The teacher was `evidence`" in text) == warned
        assert "No licence is declared" in text


def test_the_card_tells_how_much_was_looked_at(tmp_path: Path, write_run: WriteRun, make: Any) -> None:
    query = make.query("alone", "v1")
    pair = make.pair(query, "v1")
    label = make.label(pair, "yes", 3.0)
    for name, looked_s, told in (("a", 4.0, ", movement looked for in 0 min 04 s of 0 min 12 s)"), ("b", 12.5, ")")):
        video = make.video("v1").model_copy(update={"looked_s": looked_s})
        run = write_run(tmp_path / name, [video, query, pair, label, make.judgment(pair, 1, label)])
        text = (export(run, tmp_path / f"{name}-out", Settings()).out / "README.md").read_text()
        assert f"(0 min 12 s in all{told}" in text


def test_the_card_tells_what_a_stranger_asks(tmp_path: Path, write_run: WriteRun, make: Any) -> None:
    """Figures by kind and split, how good the teacher is, lengths beyond the frames, text that was not read, whose
    licence each video has."""
    records: list[Any] = []
    for i in range(20):
        video = make.video(f"v{i:02}", licence="CC0-1.0" if i else "all rights reserved")
        records.append(video.model_copy(update={"duration_s": 12.0 if i else 90.0, "looked_s": 12.0}))
        query = make.query(f"a query {chr(97 + i) * 9}", f"v{i:02}", kind=("event", "temporal")[i % 2])
        records.append(query)
        for step in range(3):
            pair = make.pair(query, f"v{(i + step) % 20:02}")
            label = make.label(pair, "no" if step else "yes", -9.0 if step else 5.0)
            source = {"source": "human"} if step == 1 else {}
            records += [pair, label, make.judgment(pair, int(not step), label).model_copy(update=source)]
    for item, place in (("v03", "0.3-3.8 s"), ("v03", "5.0-6.0 s"), ("v04", "0.0-1.0 s"), ("gone", "0.0-1.0 s")):
        records.append(Dropped.create(item=item, stage="evidence", reason=UNREAD_TEXT, detail=place))
    estimate = TeacherEstimate(
        teacher="openai:judge-8b", pairs=60, audited=24, precision=0.875, precision_interval=(0.7, 0.96), recall=0.5,
        recall_interval=(0.2, 0.8),
    )  # fmt: skip
    run = write_run(tmp_path / "run", records)
    asked = {"evidence.ocr_languages": ["rus"], "export.authors": ["Ann of the archive"], "export.validation": 0.0}
    settings = load_settings(None, {**asked, "export.train": 1.0})
    made = export(run, tmp_path / "out", settings, options=ExportOptions(teachers=[estimate]))
    text = (made.out / "README.md").read_text("utf-8")
    for told in (
        "| temporal | 10 | 30 | 33 % (19 to 51 %) | 100 % (72 to 100 %) |",
        "How good openai\\:judge-8b is: of its 60 judged pairs of the run, people judged 24 that were drawn by chance",
        "takes for relevant, 0.88 is (95 % interval 0.70 to 0.96)", "it takes 0.50 for it (0.20 to 0.80).",
        "The longest video has 1 min 30 s. Movement looked for in 4 min 00 s of 5 min 18 s",
        "from 1 min 00 s on they are further apart: 1 of 20 videos are longer",
        "in Latin, Chinese and Japanese letters, and the languages rus. What looks like text could not be read in 3"
        " places of 2 videos",
        "CC0-1.0 19, all rights reserved 1. Each video's own is in `corpus`, column `licence`.",
        "tell Ann of the archive, on the Hub in the tab *Community*", "takes a video out of run and dataset with",
    ):  # fmt: skip
        assert told in text, told
    off = load_settings(None, {"evidence.ocr": "off"})
    assert "Text in the picture was not read." in (export(run, tmp_path / "off", off).out / "README.md").read_text()


def test_text_that_is_not_read_is_noted_under_the_name_that_the_card_counts(make: Any) -> None:
    from hardcut.synth.evidence.ocr import unread_text
    from hardcut.synth.evidence.readers import RAPID_SCRIPTS
    from hardcut.synth.evidence.unread import Unread

    assert unread_text(make.video("v1"), [Unread(0, 1, (0, 0, 1, 1))])[0].reason == UNREAD_TEXT
    assert {"LATIN", "HAN", "KANA"} == RAPID_SCRIPTS, "as the card names them"


@pytest.mark.parametrize(
    "value, escaped",
    [
        ("a|b\n# c", r"a\|b \# c"),
        ("<script>alert(1)</script>", r"&lt;script&gt;alert\(1\)&lt;/script&gt;"),
        ("[x](javascript:y)", r"\[x\]\(javascript\:y\)"),
        ("{{ 7*7 }} $x$ `code` www.x.y", r"\{\{ 7\*7 \}\} \$x\$ \`code\` www\.x.y"),
        ("a\u202eb\x00c", "abc"),
    ],
)
def test_escaping(value: str, escaped: str) -> None:
    assert escape_markdown(value) == escaped


@pytest.mark.parametrize(
    "licence, front",
    [
        ("CC-BY-4.0", {"license": "cc-by-4.0"}),
        ("CC BY-SA 4.0", {"license": "cc-by-sa-4.0"}),
        ("All rights reserved!", {"license": "other", "license_name": "all-rights-reserved"}),
        ("许可", {"license": "other", "license_name": "unnamed"}),
        (None, {}),
    ],
)
def test_the_front_matter_names_licences_as_the_hub_takes_them(licence: str | None, front: dict[str, str]) -> None:
    """Any other name, and the Hub refuses the whole commit."""
    assert front_matter(licence) == front


def test_the_front_matter_names_languages_as_the_hub_takes_them() -> None:
    assert languages(["en", "zh-Hant", "EN-us", "und", "<b>", "tlh"]) == ["en", "tlh", "zh"]


@pytest.mark.parametrize(
    "rows, name",
    [(0, "n<1K"), (999, "n<1K"), (1000, "1K<n<10K"), (99_999, "10K<n<100K"), (10**6, "1M<n<10M"), (10**7, "n>10M")],
)
def test_size_categories(rows: int, name: str) -> None:
    assert size_category(rows) == name


def read(folder: Path, config: str) -> list[dict[str, Any]]:
    """The rows of a config in the order of splits and shards, each with its split."""
    import pyarrow.parquet as pq

    rows: list[dict[str, Any]] = []
    for path in sorted((folder / "data" / config).iterdir()):
        rows += [{**row, "split": path.name.split("-")[0]} for row in pq.read_table(path).to_pylist()]
    return rows
