"""A disk that is full or read-only: one line, status 4, and nothing half-written, in every command that writes.

The disks are real: a small tmpfs that was filled, and a folder that is mounted read-only. Where nobody may mount
anything these tests are skipped; those that limit the size of files run everywhere.
"""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import typer

from hardcut.cli.app import app, main

Hardcut = Callable[..., tuple[int, str]]
TESTS = Path(__file__).resolve().parents[1]
OLD_RUN = TESTS / "cli" / "old_runs" / "26e4c37.tar.xz"


@pytest.fixture
def hardcut(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Hardcut:
    """Calls the command in this process: (status, stderr)."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")

    def call(*arguments: str | Path) -> tuple[int, str]:
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        code = ended.value.code
        return (code if isinstance(code, int) else 0), capsys.readouterr().err

    return call


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What commands read: a finished run with reviews (`run`), its videos and cache, a dataset of it (`set`), a run
    with margins enough for thresholds (`many`), and files of TREC."""
    folder = tmp_path_factory.mktemp("whole")
    with tarfile.open(OLD_RUN) as packed:
        packed.extractall(folder, filter="data")
    (folder / "model" / "whole").rename(folder / "run")
    spec = importlib.util.spec_from_file_location("publish_helpers", TESTS / "publish" / "conftest.py")
    assert spec is not None and spec.loader is not None
    helpers = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(helpers)
    helpers.written(folder / "many", many(helpers.Make()))
    (folder / "many" / "run.toml").write_text("")
    (folder / "a.qrels").write_text("q1 0 a 2\nq1 0 b 0\nq2 0 c 1\n")
    (folder / "a.run").write_text("q1 Q0 b 1 2.0 x\nq1 Q0 a 2 1.0 x\nq2 Q0 c 1 1.0 x\n")
    (folder / "q.tsv").write_text("q1\ta door opens\nq2\ta door closes\n")
    for line in (
        ["run", folder / "videos", "--out", folder / "run", "--cache", folder / "cache", *teacher(folder)],
        ["export", folder / "run", "--out", folder / "set"],
    ):
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in line])
        assert ended.value.code in (0, 1)
    (folder / "captions.txt").write_text("A red ball moves from left to right.\nA man closes the door.\n")
    with _embeddings() as url:
        (folder / "url").write_text(url)
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in embedding(folder, folder / "vectors")])
        assert ended.value.code == 0
        yield folder


@contextmanager
def _embeddings() -> Iterator[str]:
    """A server that makes a vector of three numbers of any text."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            data = [{"index": at, "embedding": [1.0, len(text), 2.0]} for at, text in enumerate(asked["input"])]
            body = json.dumps({"data": data}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/v1"
        server.shutdown()


def embedding(folder: Path, out: Path) -> list[str | Path]:
    model = f"openai:m@{(folder / 'url').read_text()}"
    return ["embed", folder / "run", "--model", model, "--out", out, "--what", "captions", "--what", "queries"]


def teacher(folder: Path) -> list[str | Path]:
    return ["--config", folder / "settings.toml", "--teacher", "openai:judge@http://127.0.0.1:9/v1"]


def many(make: Any) -> Iterator[Any]:
    for place in range(40):
        query = make.query(f"query {place}", f"v{place}")
        yield query
        for step in range(3):
            pair = make.pair(query, f"v{(place + step) % 40}")
            margin = -6.0 - place / 10 if step else 5.0 + place / 10
            yield pair
            yield make.label(pair, "no" if step else "yes", margin)


Line = Callable[[Path, Path], list[str | Path]]
WRITES: dict[str, Line] = {
    "init": lambda whole, disk: ["init", disk / "own.toml"],
    "run": lambda whole, disk: [
        "run", whole / "videos", "--out", disk / "run", "--cache", whole / "cache", *teacher(whole)
    ],
    "run, cache": lambda whole, disk: [
        "run", whole / "videos", "--out", whole / "again", "--cache", disk / "cache", *teacher(whole)
    ],
    "demo": lambda whole, disk: ["demo", "--out", disk / "demo", "--cache", whole / "cache"],
    "export": lambda whole, disk: ["export", whole / "run", "--out", disk / "set"],
    **{
        f"export, {format}": lambda whole, disk, format=format: [  # type: ignore[misc]
            "export", whole / "set", "--out", disk / "set", "--format", format
        ]
        for format in ("rankvideo", "sentence-transformers", "tevatron", "trec")
    },
    "merge": lambda whole, disk: ["merge", disk / "merged", whole / "run"],
    "synth": lambda whole, disk: ["synth", "text", whole / "captions.txt", "--out", disk / "texts"],
    "embed": lambda whole, disk: embedding(whole, disk / "vectors"),
    "search": lambda whole, disk: ["search", whole / "vectors", "--out", disk / "dense.trec", "--among", "captions"],
    "reproduce": lambda whole, disk: ["reproduce", whole / "set", whole / "videos", "--out", disk / "again"],
    "diagnose": lambda whole, disk: [
        "diagnose", whole / "set", "--videos", whole / "videos", "--out", disk / "diagnosis",
        "--cache", whole / "cache", "--split", "train", "--most", "2",
    ],
    "diff": lambda whole, disk: ["diff", whole / "set", whole / "set", "--html", disk / "diff.html"],
    "import": lambda whole, disk: [
        "import", "trec", whole / "a.qrels", whole / "a.run", whole / "q.tsv", "--out", disk / "in"
    ],
    "evaluate": lambda whole, disk: [
        "evaluate", "--qrels", whole / "a.qrels", "--run", whole / "a.run", "--page", disk / "page.html"
    ],
}  # fmt: skip


def _video(run: Path) -> str:
    return str(json.loads((run / "videos.jsonl").read_text("utf-8").splitlines()[0])["video_id"])


INSIDE: dict[str, Callable[[Path], list[str | Path]]] = {
    "calibrate": lambda disk: ["calibrate", disk / "run"],
    "thresholds": lambda disk: ["thresholds", disk / "many"],
    "gc": lambda disk: ["gc", disk / "run"],
    "forget": lambda disk: ["forget", disk / "run", _video(disk / "run"), "--cache", disk / "cache"],
    "review report": lambda disk: ["review", "report", disk / "run", "--cache", disk / "cache"],
}
"""What writes into the folder of its run."""
READS = {"status", "plan", "check", "doctor", "schema", "prompt"}
ELSEWHERE = {
    "batch": "tests/pipeline/test_batch.py",
    "publish": "tests/publish/test_hub.py",
    "pull": "tests/publish/test_hub.py",
    "train": "tests/reranker/test_training.py",
    "rerank": "tests/reranker/test_reranking.py",
}
"""Commands that need a server or torch, and where their disk is tested."""


def test_every_command_is_here() -> None:
    commands = set(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
    here = {name.split(",")[0].split()[0] for name in (*WRITES, *INSIDE)}
    assert commands == here | READS | ELSEWHERE.keys()
    assert all((TESTS.parent / path).is_file() for path in ELSEWHERE.values())


def left(disk: Path) -> set[str]:
    found = {path.relative_to(disk).as_posix() for path in disk.rglob("*") if path.is_file()}
    return found - {"filler"}


def resumable(name: str, path: str) -> bool:
    """The ledger and the cache of a run, and whole files of vectors or pictures, keep what was finished: the next start
    goes on from there."""
    kept = ("ledger.", "/videos/", "replies", "size", "/vectors/", "/pictures/")
    return name.startswith(("run", "demo", "merge", "synth", "embed", "diagnose")) and any(
        part in f"/{path}" for part in kept
    )


FULL, READ_ONLY = "space|full", "read-only"


def expect(status: int, told: str, words: str) -> None:
    assert status == 4, told
    assert told.count("\n") == 1 and re.search(words, told) and "Traceback" not in told, told


@pytest.mark.parametrize("name", WRITES)
@pytest.mark.parametrize("free", [0, 12_288])
def test_a_full_disk(
    hardcut: Hardcut, whole: Path, small_disk: Callable[..., Path], fill: Callable[..., None], name: str, free: int
) -> None:
    disk = small_disk()
    fill(disk, free)
    status, told = hardcut(*WRITES[name](whole, disk))
    if free and status == 0:
        return  # it was room enough
    expect(status, told, FULL)
    assert {path for path in left(disk) if not resumable(name, path)} == set()


@pytest.mark.parametrize("name", WRITES)
def test_a_read_only_disk(
    hardcut: Hardcut, whole: Path, small_disk: Callable[..., Path], fill: Callable[..., None], name: str
) -> None:
    disk = small_disk()
    fill(disk, read_only=True)
    status, told = hardcut(*WRITES[name](whole, disk))
    expect(status, told, READ_ONLY)


@pytest.mark.parametrize("name", INSIDE)
@pytest.mark.parametrize("how", ["full", "read-only"])
def test_a_run_on_such_a_disk(
    hardcut: Hardcut, whole: Path, small_disk: Callable[..., Path], fill: Callable[..., None], name: str, how: str
) -> None:
    disk = small_disk("8m")
    for run in ("run", "many"):
        shutil.copytree(whole / run, disk / run)
    before = {path: (disk / path).read_bytes() for path in left(disk)}
    fill(disk, read_only=how == "read-only")
    status, told = hardcut(*INSIDE[name](disk))
    expect(status, told, FULL if how == "full" else READ_ONLY)
    after = {path: (disk / path).read_bytes() for path in left(disk) if "ledger." not in path}
    assert after == {path: content for path, content in before.items() if "ledger." not in path}


@pytest.mark.parametrize("name", ["evaluate", "import", "init", "export, trec"])
def test_a_limit_on_the_size_of_files(whole: Path, tmp_path: Path, name: str) -> None:
    """Needs no mount: the writes fail with EFBIG in the place of ENOSPC."""
    program = (
        "import resource\nfrom hardcut.cli.app import main\nimport sys\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (16, 16))\nmain(sys.argv[1:])\n"
    )
    line = [sys.executable, "-c", program, *map(str, WRITES[name](whole, tmp_path))]
    done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=280)
    expect(done.returncode, done.stderr, "file size")
    assert left(tmp_path) == set()


def test_a_full_disk_behind_the_output(whole: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    line = [sys.executable, "-c", "from hardcut.cli.app import main; main()", "status", str(whole / "run")]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(line, stdout=full, stderr=subprocess.PIPE, text=True, check=False, timeout=280)
    assert done.returncode == 4 and done.stderr.count("\n") == 1 and "space" in done.stderr, done.stderr
