"""Large files by Xet, which is how the Hub's client sends them where nobody switches it off. The store is that of the
client's own `hf_xet`."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from aiohttp import web

pytest.importorskip("hf_xet")
Call = Callable[..., subprocess.CompletedProcess[str]]
NAME = "org/set"


@pytest.fixture
def store(one_server: Any, hub_home: Path, tmp_path: Path) -> Any:
    """An empty Hub that has large files by Xet and takes none by LFS, and a client that has fetched nothing yet."""
    shutil.rmtree(hub_home / "hub", ignore_errors=True)
    one_server.repos.clear()
    one_server.objects.clear()
    one_server.on_request = _by_xet_alone
    one_server.xet = _module().XetStore(tmp_path / "cas")
    return one_server.xet


def _by_xet_alone(request: web.Request) -> web.Response | None:
    return web.json_response({}, status=400) if "/lfs/" in request.path else None


def _module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("xet_store", Path(__file__).parents[1] / "xet_store.py")
    assert spec is not None and spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _content(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _model(folder: Path, weights: bytes) -> Path:
    folder.mkdir(exist_ok=True)
    for name in ("modules.json", "train.json", "config.json"):
        (folder / name).write_text("{}")
    (folder / "model.safetensors").write_bytes(weights)
    (folder / "README.md").write_text("---\nlibrary_name: sentence-transformers\n---\n# A model\n")
    return folder


def test_a_dataset_goes_there_and_comes_back(
    one_server: Any, store: Any, xet_call: Call, one_dataset: Path, tmp_path: Path
) -> None:
    done = xet_call("publish", one_dataset, NAME)
    assert done.returncode == 0, done.stderr
    ours = _content(one_dataset)
    large = {name for name, body in ours.items() if len(body) > 2_000}
    assert len(store.hashes()) == len(large) > 4, "each large file is in the store"
    assert {name: one_server.repos[NAME].files[name] for name in ours} == ours
    asked = len(one_server.requests)
    back = xet_call("pull", NAME, tmp_path / "back")
    assert back.returncode == 0, back.stderr
    assert _content(tmp_path / "back") == ours
    fetched = {one.path for one in one_server.requests[asked:] if one.method == "GET" and "/resolve/" in one.path}
    assert not any(path.endswith(name) for path in fetched for name in large), "the store has them"
    again = json.loads(xet_call("publish", one_dataset, NAME).stdout)
    assert again["sent"] == [] and again["tag"] is None


def test_of_weights_that_change_a_little_a_little_is_sent(
    one_server: Any, store: Any, xet_call: Call, tmp_path: Path
) -> None:
    """Above 10 MB a file is sent from the disk and not from memory."""
    weights = os.urandom(12_000_000)
    assert xet_call("model", _model(tmp_path / "model", weights), NAME).returncode == 0
    first = _size(store.folder)
    changed = weights[:6_000_000] + os.urandom(1000) + weights[6_000_000:]
    assert xet_call("model", _model(tmp_path / "model", changed), NAME).returncode == 0
    assert one_server.repos[NAME].files["model.safetensors"] == changed
    assert _size(store.folder) - first < 2_000_000


@pytest.mark.parametrize(("status", "says"), [(403, "set HF_TOKEN"), (404, "the Hub answers 404")])
def test_a_refusal_is_told(
    one_server: Any, store: Any, xet_call: Call, one_dataset: Path, status: int, says: str
) -> None:
    one_server.on_request = lambda request: (
        web.json_response({}, status=status) if "/xet-write-token" in request.path else None
    )
    stopped = xet_call("publish", one_dataset, NAME)
    assert stopped.returncode == 4 and says in stopped.stderr and len(stopped.stderr.splitlines()) == 1, stopped.stderr
    assert len(one_server.repos[NAME].commits) == 1


def test_a_store_that_is_away_is_told_and_the_same_command_goes_on(
    one_server: Any, store: Any, xet_call: Call, one_dataset: Path, tmp_path: Path
) -> None:
    name, there, away = "org/away", store.url, "http://127.0.0.1:9"
    store.url = away
    _told(xet_call("publish", one_dataset, name))
    store.url = there
    assert xet_call("publish", one_dataset, name).returncode == 0
    assert len(one_server.repos[name].commits) == 2
    store.url = away
    _told(xet_call("pull", name, tmp_path / "back"))
    assert not (tmp_path / "back").exists()


def test_a_file_that_the_store_has_lost_is_told(store: Any, xet_call: Call, one_dataset: Path, tmp_path: Path) -> None:
    name = "org/lost"
    assert xet_call("publish", one_dataset, name).returncode == 0
    for path in store.folder.rglob("default.*"):
        path.unlink()
    stopped = xet_call("pull", name, tmp_path / "back")
    _told(stopped)
    assert "not found" in stopped.stderr and not (tmp_path / "back").exists()


def _told(stopped: subprocess.CompletedProcess[str]) -> None:
    """One line with what to do, and no address, which may have a signature in it."""
    assert stopped.returncode == 4 and len(stopped.stderr.splitlines()) == 1, stopped.stderr
    assert "start" in stopped.stderr and "127.0.0.1" not in stopped.stderr
