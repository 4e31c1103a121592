"""check, publish, pull, import and the other formats, as commands: what they say and how they end."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hardcut.publish.allowances import items_to_allow
from hardcut.publish.checks.result import CheckResult
from hardcut.publish.dataset import Dataset
from hardcut.publish.export_dataset import ExportOptions, export
from hardcut.publish.gate import check, gate_settings
from hardcut.schemas.dataset_settings import ExportSettings
from hardcut.schemas.settings import Settings

Process = Callable[..., subprocess.CompletedProcess[str]]
_spec = importlib.util.spec_from_file_location("cli_hub_server", Path(__file__).parents[1] / "hub_server.py")
assert _spec is not None and _spec.loader is not None
hub_server = importlib.util.module_from_spec(_spec)
sys.modules["cli_hub_server"] = hub_server
_spec.loader.exec_module(hub_server)


@pytest.fixture(scope="module")
def run(world: Path, hardcut: Process, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("published")
    inputs = ["--queries", world / "queries.tsv", "--judgments", world / "qrels.txt"]
    done = hardcut("run", world / "videos", "--out", folder / "run", "--cache", folder / "cache", *inputs)
    assert done.returncode == 0, done.stderr
    return folder / "run"


@pytest.fixture(scope="module")
def dataset(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With whatever so small a world fails allowed, as its card says."""
    folder, options = tmp_path_factory.mktemp("dataset"), ExportSettings(licence="cc0-1.0")
    allow = _allowances(export(run, folder / "first", Settings(export=options)).gate)
    return export(run, folder / "data", Settings(export=options), options=ExportOptions(allow=allow)).out


def _allowances(gate: Iterable[CheckResult]) -> tuple[str, ...]:
    """Every item of every check that stands in the way, each with a reason."""
    items = ((result.name, item) for result in gate for item in items_to_allow(result))
    return tuple(f"{name}: {item} because the world is small" for name, item in items)


def _options(folder: Path) -> list[str]:
    """The same as options of the command, for a dataset."""
    dataset = Dataset(folder)
    return [word for text in _allowances(check(dataset, gate_settings(dataset))) for word in ("--allow", text)]


@pytest.fixture
def hub(command: list[str], environment: dict[str, str], tmp_path: Path) -> Iterator[tuple[Any, Process]]:
    with hub_server.HubServer() as server:
        given = {"HF_ENDPOINT": server.url, "HF_TOKEN": "hf_right", "HF_HUB_DISABLE_XET": "1"}
        env = {**environment, **given, "HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "0"}

        def call(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
            line = [*command, *map(str, arguments)]
            return subprocess.run(line, capture_output=True, text=True, env=env, timeout=200, check=False)

        yield server, call


def test_own_judgments_outrank_the_teacher(run: Path, world: Path) -> None:
    found = [json.loads(line) for line in (run / "judgments.jsonl").read_text().splitlines()]
    own = [row for row in found if row["source"] == "imported"]
    assert {row["grade"] for row in own} >= {0, 2}
    grades = {(row["query_id"], row["video_id"]): row["grade"] for row in own}
    names = {
        json.loads(line)["query_id"]: json.loads(line) for line in (run / "queries.jsonl").read_text().splitlines()
    }
    asked = {
        (cells[0], cells[2]): int(cells[3]) for cells in map(str.split, (world / "qrels.txt").read_text().splitlines())
    }
    assert {(names[query]["external_id"], video): grade for (query, video), grade in grades.items()} == asked


def test_check_says_what_is_wrong_and_allowances_are_by_item(run: Path, hardcut: Process, tmp_path: Path) -> None:
    done = hardcut("export", run, "--out", tmp_path / "data")
    assert done.returncode == 1 and "failed   licence" in done.stdout and "to do:" in done.stdout, done.stdout
    told = hardcut("check", tmp_path / "data", "--json")
    assert told.returncode == 1
    failed = {one["name"]: one for one in json.loads(told.stdout)["checks"] if one["state"] in ("failed", "unknown")}
    assert failed["licence"]["items"] == ["the dataset itself has no licence"]
    assert "--allow 'licence: the dataset itself has no licence because …'" in done.stdout
    allow = _options(tmp_path / "data")
    assert hardcut("check", tmp_path / "data", *allow).returncode == 0
    other = hardcut("export", tmp_path / "data", "--out", tmp_path / "trec", "--format", "trec")
    assert other.returncode == 1 and "failed   licence" in other.stdout and (tmp_path / "trec" / "train.qrels").exists()
    allowed = hardcut("export", tmp_path / "data", "--out", tmp_path / "tevatron", "--format", "tevatron", *allow)
    assert allowed.returncode == 0, allowed.stdout
    assert hardcut("check", tmp_path / "data", "--allow", "license: x because y").returncode == 2
    whole = hardcut("check", tmp_path / "data", "--allow", "licence")
    assert whole.returncode == 2 and "no check is switched off whole" in whole.stderr
    assert hardcut("check", run).returncode == 2


def test_a_format_of_others_is_looked_at_by_the_gate_too(
    run: Path, world: Path, hardcut: Process, tmp_path: Path
) -> None:
    done = hardcut("export", run, "--out", tmp_path / "trec", "--format", "trec")
    assert done.returncode == 1 and "failed   licence" in done.stdout and (tmp_path / "trec" / "train.qrels").exists()
    videos = ("--videos", world / "videos")
    far = hardcut("export", run, "--out", tmp_path / "swift", "--format", "ms-swift", *videos)
    assert far.returncode == 1 and str(world / "videos") in (tmp_path / "swift" / "train.reranker.jsonl").read_text()
    near = hardcut("export", run, "--out", tmp_path / "near", *videos)
    assert near.returncode == 2 and "paths stay relative" in near.stderr
    clips = hardcut("export", run, "--out", tmp_path / "t", "--format", "trec", "--with-media", tmp_path)
    assert clips.returncode == 2 and "takes the folder by --videos" in clips.stderr


def test_publish_refuses_what_the_gate_does(run: Path, hub: tuple[Any, Process], tmp_path: Path) -> None:
    server, call = hub
    assert call("export", run, "--out", tmp_path / "data").returncode == 1
    done = call("publish", tmp_path / "data", "org/set")
    assert done.returncode == 1 and "not published" in done.stdout and not server.repos
    failed = [line.split()[1] for line in done.stdout.splitlines() if line.startswith(("failed", "unknown"))]
    told = json.loads(call("publish", tmp_path / "data", "org/set", "--json").stdout)
    assert told["url"] is None and [one["name"] for one in told["checks"]] == failed
    allow = _options(tmp_path / "data")
    assert call("export", run, "--out", tmp_path / "data", *allow).returncode == 0
    card = (tmp_path / "data" / "README.md").read_text()
    assert "| licence | the dataset itself has no licence | the world is small |" in card
    assert call("publish", tmp_path / "data", "org/set").returncode == 0 and "org/set" in server.repos


def test_publish_and_pull(dataset: Path, hub: tuple[Any, Process], tmp_path: Path) -> None:
    server, call = hub
    done = call("publish", dataset, "org/set", "--tag", "v7")
    assert done.returncode == 0 and "tagged v7" in done.stdout and server.repos["org/set"].private, done.stderr
    again = call("publish", dataset, "org/set")
    assert again.returncode == 0 and "nothing was sent" in again.stdout
    back = call("pull", "org/set", "--out", tmp_path / "back", "--revision", "v7")
    assert back.returncode == 0 and "every file as it was published" in back.stdout, back.stderr
    rows = json.loads(call("pull", "org/set", "--out", tmp_path / "back", "--json").stdout)["rows"]
    assert rows == {
        name: sum(of.values()) for name, of in json.loads((dataset / "hardcut.json").read_text())["rows"].items()
    }
    names = [sorted(path.relative_to(folder) for path in folder.rglob("*")) for folder in (dataset, tmp_path / "back")]
    assert names[0] == names[1]


def test_out_to_a_format_of_others_and_back_in(dataset: Path, hardcut: Process, tmp_path: Path) -> None:
    whole = hardcut("export", dataset, "--out", tmp_path / "again")
    assert whole.returncode == 2 and "is a dataset already" in whole.stderr
    done = hardcut("export", dataset, "--out", tmp_path / "rv", "--format", "rankvideo", "--json")
    assert done.returncode == 0, done.stderr
    counts = json.loads(done.stdout)["rows"]
    files = sorted((tmp_path / "rv").glob("*.jsonl"))
    into = hardcut("import", "rankvideo", *files, "--out", tmp_path / "in")
    assert into.returncode == 0 and "next     hardcut run VIDEOS" in into.stdout, into.stderr
    judged = sum(count for name, count in counts.items() if name.endswith(".jsonl"))
    assert f"{judged:,} judgments" in into.stdout
    assert hardcut("import", "rankvideos", *files, "--out", tmp_path / "x").returncode == 2
    assert hardcut("export", dataset, "--out", tmp_path / "y", "--format", "rank").returncode == 2


def _splits(folder: Path) -> dict[str, str]:
    return {row["query_id"]: split for split, row in Dataset(folder).rows("queries", ("query_id",))}


def _bytes(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_an_export_keeps_the_splits_of_what_it_replaces(run: Path, hardcut: Process, tmp_path: Path) -> None:
    """Whoever exports over the folder of the version before had its splits drawn anew, without a word."""
    data, settings = tmp_path / "data", tmp_path / "other.toml"
    first = hardcut("export", run, "--out", data)
    assert "version   1.0.0\n" in first.stdout, first.stdout + first.stderr
    splits, files = _splits(data), _bytes(data)
    assert set(splits.values()) > {"train"}
    again = hardcut("export", run, "--out", data)
    assert "1.0.0 as before: no row and no setting changed; splits are kept" in again.stdout
    assert _bytes(data) == files, "the same rows and settings are the same version"

    own = (run / "run.toml").read_text()
    settings.write_text(re.sub(r"(?ms)(^\[export\]$.*?^train = )0.8$", r"\g<1>0.4", own, count=1))
    assert settings.read_text() != own
    changed = hardcut("export", run, "--out", data, "--config", settings)
    assert _splits(data) == splits, changed.stdout
    anew = hardcut("export", run, "--out", data, "--config", settings, "--new-splits")
    assert "version   1.0.0\n" in anew.stdout and _splits(data) != splits
    both = hardcut("export", run, "--out", data, "--like", data, "--new-splits")
    assert both.returncode == 2 and "--like and --new-splits" in both.stderr

    next((data / "data" / "corpus").glob("*.parquet")).write_bytes(b"PAR1")
    damaged = hardcut("export", run, "--out", data)
    assert damaged.returncode == 2 and "altered" in damaged.stderr and "--new-splits" in damaged.stderr
    assert hardcut("export", run, "--out", data, "--new-splits").returncode in (0, 1)


def test_the_version_before_may_be_on_the_hub(
    run: Path, dataset: Path, hub: tuple[Any, Process], tmp_path: Path
) -> None:
    _, call = hub
    assert call("publish", dataset, "org/set").returncode == 0
    done = call("export", run, "--out", tmp_path / "next", "--like", "org/set@v1.0.0")
    assert "1.0.1, after 1.0.0" in done.stdout, done.stdout + done.stderr
    assert _splits(tmp_path / "next") == _splits(dataset)
    gone = call("export", run, "--out", tmp_path / "other", "--like", "org/set@v7.0.0")
    assert gone.returncode not in (0, 1) and "v7.0.0" in gone.stderr and not (tmp_path / "other").exists()
    assert call("export", run, "--out", tmp_path / "other", "--like", tmp_path / "nothing").returncode == 2
