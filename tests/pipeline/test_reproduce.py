"""A dataset says how its run can be made again: set up out of it, the run gives the same tables, and what is planted
otherwise is named."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from hardcut.cli.app import app
from hardcut.data.bundled import sample_files
from hardcut.publish.dataset import FILES, Dataset
from hardcut.publish.recipe_file import RECIPE
from hardcut.teacher.prompts.render import prompt_sources

SETTINGS = """
[evidence]
ocr = "off"
motion = false
shots = false
[captions]
max_words = 90
[negatives]
per_query = 3
[export]
licence = "cc0-1.0"
group_by = []
[resources]
workers = 1
[teacher]
spec = "openai:judge@{url}"
key_variable = "SOME_PLACE_FOR_A_KEY"
prompts = "{prompts}"
[teacher.sampling]
seed = 7
"""
KEY = "sk-planted-key-4711"


@pytest.fixture
def clips() -> Iterator[list[Path]]:
    with sample_files() as folder:
        yield sorted((folder / "videos").rglob("*.mp4"))[:6]


def call(*words: object) -> Any:
    done = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    assert done.exit_code == (0 if words[0] != "export" else done.exit_code), done.output
    return json.loads(done.stdout) if "--json" in words else done.stdout


def told(found: dict[str, Any], kind: str) -> dict[str, str]:
    return {each["name"]: f"{each['there']} -> {each['here']}" for each in found["differences"] if each["kind"] == kind}


def tables(dataset: Path) -> dict[str, Any]:
    files = Dataset(dataset).marker[FILES]
    return {path: file for path, file in files.items() if path.startswith("data/")}


@pytest.mark.timeout(600)
def test_a_run_is_made_again_and_what_is_planted_is_named(
    tmp_path: Path, clips: list[Path], teacher_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_PLACE_FOR_A_KEY", KEY)
    monkeypatch.setenv("HARDCUT_API_KEY", KEY)
    videos, mine = tmp_path / "videos", tmp_path / "mine"
    videos.mkdir()
    mine.mkdir()
    for clip in clips:
        for file in clip.parent.glob(f"{clip.stem}.*"):
            shutil.copy(file, videos)
    judge = prompt_sources(None)["judge.system.txt.jinja"]
    (mine / "judge.system.txt.jinja").write_text(f"{judge}\nTake your time.\n")
    (tmp_path / "settings.toml").write_text(SETTINGS.format(url=teacher_server.url, prompts=mine))
    cache = ("--cache", tmp_path / "cache")
    call("run", videos, "--out", tmp_path / "run", "--config", tmp_path / "settings.toml", *cache, "--limit", 5)
    call("export", tmp_path / "run", "--out", tmp_path / "data", "--json")
    public = b"".join(
        path.read_bytes() for path in (tmp_path / "data").rglob("*") if path.suffix in (".json", ".jsonl")
    )
    for secret in (KEY, teacher_server.url, "127.0.0.1", "SOME_PLACE_FOR_A_KEY", str(tmp_path)):
        assert secret.encode() not in public, secret

    again = tmp_path / "again"
    bare = call("reproduce", tmp_path / "data", videos, "--out", tmp_path / "bare", *cache, "--json")
    assert told(bare, "teacher") == {"openai:judge": "at a server -> no address"}
    assert "others" in told(bare, "video"), "a sixth clip is in the folder, and is no part of the run"
    at = ("--server", f"judge={teacher_server.url}")
    found = call("reproduce", tmp_path / "data", videos, "--out", again, *at, *cache, "--json")
    assert {each["name"] for each in found["differences"]} == {"others"}
    assert "prompts/prompts1/judge.system.txt.jinja" in found["written"] and "manifest.jsonl" in found["written"]
    shutil.rmtree(mine)
    calls = sum(teacher_server.served.values())
    call("run", videos, "--out", again, "--config", again / "hardcut.toml", "--cache", tmp_path / "other")
    assert sum(teacher_server.served.values()) > calls, "nothing of the first cache is used"
    found = call("reproduce", tmp_path / "data", videos, "--out", again, *cache, "--json")
    assert found["finished"] and found["differences"] == []
    call("export", again, "--out", tmp_path / "data2", "--json")
    assert tables(tmp_path / "data2") == tables(tmp_path / "data") != {}

    # planted: another prompt, another setting, another model, another video, one that is gone, another title
    text = (again / "hardcut.toml").read_text().replace("max_words = 90", "max_words = 80")
    (again / "planted.toml").write_text(text.replace('"openai:judge@', '"openai:some/model@'))
    (again / "prompts/prompts1/judge.system.txt.jinja").write_text(judge)
    names = [path.stem for path in sorted(videos.glob("*.mp4"))]
    shutil.copy(videos / f"{names[5]}.mp4", videos / f"{names[0]}.mp4")
    (videos / f"{names[1]}.json").write_text('{"title": "Planted"}')
    call("run", videos, "--out", again, "--config", again / "planted.toml", "--cache", tmp_path / "other")
    (videos / f"{names[2]}.mp4").unlink()
    manifest = (again / "manifest.jsonl").read_text().splitlines(keepends=True)
    (again / "manifest.jsonl").write_text("".join(line for line in manifest if names[2] not in line))
    found = call("reproduce", tmp_path / "data", videos, "--out", again, *cache, "--json")
    assert told(found, "setting") == {
        "captions.max_words": "90 -> 80", "teacher.spec": "openai:judge -> openai:some/model",
    }  # fmt: skip
    assert list(told(found, "prompt")) == ["judge.system.txt.jinja"]
    seen = told(found, "video")
    assert seen.keys() == set(names[:3]) and seen[names[1]].endswith("other metadata")
    assert seen[names[2]].endswith("missing") and len(seen[names[0]]) == len("123456789012 -> 123456789012")
    assert found["finished"] and {"pairs", "videos"} <= told(found, "rows").keys() and told(found, "table")
    assert any("some/model" in each["here"] for each in found["differences"] if each["kind"] == "teacher")


def test_what_a_dataset_does_not_say_is_told(tmp_path: Path, clips: list[Path]) -> None:
    """Of an older run nobody knows the versions. A recipe that was altered is not followed."""
    videos = tmp_path / "videos"
    videos.mkdir()
    for clip in clips[:3]:
        shutil.copy(clip, videos)
    (tmp_path / "settings.toml").write_text(SETTINGS.partition("[teacher]")[0])
    (tmp_path / "queries.tsv").write_text("q1\ta ball\n")
    cache = ("--cache", tmp_path / "cache")
    given = ("--queries", tmp_path / "queries.tsv")
    call("run", videos, "--out", tmp_path / "run", "--config", tmp_path / "settings.toml", *given, *cache)
    (tmp_path / "run" / "made_with.json").unlink()
    data = tmp_path / "data"
    CliRunner().invoke(app, ["export", str(tmp_path / "run"), "--out", str(data)])
    found = call("reproduce", data, videos, "--out", tmp_path / "again", *cache, "--json")
    assert told(found, "version") == {"all": "not known -> see `hardcut doctor`"}
    said = call("reproduce", data, videos, "--out", tmp_path / "other", *cache)
    assert "not known" in said and f"hardcut run {videos}" in said.replace("\n", "")

    refused = ["reproduce", str(data), str(videos), "--out", str(tmp_path / "third"), "--server", "http://a.example"]
    assert "no teacher of the dataset" in str(CliRunner().invoke(app, refused).exception)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("mine")
    refused = ["reproduce", str(data), str(videos), "--out", str(tmp_path / "full")]
    assert "is not an empty folder" in str(CliRunner().invoke(app, refused).exception)
    (data / RECIPE).write_text((data / RECIPE).read_text().replace("0.75", "0.5"))
    refused = ["reproduce", str(data), str(videos), "--out", str(tmp_path / "again")]
    assert "altered" in str(CliRunner().invoke(app, refused).exception)
