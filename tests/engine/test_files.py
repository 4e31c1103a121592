"""Atomic files: whole or not at all."""

from __future__ import annotations

import errno
import os
import subprocess
import threading

import pytest

from hardcut.engine.files import atomic_writer
from hardcut.schemas.errors import StorageError


def test_writes_text_and_bytes(tmp_path):
    with atomic_writer(tmp_path / "a.txt") as file:
        file.write("één\n")
    with atomic_writer(tmp_path / "b.bin", "wb") as file:
        file.write(b"\x00\xff")
    assert (tmp_path / "a.txt").read_bytes() == "één\n".encode()
    assert (tmp_path / "b.bin").read_bytes() == b"\x00\xff"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.txt", "b.bin"]


def test_an_exception_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(KeyError), atomic_writer(path) as file:
        file.write("new")
        raise KeyError("x")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_killed_process_left_is_used_up_by_the_next_write(tmp_path, child):
    code = """
from hardcut.engine.files import atomic_writer
with atomic_writer(Path(sys.argv[1])) as file:
    file.write("half a line, and a long one " * 1000); file.flush()
    os.kill(os.getpid(), 9)
"""
    child(code, tmp_path / "a.txt").wait()
    assert [path.name for path in tmp_path.iterdir()] == [".a.txt.tmp"]
    with atomic_writer(tmp_path / "a.txt") as file:
        file.write("whole")
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "whole"


def test_two_writers_take_turns(tmp_path):
    path = tmp_path / "a.txt"

    def write(letter):
        for _ in range(20):
            with atomic_writer(path) as file:
                for _ in range(50):
                    file.write(letter * 200)

    threads = [threading.Thread(target=write, args=(letter,)) for letter in "ab"]
    for thread in threads:
        thread.start()
    seen = set()
    while any(thread.is_alive() for thread in threads):
        if path.exists():
            seen.add(path.read_text())
    assert seen <= {"a" * 10_000, "b" * 10_000}
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("call", ["fsync", "write"])
def test_no_space_left(tmp_path, monkeypatch, call, child):
    path = tmp_path / "a.txt"
    path.write_text("old")
    if call == "fsync":

        def full(descriptor):
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        with (
            pytest.raises(StorageError, match=r"a\.txt: cannot write it: no space is left"),
            atomic_writer(path) as file,
        ):
            file.write("new")
    else:
        code = """
import resource
from hardcut.engine.files import atomic_writer
from hardcut.schemas.errors import StorageError
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
try:
    with atomic_writer(Path(sys.argv[1])) as file:
        for _ in range(100):
            file.write("x" * 1000)
except StorageError as error:
    print(error)
"""
        said, _ = child(code, path, stdout=subprocess.PIPE).communicate()
        assert "a.txt: cannot write it" in said and "ulimit" in said
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_no_folder(tmp_path):
    with pytest.raises(StorageError, match=r"nowhere/a\.txt: cannot write it: No such file"):
        atomic_writer(tmp_path / "nowhere" / "a.txt").__enter__()


def test_other_errors_in_the_block_stay_what_they_are(tmp_path):
    with pytest.raises(FileNotFoundError), atomic_writer(tmp_path / "a.txt") as file:
        file.write((tmp_path / "missing").read_text())
