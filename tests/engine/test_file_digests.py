"""Large files are read once, and known again only where they are certainly the same."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

import pytest

from hardcut.engine import file_digests
from hardcut.engine.file_digests import FileDigests


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that are read."""
    found: list[str] = []
    real = file_digests.sha256_of

    def reading(path: Path) -> str:
        found.append(path.name)
        return real(path)

    monkeypatch.setattr(file_digests, "sha256_of", reading)
    return found


def old(path: Path, data: bytes) -> Path:
    """A file that was there before anybody looked: its times are not of this moment."""
    path.write_bytes(data)
    return path


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_digests, "_SETTLED_S", -1.0)


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_a_file_is_read_once_over_all_starts(tmp_path: Path, reads: list[str], settled: None) -> None:
    files = [old(tmp_path / "a", b"1"), old(tmp_path / "b", b"2")]
    memory = tmp_path / "cache" / "digests.json"
    for _ in range(3):
        assert FileDigests(memory).sha256(files) == [sha(b"1"), sha(b"2")]
    assert reads == ["a", "b"]
    link = tmp_path / "link"
    link.symlink_to(files[0])
    assert FileDigests(memory).sha256([link]) == [sha(b"1")] and len(reads) == 2, "a link is what it points to"
    memory.write_text("{")
    assert FileDigests(memory).sha256(files) == [sha(b"1"), sha(b"2")] and len(reads) == 4, "a damaged memory is none"


def test_another_file_of_the_same_size_and_time_of_change_is_noticed(
    tmp_path: Path, reads: list[str], settled: None
) -> None:
    """As an archive or a copying program leaves it: the time of change of its content is set back."""
    file, memory = old(tmp_path / "a", b"one"), tmp_path / "digests.json"
    os.utime(file, ns=(10**18, 10**18))
    assert FileDigests(memory).sha256([file]) == [sha(b"one")]
    time.sleep(0.02)
    file.write_bytes(b"two")
    os.utime(file, ns=(10**18, 10**18))
    assert FileDigests(memory).sha256([file]) == [sha(b"two")]
    other = old(tmp_path / "b", b"six")
    os.utime(other, ns=(10**18, 10**18))
    other.replace(file)
    assert FileDigests(memory).sha256([file]) == [sha(b"six")]


def test_what_was_just_written_is_read_again(tmp_path: Path, reads: list[str]) -> None:
    """The clock of a file system may be coarser than two writes in a row."""
    file, digests = old(tmp_path / "a", b"one"), FileDigests(tmp_path / "digests.json")
    assert digests.sha256([file]) == [sha(b"one")]
    file.write_bytes(b"two")
    assert digests.sha256([file]) == [sha(b"two")]
    assert reads == ["a", "a"] and not (tmp_path / "digests.json").exists()
