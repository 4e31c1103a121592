"""Fetched files: kept within a size, held while they are read, whole after a kill, fetched once."""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from hardcut.engine.retry import Transient
from hardcut.media.fetched import FetchedFiles
from hardcut.media.file_cache import FileCache, Opened, Stopped
from hardcut.schemas.errors import ItemError, StorageError

MB = 10**6


@dataclass
class Told:
    """A file that says what it is: `size` bytes of a letter, in pieces. `broken` opens break off half way."""

    letter: bytes
    size: int = MB
    state: str = "1"
    tells_size: bool = True
    broken: int = 0
    opens: list[float] = field(default_factory=list)

    @contextmanager
    def open(self) -> Iterator[Opened]:
        self.opens.append(time.monotonic())
        yield Opened(self.size if self.tells_size else None, self._pieces())

    def _pieces(self) -> Iterator[bytes]:
        for at in range(0, self.size, 100_000):
            if len(self.opens) <= self.broken and at >= self.size // 2:
                raise Transient("broke off")
            yield self.letter * min(100_000, self.size - at)

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.letter * self.size).hexdigest()


def cache_of(tmp_path: Path, limit: int = 3 * MB, largest: int = 3 * MB) -> FileCache:
    return FileCache(tmp_path / "cache", "source", limit, largest)


def fetch(cache: FileCache, name: str, origin: Told) -> str:
    held = cache.hold(name, origin, threading.Event())
    assert hashlib.sha256(held.path.read_bytes()).hexdigest() == held.sha256
    held.release()
    return held.sha256


def on_disk(tmp_path: Path) -> int:
    total = 0
    for folder, _, names in os.walk(tmp_path / "cache"):
        for name in names if "/files" in folder else ():
            with suppress(FileNotFoundError):  # evicted by now
                total += Path(folder, name).stat().st_size
    return total


def test_a_file_is_fetched_once_and_known_again(tmp_path):
    one = Told(b"a")
    assert fetch(cache_of(tmp_path), "talks/one.mp4", one) == one.sha256
    assert fetch(cache_of(tmp_path), "talks/one.mp4", one) == one.sha256
    assert len(one.opens) == 1


def test_another_state_is_another_file(tmp_path):
    fetch(cache_of(tmp_path), "one.mp4", Told(b"a"))
    changed = Told(b"b", state="2")
    assert fetch(cache_of(tmp_path), "one.mp4", changed) == changed.sha256
    assert on_disk(tmp_path) == MB


def test_the_digest_is_the_truth(tmp_path):
    one, cache = Told(b"a"), cache_of(tmp_path)
    fetch(cache, "one.mp4", one)
    path = cache.files / "one.mp4"
    os.utime(path)  # touched: read again, and found to be the same
    fetch(cache, "one.mp4", one)
    assert len(one.opens) == 1
    path.write_bytes(b"x" * MB)  # damaged, of the same size
    assert fetch(cache, "one.mp4", one) == one.sha256
    path.unlink()
    assert fetch(cache, "one.mp4", one) == one.sha256
    assert len(one.opens) == 3


def test_it_stays_within_its_size_and_what_was_used_last_stays(tmp_path):
    cache = cache_of(tmp_path)
    files = {name: Told(name.encode()) for name in "abcdefgh"}
    most = 0
    for name, origin in files.items():
        fetch(cache, name, origin)
        fetch(cache, "a", files["a"])  # in use again and again
        most = max(most, on_disk(tmp_path))
    assert most <= 3 * MB
    assert len(files["a"].opens) == 1
    assert not (cache.files / "b").exists() and (cache.files / "h").exists()


def test_sidecars_go_last(tmp_path):
    cache, sidecar = cache_of(tmp_path), Told(b"s", 1000)
    fetch(cache, "one.json", sidecar)
    for name in "abcdef":
        fetch(cache, name, Told(name.encode()))
    fetch(cache, "one.json", sidecar)
    assert len(sidecar.opens) == 1
    fetch(cache, "large", Told(b"l", 3 * MB))  # only without it there is room
    assert not (cache.files / "one.json").exists()


def test_what_is_held_stays_and_who_finds_no_room_waits(tmp_path):
    cache = cache_of(tmp_path)
    with ExitStack() as stack:
        for name in "abc":
            stack.callback(cache.hold(name, Told(name.encode()), threading.Event()).release)
        late: list[str] = []
        waiting = threading.Thread(target=lambda: late.append(fetch(cache, "d", Told(b"d"))))
        waiting.start()
        waiting.join(0.5)
        assert waiting.is_alive() and on_disk(tmp_path) == 3 * MB
        assert {path.name for path in cache.files.iterdir()} == {"a", "b", "c"}
    waiting.join(20)
    assert late == [Told(b"d").sha256] and on_disk(tmp_path) <= 3 * MB


def test_many_at_once_stay_within_the_size(tmp_path):
    """Eight threads, two sources, no room for a third of them; looked at all the while."""
    caches = [FileCache(tmp_path / "cache", source, 3 * MB, 3 * MB) for source in ("one", "two")]
    origins = [Told(b"%d" % (number % 10), 700_000, tells_size=number % 3 > 0) for number in range(24)]
    seen = [0]
    done = threading.Event()

    def look() -> None:
        with (tmp_path / "cache" / "size").open("ab") as file:
            while not done.is_set():
                fcntl.flock(file, fcntl.LOCK_EX)  # nobody takes or makes room meanwhile
                seen.append(on_disk(tmp_path))
                fcntl.flock(file, fcntl.LOCK_UN)
                time.sleep(0.001)

    def work(start: int) -> None:
        for number in range(start, 24, 8):
            assert fetch(caches[number % 2], f"folder/{number}", origins[number]) == origins[number].sha256

    fetch(caches[0], "folder/first", Told(b"f"))
    threads = [threading.Thread(target=work, args=(start,)) for start in range(8)]
    watcher = threading.Thread(target=look)
    watcher.start()
    for each in threads:
        each.start()
    for each in threads:
        each.join(60)
    done.set()
    watcher.join()
    assert max(seen) <= 3 * MB
    assert all(len(origin.opens) == 1 for origin in origins)


@pytest.mark.parametrize("origin", [Told(b"a", 4 * MB), Told(b"a", 4 * MB, tells_size=False)])
def test_a_file_that_is_too_large_is_refused(tmp_path, origin):
    with pytest.raises(ItemError, match="too_large"):
        fetch(cache_of(tmp_path), "one.mp4", origin)
    assert on_disk(tmp_path) == 0


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(StorageError, match="a file stands where a folder should be"):
        fetch(cache_of(tmp_path), "one.mp4", Told(b"a"))


_KILLED = """
import sys, threading, time
from contextlib import contextmanager
from pathlib import Path
from hardcut.media.file_cache import FileCache, Opened, Stopped

class Slow:
    state = "1"
    @contextmanager
    def open(self):
        yield Opened(1_000_000, self.pieces())
    def pieces(self):
        yield b"a" * 500_000
        print("half", flush=True)
        time.sleep(60)

cache = FileCache(Path(sys.argv[1]), "source", 3_000_000, 3_000_000)
held = cache.hold("held", type("Told", (Slow,), {"pieces": lambda self: iter([b"b" * 1_000_000])})(), threading.Event())
cache.hold("one", Slow(), threading.Event())
"""


def test_a_kill_leaves_nothing_that_counts(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", _KILLED, str(tmp_path / "cache")], stdout=subprocess.PIPE)
    assert process.stdout and process.stdout.readline() == b"half\n"
    cache = cache_of(tmp_path)
    assert cache.resident("one", Told(b"a")) is None
    stop = threading.Event()
    threading.Timer(0.3, stop.set).start()
    with pytest.raises(Stopped):  # another process is at it
        cache.hold("one", Told(b"a"), stop)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert on_disk(tmp_path) == 2 * MB, "the draft has the size that it was to have"
    for name in "xyz":  # room is made of what the killed process held and left
        fetch(cache, name, Told(name.encode()))
    assert on_disk(tmp_path) <= 3 * MB
    assert fetch(cache, "one", Told(b"a")) == Told(b"a").sha256


async def test_what_breaks_off_is_tried_again_and_then_told(tmp_path):
    origins = {"one": Told(b"a", broken=2), "never": Told(b"b", broken=99)}
    files = FetchedFiles(cache_of(tmp_path), origins, 4)
    async with files.held(("one", origins["one"].sha256)) as [held]:
        assert held.path == files.root / "one"
    assert len(origins["one"].opens) == 3
    with pytest.raises(ItemError, match="unreachable: broke off"):
        async with files.held(("never", None)):
            pass


async def test_another_digest_is_a_change(tmp_path):
    files = FetchedFiles(cache_of(tmp_path), {"one": Told(b"a")}, 4)
    with pytest.raises(ItemError, match="changed"):
        async with files.held(("one", "0" * 64)):
            pass


async def test_one_that_is_called_off_lets_go(tmp_path):
    origins = {name: Told(name.encode(), 2 * MB) for name in "ab"}
    files = FetchedFiles(cache_of(tmp_path), origins, 4)
    async with files.held(("a", None)):

        async def second() -> None:
            async with files.held(("b", None)):
                raise AssertionError("there was no room")

        waiting = asyncio.create_task(second())
        await asyncio.sleep(0.3)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    async with files.held(("b", None)) as [held]:
        assert held.sha256 == origins["b"].sha256


async def test_small_files_are_read_inside_of_a_running_loop(tmp_path):
    files = FetchedFiles(cache_of(tmp_path), {"a": Told(b"a", 3), "b": Told(b"b", 9 * MB)}, 4)
    found = files.read(["a", "b"])
    assert found["a"] == b"aaa" and isinstance(found["b"], ItemError)
