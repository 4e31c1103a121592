"""The same videos give the same files wherever they lie: tars, an S3 store, a dataset of the Hub, a list of addresses.

Each is held against the run over the folder, byte for byte, up to the captions: what comes after reads records only.
"""

from __future__ import annotations

import fcntl
import functools
import http.server
import json
import os
import random
import shutil
import struct
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

Process = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def videos(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two of the world's clips with what lies beside them, subtitles among it; each of more than half a megabyte."""
    folder = tmp_path_factory.mktemp("sources") / "videos"
    shutil.copytree(world / "videos" / "talks", folder / "talks")
    assert list(folder.rglob("*.srt")) and list(folder.rglob("*.json"))
    for path in folder.rglob("*.mp4"):
        with path.open("ab") as file:  # a box that players pass over (ISO 14496-12, 8.1.2)
            file.write(struct.pack(">I4s", 600_000, b"free") + bytes(600_000 - 8))
    return folder


@pytest.fixture(scope="module")
def start(command: list[str], environment: dict[str, str]) -> Process:
    """A run up to the captions: `start(SOURCE, OUT, *options, variable="value")`."""

    def call(source: object, out: Path, *options: object, **variables: str) -> subprocess.CompletedProcess[str]:
        folders = ["--out", out, "--cache", f"{out}-cache", "--until", "captions"]
        line = [*command, "run", *map(str, (source, *folders, *options))]
        env = {**environment, **variables}
        return subprocess.run(line, capture_output=True, text=True, env=env, timeout=850, check=False)

    return call


@pytest.fixture(scope="module")
def folder_run(videos: Path, start: Process, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("folder") / "run"
    assert start(videos, out).returncode == 0
    return out


def _files(run: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in run.glob("*.jsonl")}


def _without_subtitles(videos: Path, folder: Path) -> Path:
    shutil.copytree(videos, folder)
    for path in [*folder.rglob("*.srt"), *folder.rglob("*.vtt")]:
        path.unlink()
    return folder


def _tars(videos: Path, folder: Path) -> None:
    files = [path for path in sorted(videos.rglob("*")) if path.is_file()]
    for number in range(2):
        with tarfile.open(folder / f"clips-{number:03d}.tar", "w") as tar:
            for path in files[number::2]:
                tar.add(path, path.relative_to(videos).as_posix())


def _bytes_under(folder: Path) -> int:
    """While nobody makes or takes room."""
    if not (folder / "size").exists():
        return 0
    with (folder / "size").open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        return _sum_of(folder)


def _sum_of(folder: Path) -> int:
    total = 0
    for where, _, names in os.walk(folder):
        for name in names:
            try:
                total += Path(where, name).stat().st_size
            except FileNotFoundError:
                continue
    return total


@pytest.mark.timeout(600)
def test_tars_with_kills_and_a_small_cache(
    videos: Path, folder_run: Path, start: Process, command: list[str], environment: dict[str, str], tmp_path: Path
) -> None:
    """Killed four times; the cache has room for one of the two videos, and never takes more."""
    _tars(videos, tmp_path)
    limit = 2**20
    config = tmp_path / "hardcut.toml"
    config.write_text(f"[sources]\ncache_bytes = {limit}\n")
    arguments = ["run", tmp_path / "clips-{000..001}.tar", "--out", tmp_path / "run", "--cache", tmp_path / "run-cache"]
    line = [*command, *map(str, [*arguments, "--until", "captions", "--config", config])]
    dice, most, fetched = random.Random(7), 0, tmp_path / "run-cache" / "videos" / "files"
    for _ in range(4):
        process = subprocess.Popen(line, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            until = time.monotonic() + dice.uniform(2, 12)
            while process.poll() is None and time.monotonic() < until:
                most = max(most, _bytes_under(fetched))
                time.sleep(0.1)
            process.wait(timeout=0.01)
        except subprocess.TimeoutExpired:
            workers = psutil.Process(process.pid).children(recursive=True)
            process.kill()
            process.wait()
            psutil.wait_procs(workers, timeout=10)
    done = start(tmp_path / "clips-*.tar", tmp_path / "run", "--config", config)
    assert done.returncode == 0, done.stderr
    assert _files(tmp_path / "run") == _files(folder_run)
    assert 600_000 < most <= limit + 2**16, "the files, and the notes about them"


@pytest.mark.timeout(600)
def test_a_store_and_tars_in_it(videos: Path, folder_run: Path, start: Process, s3_server: Any, tmp_path: Path) -> None:
    s3_server.put_folder(videos, "world")
    done = start("s3://clips/world", tmp_path / "run", **s3_server.environment)
    assert done.returncode == 0, done.stderr
    assert _files(tmp_path / "run") == _files(folder_run)
    (tmp_path / "tars").mkdir()
    _tars(videos, tmp_path / "tars")
    s3_server.put_folder(tmp_path / "tars", "tars")
    done = start("s3://clips/tars/clips-{000..001}.tar", tmp_path / "tar-run", **s3_server.environment)
    assert done.returncode == 0, done.stderr
    assert _files(tmp_path / "tar-run") == _files(folder_run)


@pytest.mark.timeout(600)
def test_a_dataset_of_the_hub(videos: Path, start: Process, hub_server: Any, tmp_path: Path) -> None:
    from datasets import Dataset, Video

    plain = _without_subtitles(videos, tmp_path / "plain")
    assert start(plain, tmp_path / "folder").returncode == 0
    rows = [
        {"video": {"bytes": path.read_bytes(), "path": path.name}, "path": path.relative_to(plain).as_posix(),
         **json.loads(path.with_suffix(".json").read_text())}
        for path in sorted(plain.rglob("*.mp4"))
    ]  # fmt: skip
    table = Dataset.from_list(rows).cast_column("video", Video())
    table.to_parquet(str(tmp_path / "dataset" / "data" / "train-00000-of-00001.parquet"))
    there = {
        "HF_ENDPOINT": hub_server.url, "HF_TOKEN": "hf_right", "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1",
        "HF_HOME": str(tmp_path / "home"),
    }  # fmt: skip
    upload = (
        "import sys, huggingface_hub; api = huggingface_hub.HfApi(); "
        "api.create_repo('org/clips', repo_type='dataset', private=True); "
        "api.upload_folder(repo_id='org/clips', repo_type='dataset', folder_path=sys.argv[1])"
    )
    line = [sys.executable, "-c", upload, str(tmp_path / "dataset")]
    subprocess.run(line, env={**os.environ, **there}, check=True, capture_output=True)
    for name, source in (("local", f"dataset:{tmp_path / 'dataset'}"), ("hub", "dataset:org/clips")):
        done = start(source, tmp_path / name, **there)
        assert done.returncode == 0, done.stderr
        assert "%|" not in done.stderr, "no bars where nobody looks"
        assert _files(tmp_path / name) == _files(tmp_path / "folder"), name


@pytest.mark.timeout(600)
def test_a_list_with_broken_lines(
    videos: Path, folder_run: Path, start: Process, hardcut: Process, tmp_path: Path
) -> None:
    asked: list[str] = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_request(self, code: object = "-", size: object = "-") -> None:
            asked.append(self.path)

    handler = functools.partial(Handler, directory=str(videos))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    rows: list[dict[str, Any]] = []
    for path in sorted(videos.rglob("*")):
        name = path.relative_to(videos).as_posix()
        if path.suffix == ".mp4":
            rows.append({"url": f"{url}/{name}", "path": name, **json.loads(path.with_suffix(".json").read_text())})
        elif path.suffix in (".srt", ".vtt"):
            rows.append({"url": f"{url}/{name}", "path": name})
    rows += [{"url": f"{url}/gone.mp4?signature=secret"}, {"url": "http://example.org/a.mp4"}]
    listed = tmp_path / "list.jsonl"
    listed.write_text("\n".join(map(json.dumps, rows)))
    done = start(listed, tmp_path / "run", "--allow-host", "127.0.0.1")
    assert done.returncode == 1, done.stderr
    assert _files(tmp_path / "run") == _files(folder_run)
    failed = hardcut("status", tmp_path / "run", "--failed").stdout
    assert f"refused: list.jsonl, line {len(rows) - 1}: the server says 404 Not Found" in failed
    assert f"list.jsonl, line {len(rows)}': host_not_allowed: example.org" in failed
    assert b"secret" not in b"".join(path.read_bytes() for path in tmp_path.glob("run/*") if path.is_file())
    before = len(asked)
    assert start(listed, tmp_path / "run", "--allow-host", "127.0.0.1").returncode == 1
    assert len(asked) == before, "a start that has nothing to do asks nobody"
    server.shutdown()
