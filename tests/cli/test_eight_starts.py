"""Eight starts on one cache ask each question once, and one that is killed holds up nobody."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Process = Callable[..., subprocess.CompletedProcess[str]]
STARTS = 8


@pytest.fixture(scope="module")
def looked_at(world: Path, hardcut: Process, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The frames of four videos and a run with their evidence."""
    folder = tmp_path_factory.mktemp("frames")
    done = hardcut(
        "run", world / "videos", "--limit", "4", "--until", "evidence", "--out", folder / "run", "--cache", folder
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def line(world: Path, looked_at: Path, command: list[str], teacher_server: Any, tmp_path: Path) -> Callable[..., Any]:
    """The command line of a start with a folder of its own and the cache of all."""
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "frames").symlink_to(looked_at / "frames")
    settings = tmp_path / "settings.toml"
    settings.write_text("[resources]\nworkers = 1\n[queries]\nviews = ['caption', 'speech']\ncomposed = 0\n")

    def make(name: str, *more: str) -> list[str]:
        shutil.copytree(looked_at / "run", tmp_path / name, dirs_exist_ok=True)
        folders = ["--out", str(tmp_path / name), "--cache", str(tmp_path / "cache"), "--config", str(settings)]
        videos = [str(world / "videos"), "--limit", "4", "--teacher", f"openai:judge@{teacher_server.url}"]
        return [*command, "run", *videos, *folders, *more]

    return make


def files(run: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in run.glob("*.jsonl")}


@pytest.mark.timeout(600)
def test_eight_starts_on_one_cache_pay_for_one(
    line: Callable[..., list[str]],
    environment: dict[str, str],
    hardcut: Process,
    teacher_server: Any,
    tmp_path: Path,
) -> None:
    teacher_server.latency_s = 0.05
    quiet: dict[str, Any] = {"env": environment, "stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    starts = [subprocess.Popen(line(f"run-{n}", "--budget", "400"), **quiet) for n in range(STARTS)]
    for start in starts:
        assert start.wait(500) == 0, start.stderr
    asked, different = teacher_server.total_asked, len(teacher_server.asked)
    assert asked <= 1.02 * different, f"{asked} calls for {different} questions"
    runs = [files(tmp_path / f"run-{n}") for n in range(STARTS)]
    assert all(run == runs[0] for run in runs)
    spent = 0
    for n in range(STARTS):
        told = hardcut("status", tmp_path / f"run-{n}", "--json")
        spent += sum(row["calls"] for row in json.loads(told.stdout)["spend"])
    assert spent == asked + len(teacher_server.small), "each call is in the books of the start that sent it alone"
    assert 0 < len(teacher_server.small) <= 2, "and what the server can do was asked by one start"


@pytest.mark.timeout(600)
def test_one_of_them_is_killed_and_the_others_go_on(
    line: Callable[..., list[str]], environment: dict[str, str], teacher_server: Any, tmp_path: Path
) -> None:
    teacher_server.latency_s = 0.3
    quiet: dict[str, Any] = {"env": environment, "stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    victim = subprocess.Popen(line("run-0"), **quiet)
    until = time.monotonic() + 120
    while teacher_server.total_served < 5:
        assert time.monotonic() < until and victim.poll() is None, "the teacher is not asked"
        time.sleep(0.01)
    others = [subprocess.Popen(line(f"run-{n}"), **quiet) for n in range(1, 4)]
    while sum(start.poll() is None for start in others) == 3 and teacher_server.total_served < 25:
        assert time.monotonic() < until, "the teacher is not asked"
        time.sleep(0.01)
    in_flight = teacher_server.in_flight
    victim.kill()
    victim.wait()
    for start in others:
        assert start.wait(300) == 0, start.stderr
    twice = teacher_server.total_asked - len(teacher_server.asked)
    assert twice <= max(in_flight, teacher_server.most_in_flight), "asked again is what was in flight, and nothing else"
    assert max(teacher_server.asked.values()) <= 2
    assert files(tmp_path / "run-1") == files(tmp_path / "run-2") == files(tmp_path / "run-3")
