"""The size of the frame store: what goes first, what never goes, and what the count says after a crash."""

from __future__ import annotations

import json
import multiprocessing
import os
import time
from multiprocessing.synchronize import Event
from pathlib import Path

import numpy as np
import pytest

from hardcut.engine.files import sha256_of
from hardcut.media.sampler import Sample
from hardcut.media.store import FrameStore, sampling_digest
from hardcut.schemas.errors import DamagedInput
from hardcut.schemas.settings import MediaSettings

SETTINGS = MediaSettings(fps=1)
SPAWN = multiprocessing.get_context("spawn")


class Noise:
    """Four pictures that do not compress: about 2.4 kB each."""

    duration_s = 4.0
    missing: tuple[str, ...] = ()

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def __iter__(self):
        for second in range(4):
            yield Sample(float(second), self.rng.integers(0, 256, (36, 36, 3), dtype=np.uint8))


def name(number: int) -> str:
    return f"{number:02d}" * 32


def stored(root: Path) -> list[int]:
    store = FrameStore(root)
    return [
        number
        for number in range(100)
        if (store._folder(name(number), sampling_digest(SETTINGS)) / "index.json").exists()
    ]


def size(root: Path) -> int:
    return sum(path.stat().st_size for path in root.rglob("*.jpg"))


@pytest.fixture
def limit(tmp_path: Path) -> int:
    """Room for five videos and a half."""
    FrameStore(tmp_path / "one").fill(name(0), SETTINGS, Noise(0))
    return size(tmp_path / "one") * 11 // 2


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "store"


def fill(root: Path, limit: int | None, *numbers: int) -> None:
    store = FrameStore(root, limit)
    for number in numbers:
        store.fill(name(number), SETTINGS, Noise(number))
        age(root, number, 1000 - number)


def age(root: Path, number: int, seconds: float) -> None:
    index = FrameStore(root)._folder(name(number), sampling_digest(SETTINGS)) / "index.json"
    if index.exists():
        then = time.time() - seconds
        os.utime(index, (then, then))


def test_it_never_grows_above_its_limit_and_loses_the_least_recently_used(root, limit):
    for number in range(40):
        fill(root, limit, number)
        assert size(root) <= limit
    assert stored(root)[-3:] == [37, 38, 39] and len(stored(root)) >= 4
    kept = stored(root)[0]
    assert FrameStore(root).get(name(kept), SETTINGS) is not None  # used just now
    fill(root, limit, *range(40, 43))
    assert kept in stored(root)
    assert FrameStore(root).decodes(name(0), SETTINGS) == 1  # the count of decodes outlives the frames


def test_without_a_limit_nothing_goes(root):
    fill(root, None, *range(12))
    assert stored(root) == list(range(12))


def test_a_limit_on_a_store_that_nobody_counted(root, limit):
    fill(root, None, *range(12))
    assert size(root) > limit
    fill(root, limit, 12)
    assert size(root) <= limit and 12 in stored(root)


@pytest.mark.parametrize("count", [b"", b"12", b"garbage", b"999999999"])
def test_a_wrong_count_mends_itself(root, limit, count):
    fill(root, limit, *range(3))
    (root / "size").write_bytes(count)
    fill(root, limit, *range(3, 20))
    assert size(root) <= limit * (1 if count != b"12" else 1.7)  # an undercount is found when it reaches the limit
    assert int((root / "size").read_text()) == pytest.approx(size(root), abs=0 if count != b"12" else 40_000)


def _hold(root: str, number: int, held: Event, go: Event) -> None:
    store = FrameStore(root)
    with store.lease(name(number)):
        assert store.get(name(number), SETTINGS) is not None
        held.set()
        go.wait(60)


@pytest.mark.parametrize("end", ["released", "killed"])
def test_a_lease_of_another_process_keeps_the_frames_until_it_ends(root, limit, end):
    fill(root, limit, 0, 1)
    held, go = SPAWN.Event(), SPAWN.Event()
    process = SPAWN.Process(target=_hold, args=(str(root), 0, held, go))
    process.start()
    try:
        assert held.wait(60)
        age(root, 0, 5000)
        fill(root, limit, *range(2, 20))
        assert 0 in stored(root) and 1 not in stored(root)
        assert size(root) <= limit
    finally:
        go.set() if end == "released" else process.kill()
        process.join()
    fill(root, limit, *range(20, 30))
    assert 0 not in stored(root)


def test_what_is_leased_may_exceed_the_limit(root, limit):
    store = FrameStore(root, limit // 11)  # less than one video
    with store.lease(name(0)):
        frames = store.fill(name(0), SETTINGS, Noise(0))
        fill(root, limit // 11, 1, 2)
        assert all(frame.path.exists() for frame in frames.frames)


def test_what_a_killed_process_left_is_removed(root, limit):
    fill(root, limit, 0)
    folder = FrameStore(root)._folder(name(0), sampling_digest(SETTINGS))
    leftover = folder.with_name(f".{folder.name}.123")
    leftover.mkdir()
    (leftover / "00000.jpg").write_bytes(b"x" * limit)
    fill(root, limit, *range(1, 9))
    assert not leftover.exists() and size(root) <= limit


def test_frames_that_nobody_touched_are_not_read_to_be_given(root, monkeypatch):
    fill(root, None, 1)
    read = []
    monkeypatch.setattr("hardcut.media.store.sha256_of", lambda path: read.append(path.name) or sha256_of(path))
    store = FrameStore(root)
    frames = store.get(name(1), SETTINGS)
    assert read == []
    os.utime(frames.frames[2].path)
    assert store.get(name(1), SETTINGS) == frames and read == ["00002.jpg"], "it was touched: read, and sound"
    assert store.get(name(1), SETTINGS) == frames and read == ["00002.jpg"], "once"


def test_a_store_of_an_earlier_version_is_read_and_gets_its_digest(root):
    fill(root, None, 1)
    index = FrameStore(root)._folder(name(1), sampling_digest(SETTINGS)) / "index.json"
    whole = json.loads(index.read_text())
    index.write_text(json.dumps({key: whole[key] for key in ("frames", "duration_s", "missing")}))
    index.with_name("touched.json").unlink()
    assert FrameStore(root).get(name(1), SETTINGS) is not None
    assert json.loads(index.read_text()) == {**whole, "damage": 1}


def test_a_frame_that_changed_behind_its_time_of_change_is_not_used(root):
    """As a bad disk does it: only who reads the bytes can tell."""
    fill(root, None, 1)
    frames = FrameStore(root).get(name(1), SETTINGS)
    frame = frames.frames[2]
    assert frame.read() == frame.path.read_bytes()
    state = frame.path.stat()
    frame.path.write_bytes(frame.read()[:-9] + b"123456789")
    os.utime(frame.path, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert FrameStore(root).get(name(1), SETTINGS) == frames
    with pytest.raises(DamagedInput, match=r"00002\.jpg does not fit its digest"):
        frame.read()
    assert FrameStore(root).get(name(1), SETTINGS) is None, "it is decoded again"
    with pytest.raises(DamagedInput, match="cannot be read"):
        frame.read()
