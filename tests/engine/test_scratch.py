"""Scratch folders, folders under construction and drafts: gone with their process, swept where it was killed."""

from __future__ import annotations

import errno
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hardcut.engine.files import disk_error
from hardcut.engine.scratch import scratch_folder, staging_folder, sweep_drafts
from hardcut.schemas.errors import StorageError, UsageError

HOLDS = {
    "scratch": "with scratch_folder(here, 'hardcut-') as folder:",
    "staging": "with staging_folder(here / 'set') as folder:",
    "draft": "with atomic_writer(here / 'a.jsonl') as file:",
}


def killed(here: Path, kind: str, kill: bool = True) -> subprocess.Popen[str]:
    """A process that holds what `HOLDS` says, and that was killed in the middle of it."""
    program = (
        "import sys, time\nfrom pathlib import Path\nfrom hardcut.engine.files import atomic_writer\n"
        "from hardcut.engine.scratch import scratch_folder, staging_folder\n"
        f"here = Path({str(here)!r})\n{HOLDS[kind]}\n"
        "    (here / 'ready').touch()\n    time.sleep(120)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program], text=True)
    deadline = time.monotonic() + 60
    while not (here / "ready").exists():
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.01)
    (here / "ready").unlink()
    if kill:
        process.send_signal(signal.SIGKILL)
        process.wait()
    return process


def left(here: Path) -> list[str]:
    return sorted(path.name for path in here.iterdir())


def test_what_a_killed_process_left_is_swept_by_the_next(tmp_path: Path) -> None:
    killed(tmp_path, "scratch")
    [dead] = left(tmp_path)
    with scratch_folder(tmp_path) as folder:
        assert left(tmp_path) == [folder.name] != [dead]
    assert left(tmp_path) == []
    killed(tmp_path, "staging")
    assert left(tmp_path) == [".set.hardcut-building", ".set.hardcut-lock"]
    with staging_folder(tmp_path / "another"):
        assert left(tmp_path) == [".another.hardcut-building", ".another.hardcut-lock"]
    assert left(tmp_path) == []
    killed(tmp_path, "draft")
    assert left(tmp_path) == [".a.jsonl.tmp"]
    sweep_drafts(tmp_path)
    assert left(tmp_path) == []


def test_what_a_living_process_holds_is_left_alone(tmp_path: Path) -> None:
    alive = [killed(tmp_path, kind, kill=False) for kind in HOLDS]
    try:
        before = left(tmp_path)
        with scratch_folder(tmp_path) as folder, staging_folder(tmp_path / "another"):
            assert set(before) < set(left(tmp_path)) and folder.is_dir()
        with pytest.raises(UsageError, match="another process is writing it"), staging_folder(tmp_path / "set"):
            raise AssertionError
        sweep_drafts(tmp_path)
        assert left(tmp_path) == before
    finally:
        for process in alive:
            process.kill()
            process.wait()


def test_nobody_loses_a_folder_to_a_sweeper(tmp_path: Path) -> None:
    """Eight processes that make and sweep folders side by side: each finds its own until it lets go of it."""
    program = (
        "from pathlib import Path\nfrom hardcut.engine.scratch import scratch_folder\n"
        f"for number in range(60):\n    with scratch_folder(Path({str(tmp_path)!r})) as folder:\n"
        "        (folder / 'mine').write_text('x')\n        assert (folder / 'mine').read_text() == 'x'\n"
    )
    processes = [subprocess.Popen([sys.executable, "-c", program]) for _ in range(8)]
    assert [process.wait() for process in processes] == [0] * 8
    assert left(tmp_path) == []


def test_a_disk_that_does_not_take_it_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a file")
    with pytest.raises(StorageError, match="cannot write it"), scratch_folder(tmp_path / "file"):
        raise AssertionError
    with pytest.raises(StorageError, match="choose another folder"), staging_folder(tmp_path / "file" / "set"):
        raise AssertionError


def raised(error: Exception, cause: Exception | None = None) -> Exception:
    error.__cause__ = cause
    return error


FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/data/a.bin")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (FULL, "/data/a.bin: cannot write it: no space is left"),
        (OSError(errno.EROFS, "x", "/data/a"), "read-only"),
        (OSError(errno.EDQUOT, "x"), "quota"),
        (raised(ValueError("wrapped"), FULL), "/data/a.bin"),
        (ExceptionGroup("several", [ValueError("x"), FULL]), "/data/a.bin"),
        (RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)"), "no space is left"),
        (raised(RuntimeError("x"), StorageError("told already")), "told already"),
    ],
)
def test_a_disk_is_found_behind_an_error(error: Exception, words: str) -> None:
    told = disk_error(error)
    assert told is not None and words in str(told) and told.status == 4


def test_a_full_sqlite_file_is_found_too(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "a.sqlite")
    connection.execute("PRAGMA max_page_count = 2")
    with pytest.raises(sqlite3.OperationalError) as full:
        connection.executescript("CREATE TABLE a (b); CREATE TABLE c (d); CREATE TABLE e (f);")
    told = disk_error(full.value)
    assert told is not None and "no space is left" in str(told)
    connection.close()


@pytest.mark.parametrize("error", [ValueError("x"), ConnectionResetError(errno.ECONNRESET, "x"), OSError("x")])
def test_nothing_else_is_taken_for_a_disk(error: Exception) -> None:
    assert disk_error(error) is None
