"""Real clips in a folder of their own, and a process that runs Python in it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

SIGNS = Path(__file__).resolve().parents[3] / "shared" / "videos" / "signs"
CLIPS = ("again.mkv", "bird.mkv", "book.mkv")
"""Filmed by hand, a few seconds each; where they are not beside this checkout, clips of the bundled sample."""

Python = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `videos/`, and room for what scripts write."""
    folder = tmp_path_factory.mktemp("place")
    (folder / "videos").mkdir()
    if SIGNS.is_dir():
        for name in CLIPS:
            shutil.copy(SIGNS / name, folder / "videos")
        return folder
    from hardcut.data.bundled import sample_files

    with sample_files() as sample:
        for name, path in zip(CLIPS, sorted((sample / "videos").rglob("*.mp4")), strict=False):
            shutil.copy(path, folder / "videos" / name)  # what is inside says what it is, not the name
    return folder


@pytest.fixture(scope="session")
def environment(place: Path) -> dict[str, str]:
    """No hub, no key, and a cache of the session's own in place of the user's."""
    kept = {name: value for name, value in os.environ.items() if name not in ("HARDCUT_API_KEY", "OPENAI_API_KEY")}
    return {**kept, "HF_HUB_OFFLINE": "1", "XDG_CACHE_HOME": str(place / "user_cache"), "HOME": str(place)}


@pytest.fixture(scope="session")
def python(place: Path, environment: dict[str, str]) -> Python:
    """Runs a script to its end: `python("import hardcut")`. It is a file without a guard, as people write them."""

    def call(text: str, name: str = "script.py", timeout: float = 280) -> subprocess.CompletedProcess[str]:
        (place / name).write_text(text, encoding="utf-8")
        line = [sys.executable, name]
        return subprocess.run(
            line, cwd=place, env=environment, capture_output=True, text=True, timeout=timeout, check=False
        )

    return call
