"""Packs runs of the Hardcut that is imported into an archive, for `tests/cli/test_old_runs.py`.

    PYTHONPATH=CHECKOUT/src python tests/tools/make_old_run.py CHECKOUT/tests/teacher_server.py VERSION.tar.xz

Inside: `videos/`, a `cache/` with frames and replies, and runs of two teachers, `model` (over HTTP) and `evidence`: one
that ended (`whole`), one that was killed in the middle of its scores (`killed`), one that was stopped behind its
queries (`stopped`). Evidence is only what sidecars say, so that an extractor that learns more asks no teacher anything.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path
from typing import Any

from aiohttp import web

from hardcut.data.bundled import sample_files
from hardcut.engine.status import read_status
from hardcut.schemas.errors import StorageError, UsageError
from hardcut.schemas.jsonl import read_records
from hardcut.schemas.judgments import Review
from hardcut.schemas.records import Pair, Query
from hardcut.schemas.reviews import query_digest

CLIPS = ("talks/talk-01-a", "reels/reel-01-c", "motion/door-01-a", "motion/door-01-b")
SETTINGS = """
[media]
fps = 1.0
max_frames = 3
max_pixels = 12000
[evidence]
ocr = "off"
shots = false
motion = false
[queries]
paraphrases = 1
composed = 1
[resources]
workers = 1
concurrency = 2
"""
PORT = 9
"""Of the server whose address is part of the replies' keys. Nobody listens there when the archive is used."""
TIME = 1_700_000_000
"""The clips' time of change, part of the keys of `probe`."""
COMMAND = [sys.executable, "-c", "from hardcut.cli.app import main; main()"]


def main(server_file: Path, archive: Path) -> None:
    spec = importlib.util.spec_from_file_location("teacher_server", server_file)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    with tempfile.TemporaryDirectory() as scratch, _at_port(module.TeacherServer, PORT):
        folder = Path(scratch)
        _lay_out(folder)
        for name, teacher in (("model", f"openai:judge@http://127.0.0.1:{PORT}/v1"), ("evidence", "evidence")):
            _run(folder, f"{name}/whole", teacher)
            _review(folder / name / "whole")
            _run(folder, f"{name}/whole", teacher)
            for begun in ("stopped", "killed"):
                (folder / name / begun).mkdir()
                shutil.copy(folder / name / "whole" / Review.FILE, folder / name / begun)
            _run(folder, f"{name}/stopped", teacher, "--until", "queries")
            _kill(folder, f"{name}/killed", teacher)
        for leftover in (*folder.rglob("*.lock"), *folder.rglob("*-shm"), *folder.rglob("report.html")):
            leftover.unlink()
        with tarfile.open(archive, "w:xz") as packed:
            for part in ("settings.toml", "videos", "cache", "model", "evidence"):
                packed.add(folder / part, part, filter=_nobodys)


def _nobodys(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


def _at_port(server: type[Any], port: int) -> Any:
    """The tests' server, which takes any port that is free, at one that is known."""
    site = web.TCPSite
    web.TCPSite = lambda runner, host, _, **more: site(runner, host, port, **more)  # type: ignore[misc,assignment]
    return server()


def _lay_out(folder: Path) -> None:
    (folder / "settings.toml").write_text(SETTINGS)
    with sample_files() as sample:
        for clip in CLIPS:
            source = sample / "videos" / clip
            target = folder / "videos" / clip
            target.parent.mkdir(parents=True, exist_ok=True)
            for file in source.parent.glob(f"{source.name}.*"):
                copied = Path(shutil.copy(file, target.parent))
                os.utime(copied, (TIME, TIME))


def _line(folder: Path, run: str, teacher: str, *more: str) -> list[str]:
    folders = ["--out", str(folder / run), "--cache", str(folder / "cache")]
    given = ["--config", str(folder / "settings.toml"), "--teacher", teacher]
    return [*COMMAND, "run", str(folder / "videos"), *folders, *given, *more]


def _run(folder: Path, run: str, teacher: str, *more: str) -> None:
    subprocess.run(_line(folder, run, teacher, *more), check=True)


def _review(run: Path) -> None:
    """Two answers as `hardcut review pull` writes them: a verdict, and a verdict with another wording."""
    queries = {query.query_id: query for query in read_records(run / Query.FILE, Query)}
    pairs = [pair for pair in read_records(run / Pair.FILE, Pair) if queries[pair.query_id].kind == "event"][:2]
    reviews = [
        Review.create(
            pair_id=pair.pair_id,
            query_id=pair.query_id,
            video_id=pair.video_id,
            query_digest=query_digest(queries[pair.query_id]),
            reviewer="reviewer",
            relevance=relevance,
            rewritten_query=reworded,
            blind=True,
            stratum="audit",
            status="submitted",
        )
        for pair, relevance, reworded in zip(pairs, (0, 2), (None, "another wording of it"), strict=True)
    ]
    (run / Review.FILE).write_text(
        "".join(review.model_dump_json() + "\n" for review in sorted(reviews, key=lambda r: r.review_id))
    )


def _kill(folder: Path, run: str, teacher: str) -> None:
    """Kills a run once the pairs of some of its videos are judged and of others not."""
    out = folder / run
    while True:
        process = subprocess.Popen(_line(folder, run, teacher))
        while process.poll() is None and not _judged(out):
            time.sleep(0.001)
        process.kill()
        process.wait()
        if 0 < _judged(out) < len(CLIPS):
            return
        for file in out.iterdir():
            if file.name != Review.FILE:
                file.unlink()


def _judged(run: Path) -> int:
    try:
        return {stage.name: stage.done for stage in read_status(run).stages}.get("scores", 0)
    except (StorageError, UsageError):  # it is being made this moment
        return 0


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
