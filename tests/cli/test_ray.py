"""A run over three nodes on this machine: the same files, whatever is lost on the way."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

IN_FLIGHT = 4


def files(run: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(run.glob("*.jsonl"))}


@pytest.fixture(scope="module")
def nodes(ray_nodes: Callable[..., Any]) -> Iterator[Any]:
    with ray_nodes(3) as made:
        yield made


@pytest.fixture
def run(command: list[str], world: Path, tmp_path: Path, teacher_server: Any) -> Callable[..., subprocess.Popen[str]]:
    """Starts a run over a few videos and asks a server with 4 calls in flight: `run("name", more)`."""
    config = tmp_path / "hardcut.toml"
    config.write_text(
        '[evidence]\nocr = "off"\n[resources]\nconcurrency = 4\n'
        f'[teacher]\nspec = "openai:judge@{teacher_server.url}"\nconcurrency = {IN_FLIGHT}\n'
    )

    def start(name: str, *more: str) -> subprocess.Popen[str]:
        folders = ["--out", tmp_path / name, "--cache", tmp_path / f"{name}-cache", "--config", config]
        line = [*command, "run", world / "videos", *folders, *more]
        return subprocess.Popen(
            [*map(str, line)], env={**os.environ, "OPENAI_API_KEY": "none"}, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    return start


@pytest.mark.timeout(600)
def test_three_nodes_give_the_files_of_one_machine(
    run: Callable[..., subprocess.Popen[str]], nodes: Any, teacher_server: Any, tmp_path: Path
) -> None:
    """Also where two nodes are lost and the run itself is killed: what is paid twice was in flight then."""
    here = run("here")
    said, _ = here.communicate(timeout=300)
    assert here.returncode == 0, said
    calls, teacher_server.latency_s = teacher_server.total_served, 0.05
    distinct = len(teacher_server.served)

    def until(share: float) -> None:
        """Waits until this share of the calls was made."""
        while teacher_server.total_served < calls * (1 + share):
            assert driver.poll() is None, driver.communicate()
            time.sleep(0.02)

    driver = run("there", "--ray", nodes.address)
    until(0.05)
    nodes.kill(0)
    nodes.add()
    until(0.3)
    driver.kill()
    driver.communicate()
    driver = run("there", "--ray", nodes.address)
    until(0.4)
    nodes.kill(1)
    said, _ = driver.communicate(timeout=300)
    assert driver.returncode == 0, said
    assert files(tmp_path / "there") == files(tmp_path / "here") and len(files(tmp_path / "here")) > 8
    assert len(teacher_server.served) == distinct, "nothing else was asked"
    assert teacher_server.total_served <= 2 * calls + IN_FLIGHT, "only the killed run paid anything twice"


def test_a_cluster_is_joined_only_where_there_is_something_to_do(hardcut: Any, world: Path, tmp_path: Path) -> None:
    """An address where nobody is shows whether it was gone to: a start that goes there fails."""
    videos, given = tmp_path / "videos", sorted((world / "videos").rglob("*.mp4"))[:2]
    videos.mkdir()
    shutil.copy(given[0], videos)
    arguments = ["run", videos, "--out", tmp_path / "run", "--cache", tmp_path / "cache", "--until", "queries"]
    nowhere = ["--ray", "127.0.0.1:1"]
    done = hardcut(*arguments)
    assert done.returncode == 0, done.stderr
    again = hardcut(*arguments, *nowhere)
    assert again.returncode == 0, again.stderr
    shutil.copy(given[1], videos)
    more = hardcut(*arguments, *nowhere)
    assert more.returncode == 4, more.stderr


def test_where_ray_is_not_is_told(run: Callable[..., subprocess.Popen[str]]) -> None:
    pytest.importorskip("ray")
    process = run("nowhere", "--ray", "127.0.0.1:1")
    said, _ = process.communicate(timeout=200)
    assert process.returncode == 4, said
    assert "--ray 127.0.0.1:1" in said and "ray start" in said
