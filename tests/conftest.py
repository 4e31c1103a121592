"""Fixtures for all tests."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


def _load(name: str) -> ModuleType:
    """A helper module beside this file; with pytest's importlib mode it can only be loaded by its path."""
    spec = importlib.util.spec_from_file_location(f"hardcut_tests_{name}", Path(__file__).with_name(f"{name}.py"))
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def teacher_server() -> Iterator[Any]:
    """A chat completions server on loopback, see teacher_server.py."""
    with _load("teacher_server").TeacherServer() as server:
        yield server


@pytest.fixture
def manners(teacher_server: Any) -> dict[str, Any]:
    """How servers of other kinds behave, by name: `teacher_server.manner` takes one. See dialect_servers.py."""
    made: dict[str, Any] = _load("dialect_servers").manners(sys.modules[type(teacher_server).__module__].Manner)
    return made


@pytest.fixture
def second_server() -> Iterator[Any]:
    """Another one, of another owner."""
    with _load("teacher_server").TeacherServer() as server:
        yield server


@pytest.fixture(scope="session")
def ray_nodes() -> Callable[..., Any]:
    """A Ray cluster of several nodes on this machine, see ray_nodes.py: `with ray_nodes(3) as nodes`. What joins it is
    known by the environment's token."""
    pytest.importorskip("ray")
    helper = _load("ray_nodes")
    os.environ.update(helper.TOKEN)
    made: Callable[..., Any] = helper.RayNodes
    return made


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """A disk of a megabyte of its own (tmpfs): `small_disk()`. Skips the test where nothing may be mounted."""
    made: list[Path] = []

    def mount(size: str = "1m") -> Path:
        folder = tmp_path / f"disk{len(made)}"
        folder.mkdir()
        line = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
        try:
            done = subprocess.run(line, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            pytest.skip("there is no command `mount`")
        if done.returncode:
            pytest.skip(f"nothing may be mounted here: {done.stderr.strip()}")
        made.append(folder)
        return folder

    yield mount
    for folder in made:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def fill() -> Callable[..., None]:
    """Fills a disk up to so many bytes with a file called `filler`, or makes it read-only: `fill(disk, free=0)`."""

    def take(disk: Path, free: int = 0, read_only: bool = False) -> None:
        if read_only:
            subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
            return
        with (disk / "filler").open("wb") as file:
            room = os.statvfs(disk)
            os.posix_fallocate(file.fileno(), 0, max(1, room.f_bavail * room.f_frsize - free))

    return take


@pytest.fixture
def speech_server() -> Iterator[Any]:
    """A server of transcriptions on loopback, see speech_server.py."""
    with _load("speech_server").TranscriptionServer() as server:
        yield server


@pytest.fixture
def s3_server() -> Iterator[Any]:
    """An S3 store on loopback, see s3_server.py."""
    pytest.importorskip("s3fs", reason="needs s3fs: pip install 'hardcut[remote]'")
    pytest.importorskip("moto.server", reason="needs moto[server]")
    with _load("s3_server").S3Server() as server:
        yield server


@pytest.fixture
def hub_server() -> Iterator[Any]:
    """A Hub on loopback, see hub_server.py."""
    with _load("hub_server").HubServer() as server:
        yield server


@pytest.fixture
def sound_server() -> Iterator[Any]:
    """A server that names sounds on loopback, see sound_server.py."""
    with _load("sound_server").TaggingServer() as server:
        yield server
