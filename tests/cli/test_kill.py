"""A run can die at any moment: killed with SIGKILL and started again, it ends with the same bytes."""

from __future__ import annotations

import random
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

Process = Callable[..., subprocess.CompletedProcess[str]]
KILLS = 20


def _files(run: Path) -> dict[str, bytes]:
    """All that a run writes for others to read. The report is left out: it shows how long things took."""
    return {path.name: path.read_bytes() for path in sorted(run.iterdir()) if path.suffix in (".jsonl", ".toml")}


def _same(one: Path, other: Path) -> None:
    """The files of two runs are byte for byte equal."""
    whole, killed = _files(one), _files(other)
    assert set(whole) == set(killed)
    for name in whole:
        assert whole[name] == killed[name], name


@pytest.mark.timeout(600)
def test_killed_twenty_times_and_byte_for_byte_the_same(
    world: Path, command: list[str], environment: dict[str, str], hardcut: Process, tmp_path: Path
) -> None:
    def arguments(name: str) -> list[str | Path]:
        inputs = ["--queries", world / "queries.tsv", "--first-stage", world / "first_stage.trec"]
        folders = ["--out", tmp_path / name, "--cache", tmp_path / f"{name}-cache"]
        return ["run", world / "videos", "--limit", "4", *folders, *inputs]

    started = time.perf_counter()
    assert hardcut(*arguments("whole")).returncode == 0
    whole_s = time.perf_counter() - started

    dice = random.Random(2026)
    line = [*command, *map(str, arguments("killed"))]
    kills = 0
    while kills < KILLS:
        process = subprocess.Popen(line, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            process.wait(timeout=dice.uniform(0.3, whole_s / 3))
        except subprocess.TimeoutExpired:
            workers = psutil.Process(process.pid).children(recursive=True)
            process.kill()
            process.wait()
            _, alive = psutil.wait_procs(workers, timeout=10)
            assert not alive, "workers end with the process that they work for"
            kills += 1
            continue
        assert process.returncode == 0
        # It got to its end between two kills: from the start again, so that every kill hits work.
        _same(tmp_path / "whole", tmp_path / "killed")
        shutil.rmtree(tmp_path / "killed")
        shutil.rmtree(tmp_path / "killed-cache")

    done = hardcut(*arguments("killed"))
    assert done.returncode == 0, done.stderr
    _same(tmp_path / "whole", tmp_path / "killed")

    for name in ("whole", "killed"):
        assert hardcut("export", tmp_path / name, "--out", tmp_path / f"{name}-data").returncode == 1, "no licence"
    for path in (tmp_path / "whole-data").rglob("*"):
        if path.is_file():
            other = tmp_path / "killed-data" / path.relative_to(tmp_path / "whole-data")
            assert path.read_bytes() == other.read_bytes(), path.name
