"""A video that is to be forgotten: not one byte of it is left below run, cache and dataset."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml
from typer.testing import CliRunner

from hardcut.cli.app import app
from hardcut.data.bundled import sample_files
from hardcut.engine.progress import NullProgress
from hardcut.engine.status import read_status
from hardcut.engine.traces import Traces, sentences
from hardcut.pipeline.cache import Cache
from hardcut.pipeline.carry_out import Job, carry_out
from hardcut.pipeline.run_export import Choices, export_run
from hardcut.publish.dataset import Dataset, verify
from hardcut.schemas.config import load_settings
from hardcut.schemas.ids import digest
from hardcut.schemas.jsonl import read_records, write_records
from hardcut.schemas.judgments import Review
from hardcut.schemas.records import Caption, Pair, Query, Video

SETTINGS: dict[str, Any] = {
    "evidence.ocr": "off", "evidence.motion": False, "evidence.shots": False, "resources.workers": 1,
    "export.licence": "cc0-1.0", "export.group_by": [], "evidence.metadata_fields": ["title", "tags"],
}  # fmt: skip
SPOKEN = "The harbour master keeps his ledger under the stairs."
SECRET = "Zwölf Kraniche über Quedlinburg"


@pytest.fixture
def clips() -> Iterator[list[Path]]:
    with sample_files() as folder:
        yield [
            path
            for path in sorted((folder / "videos").rglob("*.mp4"))
            if path.stem.endswith("a") or "events" in str(path)
        ][:7]


def test_every_byte_of_a_video_goes_and_nobody_is_asked_again(
    tmp_path: Path, clips: list[Path], teacher_server: Any
) -> None:
    videos, run, cache = tmp_path / "videos", tmp_path / "run", Cache(tmp_path / "cache")
    for clip in clips:
        (videos / clip.parent.name).mkdir(parents=True, exist_ok=True)
        shutil.copy(clip, videos / clip.parent.name)
        title = {"title": f"{SECRET} {clip.stem}" if clip == clips[2] else f"A day with {clip.stem}"}
        (videos / clip.parent.name / f"{clip.stem}.json").write_text(json.dumps(title))
        said = SPOKEN if clip == clips[2] else f"Somebody says a word about {clip.stem} and no more."
        subtitle = f"1\n00:00:00,100 --> 00:00:01,500\n{said}\n"
        (videos / clip.parent.name / f"{clip.stem}.srt").write_text(subtitle)
    settings = load_settings(None, {**SETTINGS, "teacher.spec": f"openai:judge@{teacher_server.url}"})

    def start() -> dict[str, int]:
        asyncio.run(carry_out(Job(videos, run, settings, cache), NullProgress()))
        return {each.stage: each.calls for each in read_status(run).spend if each.stage}

    asked = start()
    gone = next(each for each in read_records(run / Video.FILE, Video) if Path(each.path).name == clips[2].name)
    queries = {each.query_id: each for each in read_records(run / Query.FILE, Query)}
    pairs = list(read_records(run / Pair.FILE, Pair))
    with (run / Review.FILE).open("w") as file:
        write_records(file, sorted((_answer(pair, queries[pair.query_id]) for pair in pairs), key=lambda each: each.id))
    start()
    first = export_run(run, tmp_path / "one", Choices()).out
    dataset = export_run(run, tmp_path / "two", Choices(like=first)).out
    shutil.rmtree(first)

    captions = [each for each in read_records(run / Caption.FILE, Caption) if each.video_id == gone.video_id]
    texts = [each.text for each in captions] + [
        each.text for each in queries.values() if gone.video_id in (each.source_video_id, each.reference_video_id)
    ]
    others = " ".join(each.text for each in queries.values() if each.source_video_id != gone.video_id)
    planted = [gone.video_id, gone.path, gone.sha256, SECRET, SPOKEN, *(text for text in texts if text not in others)]
    frames = [path.read_bytes() for path in (cache.frames / gone.sha256[:2] / gone.sha256).rglob("*.jpg")]
    assert frames and len(planted) > 6
    assert all(_found(planted[:5], frames, folder) for folder in (run, cache.root, dataset)), "they are there before"

    line = ["forget", str(run), gone.video_id, "--dataset", str(dataset), "--cache", str(cache.root), "--json"]
    done = CliRunner().invoke(app, line)
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["frames"] == 1 and all(told[name] for name in ("results", "lines", "replies", "rows", "remains"))
    for folder in (run, cache.root, dataset):
        assert _found(planted, frames, folder) == [], folder
    assert verify(dataset) == [], "the dataset is whole"
    _loads(dataset, tmp_path / "loaded")
    assert (dataset / "README.md").read_text().count("Rows were taken out of this version") == 1

    for file in (videos / clips[2].parent.name).glob(f"{clips[2].stem}.*"):
        file.unlink()
    again = start()
    # A query that said the same as one of the video's may take its place: its pairs alone are new.
    new = len({each.pair_id for each in read_records(run / Pair.FILE, Pair)} - {pair.pair_id for pair in pairs})
    scores = again.pop("scores") - asked.pop("scores")
    assert again == asked and scores <= 2 * new, "what is left is not asked again"
    left = {pair.pair_id for pair in pairs if pair.video_id != gone.video_id}
    left -= {pair.pair_id for pair in pairs if queries[pair.query_id].source_video_id == gone.video_id}
    assert left & {pair.pair_id for pair in read_records(run / Pair.FILE, Pair)}
    assert _found(planted, frames, run) == [] and _found(planted, frames, cache.root) == []


def test_a_split_that_is_emptied_is_gone_from_every_config(tmp_path: Path) -> None:
    """`datasets` refuses a whole config where one of its files has no row."""
    with sample_files() as folder:
        run, cache = tmp_path / "run", Cache(tmp_path / "cache")
        settings = load_settings(None, {**SETTINGS, "captions.check": False})
        asyncio.run(carry_out(Job(folder / "videos", run, settings, cache, limit=14), NullProgress()))
    dataset = export_run(run, tmp_path / "data", Choices()).out
    rows = dict(Dataset(dataset).rows("corpus", ("video_id",)))
    assert len(rows) > 1
    emptied = "validation" if "validation" in rows else "test"
    videos = [row["video_id"] for split, row in Dataset(dataset).rows("corpus", ("video_id",)) if split == emptied]
    done = CliRunner().invoke(app, ["forget", str(run), *videos, "--dataset", str(dataset)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert not list(dataset.glob(f"data/corpus/{emptied}-*"))
    assert emptied not in _loads(dataset, tmp_path / "loaded")
    assert verify(dataset) == []


def _loads(dataset: Path, cache: Path) -> set[str]:
    """Loads every config by the card, as a stranger would; the splits of the corpus."""
    from datasets import get_dataset_config_names, load_dataset

    front = yaml.safe_load((dataset / "README.md").read_text().split("---")[1])
    counted = {
        info["config_name"]: {split["name"]: split["num_examples"] for split in info["splits"]}
        for info in front["dataset_info"]
    }
    for config in get_dataset_config_names(str(dataset)):
        loaded = load_dataset(str(dataset), config, cache_dir=str(cache))
        assert {split: len(rows) for split, rows in loaded.items()} == counted[config]
    return set(counted["corpus"])


def _answer(pair: Pair, query: Query) -> Review:
    ids = {"pair_id": pair.pair_id, "query_id": pair.query_id, "video_id": pair.video_id}
    given = {"query_digest": digest(query.text), "reviewer": "ada", "blind": True, "status": "submitted"}
    return Review.create(**ids, **given, relevance=2 if query.source_video_id == pair.video_id else 0)


def _found(planted: list[str], frames: list[bytes], folder: Path) -> list[str]:
    """What of it is in any byte of any file below a folder; tables are looked at unpacked too."""
    found = []
    for path in folder.rglob("*"):
        if not path.is_file():
            continue
        content = path.read_bytes()
        if path.suffix == ".parquet":
            content += json.dumps(pq.read_table(path).to_pylist(), ensure_ascii=False, default=str).encode()
        for text in planted:
            spelled = {text, json.dumps(text)[1:-1], json.dumps(json.dumps(text))[3:-3]}
            if any(each.encode() in content for each in spelled):
                found.append(f"{path}: {text}")
        found += [f"{path}: a frame" for frame in frames if frame in content]
    return found


def test_a_line_is_whole_whatever_stands_in_a_name(tmp_path: Path, clips: list[Path]) -> None:
    """U+2028 in a file's name: JSON Lines were cut there, and what was left of them was no JSON and still a trace."""
    videos, run, cache = tmp_path / "videos", tmp_path / "run", Cache(tmp_path / "cache")
    videos.mkdir()
    for number, clip in enumerate(clips[:6]):
        shutil.copy(clip, videos / ("quux\u2028corge.mp4" if number == 2 else f"{clip.stem}.mp4"))
    asyncio.run(carry_out(Job(videos, run, load_settings(None, SETTINGS), cache), NullProgress()))
    dataset = export_run(run, tmp_path / "dataset", Choices()).out
    listed = [path for path in dataset.rglob("*.jsonl") if "\u2028" in path.read_text("utf-8")]
    assert dataset / "recipe.jsonl" in listed
    line = ["forget", str(run), "quux\u2028corge", "--dataset", str(dataset), "--cache", str(cache.root)]
    assert CliRunner().invoke(app, line).exit_code == 0
    for path in listed:
        text = path.read_text("utf-8")
        assert "quux" not in text and "corge" not in text and "\u2028" not in text
        assert all(json.loads(each) for each in text.split("\n") if each)
    assert verify(dataset) == []


def test_what_is_a_trace_and_what_is_not() -> None:
    traces = Traces({"a/v1", "a/v1.mp4"}, frozenset({"q_1"}), frozenset(sentences("A red ball rolls. It stops.")))
    for text in ('{"video_id":"a/v1"}', "a/v1 scores 3, b 2", "see a/v1.", '["q_1"]', "about q_1: x", "a/v1.mp4"):
        assert traces.in_text(text), text
    assert traces.in_text(json.dumps({"content": json.dumps({"claims": ["a red ball rolls"]})}))
    for text in ('{"video_id":"a/v12"}', '"b/a/v1"', '"a/v1-b"', '"a/v1.2"', '"q_12"', "a red ball rolls on and on"):
        assert not traces.in_text(text), text
    assert traces.loosely_in("/data/b/a/v1.mp4") and not traces.by_name.in_text('"A red ball rolls."')


def test_copies_and_strangers_are_told(tmp_path: Path, clips: list[Path]) -> None:
    (tmp_path / "videos").mkdir()
    for name in ("one.mp4", "two.mp4"):
        shutil.copy(clips[0], tmp_path / "videos" / name)
    settings = load_settings(None, {**SETTINGS})
    job = Job(tmp_path / "videos", tmp_path / "run", settings, Cache(tmp_path / "cache"), until="probe")
    asyncio.run(carry_out(job, NullProgress()))
    said = [
        CliRunner().invoke(app, ["forget", str(tmp_path / "run"), name, "--cache", str(tmp_path / "cache")])
        for name in ("one", "three")
    ]
    messages = [str(each.exception) + each.output for each in said]
    assert all(each.exit_code != 0 for each in said)
    assert "two is the same file" in messages[0] and "never had a video 'three'" in messages[1]
