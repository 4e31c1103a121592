"""A run from end to end: what it writes, what it says, and that the same again does nothing."""

from __future__ import annotations

import json
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from hardcut.schemas.catalogue import RECORDS
from hardcut.schemas.jsonl import read_records
from hardcut.schemas.judgments import Judgment
from hardcut.schemas.records import Dropped, Evidence, Pair, Query, TeacherLabel, Video

Process = Callable[..., subprocess.CompletedProcess[str]]
Timed = Callable[..., tuple[subprocess.CompletedProcess[str], float]]
REAL = Path(__file__).resolve().parents[3] / "shared" / "videos"


@pytest.fixture(scope="module")
def finished(world: Path, hardcut: Process, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run over the world, with its cache beside it."""
    folder = tmp_path_factory.mktemp("finished")
    done = hardcut(*_arguments(world, folder))
    assert done.returncode == 0, done.stderr
    return folder


def _arguments(world: Path, folder: Path) -> list[str | Path]:
    inputs = ["--queries", world / "queries.tsv", "--first-stage", world / "first_stage.trec"]
    return ["run", world / "videos", "--out", folder / "run", "--cache", folder / "cache", *inputs]


def _processor_time(command: list[str]) -> float:
    """What a process uses, in seconds: the second of two, as the first may find its files on the disk alone."""
    for _ in range(2):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime - before.ru_utime) + (after.ru_stime - before.ru_stime)


def _status(hardcut: Process, run: Path) -> dict[str, list[dict[str, int]]]:
    return json.loads(hardcut("status", run, "--json").stdout)


def test_every_file_of_the_design_is_there_and_parses(finished: Path) -> None:
    for record in RECORDS:
        path = finished / "run" / record.FILE
        if record.__name__ in ("Review", "Comparison", "Triplet"):
            assert not path.exists(), "nobody has reviewed anything, or asked for triplets"
            continue
        ids = [item.id for item in read_records(path, record)]
        assert ids == sorted(ids), f"{record.FILE} is sorted by id"
        assert len(set(ids)) == len(ids)
    for record in (Video, Evidence, Query, Pair, TeacherLabel, Judgment):
        assert (finished / "run" / record.FILE).stat().st_size > 0, record.FILE
    assert (finished / "run" / "report.html").stat().st_size > 1000
    assert (finished / "run" / "run.toml").is_file()


def test_records_refer_to_records_that_are_there(finished: Path) -> None:
    run = finished / "run"
    videos = {video.video_id for video in read_records(run / Video.FILE, Video)}
    queries = {query.query_id for query in read_records(run / Query.FILE, Query)}
    pairs = {pair.pair_id: pair for pair in read_records(run / Pair.FILE, Pair)}
    assert all(pair.query_id in queries and pair.video_id in videos for pair in pairs.values())
    labels = list(read_records(run / TeacherLabel.FILE, TeacherLabel))
    assert {label.pair_id for label in labels} == set(pairs), "every pair is scored"
    judged = {judgment.pair_id for judgment in read_records(run / Judgment.FILE, Judgment)}
    left_out = {dropped.item for dropped in read_records(run / Dropped.FILE, Dropped) if dropped.stage == "judgments"}
    assert judged | left_out == set(pairs), "every pair is judged or left out with a reason"
    assert not judged & left_out


def test_the_sums_agree_at_every_stage(finished: Path, hardcut: Process) -> None:
    status = _status(hardcut, finished / "run")
    assert [stage["name"] for stage in status["stages"]] == [
        *("user_queries", "probe", "signatures", "evidence", "captions", "queries", "counterfactuals"),
        *("duplicates", "twins", "composed", "negatives", "scores", "judgments"),
    ]
    for stage in status["stages"]:
        assert stage["units_in"] == stage["done"] + stage["dropped"] + stage["failed"], stage
        assert stage["units_in"] > 0
        assert stage["pending"] == 0


def test_the_same_run_again_does_nothing_and_is_quick(
    finished: Path, world: Path, hardcut: Process, timed: Timed
) -> None:
    before = {path: path.stat().st_mtime_ns for path in (finished / "run").iterdir() if "ledger" not in path.name}
    ledger = _status(hardcut, finished / "run")
    again, took = timed(*_arguments(world, finished))
    assert again.returncode == 0, again.stderr
    after = {path: path.stat().st_mtime_ns for path in before}
    changed = sorted(path.name for path in before if before[path] != after[path])
    assert changed in ([], ["run.toml"]), changed
    assert _status(hardcut, finished / "run") == ledger, "no unit ran again: not even its time changed"
    bare = _processor_time([sys.executable, "-c", "import hardcut.cli.run"])
    assert took < 2.0 * bare, f"nothing to do took {took:.1f} s, the imports alone {bare:.1f} s"  # measured: 1.3 times


def test_nothing_is_written_to_a_pipe_but_the_summary(finished: Path, world: Path, hardcut: Process) -> None:
    again = hardcut(*_arguments(world, finished))
    assert again.stderr == ""
    assert "\x1b" not in again.stdout
    assert "scores" in again.stdout


def test_a_damaged_file_of_a_run_is_restored_and_said_so(
    finished: Path, world: Path, hardcut: Process, tmp_path: Path
) -> None:
    shutil.copytree(finished, tmp_path / "copy")
    labels = tmp_path / "copy" / "run" / "labels.jsonl"
    whole = labels.read_bytes()
    labels.write_bytes(whole[:100])
    damaged = hardcut("export", labels.parent, "--out", tmp_path / "data")
    assert "labels.jsonl was altered or cut short: it is restored from the ledger" in damaged.stderr
    assert labels.read_bytes() == whole
    labels.unlink()
    done = hardcut(*_arguments(world, tmp_path / "copy"))
    assert done.returncode == 0, done.stderr
    assert labels.read_bytes() == whole


def test_a_changed_setting_does_again_what_depends_on_it(
    finished: Path, world: Path, hardcut: Process, tmp_path: Path
) -> None:
    shutil.copytree(finished, tmp_path / "copy")
    folder = tmp_path / "copy"
    (folder / "settings.toml").write_text("[queries]\nper_view = 2\n")
    before = _status(hardcut, folder / "run")
    done = hardcut(*_arguments(world, folder), "--config", folder / "settings.toml")
    assert done.returncode == 0, done.stderr
    after = _status(hardcut, folder / "run")
    same = {"user_queries", "probe", "signatures", "duplicates", "evidence", "captions"}
    untimed = {"twins", "negatives", "judgments"}
    for old, new in zip(before["stages"], after["stages"], strict=True):
        if new["name"] != "composed":  # a few milliseconds, which may be the same twice
            assert (old["seconds"] == new["seconds"]) == (new["name"] in same | untimed), new["name"]
    written = [next(row for row in found["stages"] if row["name"] == "queries") for found in (before, after)]
    assert written[1]["records"]["Query"] > written[0]["records"]["Query"]


def test_until_stops_early_and_the_rest_follows(world: Path, hardcut: Process, tmp_path: Path) -> None:
    arguments = ["run", world / "videos", "--out", tmp_path / "run", "--cache", tmp_path / "cache", "--limit", "2"]
    first = hardcut(*arguments, "--until", "probe")
    assert first.returncode == 0, first.stderr
    assert (tmp_path / "run" / "videos.jsonl").is_file()
    assert not (tmp_path / "run" / "captions.jsonl").exists()
    assert hardcut("export", tmp_path / "run", "--out", tmp_path / "data").returncode == 2, "not finished"
    second = hardcut(*arguments)
    assert second.returncode == 0, second.stderr
    assert len(list(read_records(tmp_path / "run" / "videos.jsonl", Video))) == 2


def test_the_dataset_loads_and_is_the_same_each_time(
    finished: Path, hardcut: Process, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    for name in ("one", "two"):
        done = hardcut("export", finished / "run", "--out", tmp_path / name)
        assert done.returncode == 1, done.stderr  # written, and its gate says that it has no licence
    files = sorted(path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*") if path.is_file())
    assert files == sorted(
        path.relative_to(tmp_path / "two") for path in (tmp_path / "two").rglob("*") if path.is_file()
    )
    for file in files:
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes(), file

    from datasets import load_dataset

    for config in ("pairs", "captions", "queries", "corpus", "qrels"):
        loaded = load_dataset(str(tmp_path / "one"), config, cache_dir=str(tmp_path / "hf"))
        assert sum(len(split) for split in loaded.values()) > 0, config


def test_a_run_in_the_folder_of_videos_is_no_part_of_the_collection(
    world: Path, hardcut: Process, tmp_path: Path
) -> None:
    videos = tmp_path / "videos"
    shutil.copytree(world / "videos", videos)
    arguments = ["run", videos, "--out", videos / "run", "--cache", videos / "cache", "--until", "probe"]
    first, second = hardcut(*arguments), hardcut(*arguments)
    assert first.returncode == 0, first.stderr
    assert second.stdout == first.stdout, "its own files are no units of the second start"
    planned = hardcut("plan", videos, "--out", videos / "run", "--cache", videos / "cache", "--json")
    copied = shutil.copy(next((world / "videos").rglob("*.mp4")), videos / "run" / "preview.mp4")
    again = hardcut("plan", videos, "--out", videos / "run", "--cache", videos / "cache", "--json")
    assert json.loads(planned.stdout)["videos"] == json.loads(again.stdout)["videos"] == 6, f"{copied} is its own"
    refused = hardcut("run", videos, "--out", videos, "--until", "probe")
    assert refused.returncode == 2
    assert "give another" in refused.stderr
    assert not (videos / "ledger.sqlite").exists()


@pytest.mark.skipif(not REAL.is_dir(), reason="the real clips (../shared/videos) are not on this machine")
def test_real_videos_are_accounted_for_by_name(hardcut: Process, timed: Timed, tmp_path: Path) -> None:
    arguments = ["run", REAL, "--out", tmp_path / "run", "--cache", tmp_path / "cache"]
    done = hardcut(*arguments, "--json")
    assert done.returncode in (0, 1), done.stderr
    videos = {video.path: video for video in read_records(tmp_path / "run" / "videos.jsonl", Video)}
    dropped = {item.item for item in read_records(tmp_path / "run" / "dropped.jsonl", Dropped)}
    failed = {item["unit"] for item in json.loads(done.stdout)["failed"]}
    for path in REAL.rglob("*"):
        name = path.relative_to(REAL).as_posix()
        if path.is_file():
            named = {name, f"./{name}", name.rpartition(".")[0]}
            assert name in videos or named & (dropped | failed), f"{name} is not accounted for"
    damaged = videos["codecs/corrupted.mp4"]
    assert not damaged.complete
    assert damaged.missing
    assert damaged.duration_s > 0, "what was salvaged"
    for stage in json.loads(done.stdout)["stages"]:
        assert stage["units_in"] == stage["done"] + stage["dropped"] + stage["failed"], stage
    again, took = timed(*arguments)
    assert again.returncode == done.returncode, "a second run ends with the status of the first"
    assert took < 2.0
