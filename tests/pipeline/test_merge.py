"""Runs over parts of the videos, on machines of their own, merged into the run that one machine would have made."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Any

import pytest

from hardcut.data.bundled import sample_files
from hardcut.engine.ledger import Ledger
from hardcut.engine.progress import NullProgress
from hardcut.engine.status import read_status
from hardcut.pipeline.cache import Cache
from hardcut.pipeline.carry_out import Job, carry_out
from hardcut.pipeline.merge import Shard, merge
from hardcut.schemas.config import load_settings
from hardcut.schemas.errors import StorageError, UsageError

SETTINGS: dict[str, Any] = {
    "evidence.ocr": "off", "evidence.motion": False, "evidence.shots": False, "media.fps": 1.0, "media.max_frames": 4,
    "resources.workers": 1, "negatives.per_query": 3,
}  # fmt: skip


def start(videos: Path, out: Path, *, cache: Path | None = None, shard: str = "", url: str = "", **more: Any) -> None:
    spec = {"teacher.spec": f"openai:judge@{url}"} if url else {}
    settings = load_settings(None, {**SETTINGS, **spec, **more.pop("settings", {})})
    part = Shard.parse(shard) if shard else None
    job = Job(videos, out, settings, Cache(cache or out.with_suffix(".cache")), shard=part, **more)
    asyncio.run(carry_out(job, NullProgress()))


def files(run: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(run.glob("*.jsonl"))}


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample, and a file that is no video."""
    folder = tmp_path_factory.mktemp("merge") / "videos"
    with sample_files() as sample:
        shutil.copytree(sample / "videos", folder)
    (folder / "notes.mp4").write_text("not a video")
    return folder


def test_sixteen_shards_are_one_run(videos: Path, tmp_path: Path) -> None:
    """Every stage of the merged run that looks at one video finds all its units done."""
    start(videos, tmp_path / "whole")
    runs = [tmp_path / f"shard-{number}" for number in range(1, 17)]
    for number, run in enumerate(runs, 1):
        start(videos, run, shard=f"{number}/16", cache=tmp_path / "frames")
        assert not (run / "pairs.jsonl").exists()
    one = files(tmp_path / "whole")
    parts = [line for run in runs for line in files(run)["videos.jsonl"].splitlines()]
    assert sorted(parts) == sorted(one["videos.jsonl"].splitlines()), "every video is in one shard"

    taken = merge(tmp_path / "merged", runs)
    assert sum(each.units for each in taken) > 100 and not any(each.known for each in taken)
    start(videos, tmp_path / "merged", until="queries")
    done = {stage.name: stage.units_in for stage in read_status(tmp_path / "whole").stages}
    with Ledger(tmp_path / "merged") as ledger:
        for stage in ("probe", "signatures", "evidence", "captions", "queries"):
            rows = ledger.database.read("SELECT count(*) FROM unit WHERE stage = ?", (stage,))
            assert rows[0][0] == done[stage], "no unit was made again under another key"
    assert not (tmp_path / "merged.cache" / "frames").exists(), "no video was opened again"
    start(videos, tmp_path / "merged")
    assert files(tmp_path / "merged") == one


def test_calls_are_paid_by_the_shards_and_in_the_books(videos: Path, tmp_path: Path, teacher_server: Any) -> None:
    for name in ("1/2", "2/2"):
        start(videos, tmp_path / name[0], shard=name, url=teacher_server.url)
    spent = [each for name in "12" for each in read_status(tmp_path / name).spend]
    merge(tmp_path / "merged", [tmp_path / "1", tmp_path / "2"])
    before = teacher_server.total_served
    start(videos, tmp_path / "merged", until="queries", url=teacher_server.url)
    assert teacher_server.total_served == before
    merged = read_status(tmp_path / "merged").spend
    assert sum(each.calls for each in merged) == sum(each.calls for each in spent) > before > 50
    assert sum(each.prompt_tokens for each in merged) == sum(each.prompt_tokens for each in spent) > 5000


def test_what_is_merged_twice_counts_once(videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A merge that dies is done again; one of runs that share videos takes each once."""
    for name in ("1/3", "2/3"):
        start(videos, tmp_path / name[0], shard=name, cache=tmp_path / "frames")
    start(videos, tmp_path / "both", limit=20, cache=tmp_path / "frames", until="captions")
    runs = [tmp_path / "1", tmp_path / "2", tmp_path / "both"]
    with monkeypatch.context() as dying:
        dying.setattr("hardcut.pipeline.merge.book_spent", lambda *_: exec("raise KeyboardInterrupt"))
        with pytest.raises(KeyboardInterrupt):
            merge(tmp_path / "merged", runs[:2])
    one, two, both = merge(tmp_path / "merged", runs)
    assert (one.units, two.units) == (0, 0) and one.known and both.known and both.units
    start(videos, tmp_path / "merged", cache=tmp_path / "frames")
    with pytest.raises(UsageError, match="a run is here already"):
        merge(tmp_path / "merged", runs)


def test_what_does_not_fit_is_told(videos: Path, tmp_path: Path, teacher_server: Any) -> None:
    start(videos, tmp_path / "1", shard="1/9", until="evidence")
    start(videos, tmp_path / "2", shard="2/9", until="evidence", settings={"media.fps": 2.0})
    with pytest.raises(UsageError, match=r"2: media.fps is 2.0, and 1.0 in .*1: a run has one set of settings"):
        merge(tmp_path / "merged", [tmp_path / "1", tmp_path / "2"])
    for name, url in (("4", teacher_server.url), ("5", teacher_server.url.replace("127.0.0.1", "localhost"))):
        start(videos, tmp_path / name, shard="1/9", until="evidence", url=url)
    with pytest.raises(UsageError, match=r"4: teacher.spec is openai:judge, and evidence in .*1"):
        merge(tmp_path / "merged", [tmp_path / "1", tmp_path / "4"])
    assert merge(tmp_path / "elsewhere", [tmp_path / "4", tmp_path / "5"]), "one model at two addresses"
    with pytest.raises(UsageError, match="no run is here"):
        merge(tmp_path / "merged", [tmp_path / "1", tmp_path])
    with pytest.raises(UsageError, match="--until negatives: a shard ends with queries"):
        start(videos, tmp_path / "3", shard="1/9", until="negatives")
    for wrong in ("0/3", "4/3", "3", "1/0", "a/b"):
        with pytest.raises(UsageError, match="give the part and how many"):
            Shard.parse(wrong)
    with Ledger(tmp_path / "1") as ledger:
        harm = "UPDATE unit SET status = 'dropped' WHERE stage = 'evidence' AND status = 'done'"
        ledger.database.submit(lambda connection: connection.execute(harm)).result()
    with pytest.raises(StorageError, match=r"1: stage evidence, unit .* is damaged: start that run again"):
        merge(tmp_path / "merged2", [tmp_path / "1"])


@pytest.mark.parametrize("count", [1, 2, 7, 30])
def test_shards_are_a_partition(count: int) -> None:
    items = [f"v{number}" for number in range(20)]
    parts = [Shard(number, count).of(items) for number in range(1, count + 1)]
    assert [item for part in parts for item in part] == items
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
