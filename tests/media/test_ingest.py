"""The frame store and what fills it: once for each content and sampling, whole or absent."""

from __future__ import annotations

import hashlib
import io
import json
import multiprocessing
import os
import pickle
import random
import shutil
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hardcut.media.ingest import ingest
from hardcut.media.sampler import Samples
from hardcut.media.store import FrameStore, sampling_digest
from hardcut.schemas.errors import DropItem, ItemError, StorageError
from hardcut.schemas.settings import MediaSettings

SETTINGS = MediaSettings()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "store"


def folders(root: Path) -> list[str]:
    return sorted(path.name for path in root.glob("*/*/*") if path.is_dir())


def test_frames_and_facts(render, root, number_of):
    clip = render("a.mp4", count=50)
    result = pickle.loads(pickle.dumps(ingest(str(clip.path), str(root), SETTINGS)))
    frames = result.frames.frames
    assert result.frames.complete and result.frames.duration_s == pytest.approx(2.0)
    assert len(frames) == 8
    for frame in frames:
        data = frame.path.read_bytes()
        assert hashlib.sha256(data).hexdigest() == frame.sha256
        picture = np.asarray(Image.open(io.BytesIO(data)))
        assert number_of(picture) == clip.shown_at(frame.time_s + 1e-3)


def test_decoded_once_for_each_content_and_sampling(render, root, tmp_path):
    clip = render("a.mp4", count=10)
    copy = tmp_path / "copy.mp4"
    shutil.copy(clip.path, copy)
    store = FrameStore(root)
    first = ingest(str(clip.path), str(root), SETTINGS)
    assert ingest(str(copy), str(root), SETTINGS) == first
    sha = first.probe.sha256
    assert store.decodes(sha, SETTINGS) == 1
    assert store.get(sha, SETTINGS) == first.frames
    coarse = MediaSettings(max_pixels=1024)
    assert store.get(sha, coarse) is None and store.decodes(sha, coarse) == 0
    ingest(str(clip.path), str(root), coarse)
    assert (store.decodes(sha, SETTINGS), store.decodes(sha, coarse)) == (1, 1)


def test_the_sampling_is_what_can_change_a_picture_and_nothing_else():
    base = sampling_digest(SETTINGS)
    assert sampling_digest(MediaSettings(strict=True, max_duration_s=9, max_source_pixels=9)) == base
    changes = ({"fps": 2}, {"max_frames": 9}, {"max_pixels": 2000}, {"jpeg_quality": 80})
    changes += ({"reader": "decord"}, {"mode": "keyframes"})
    assert len({base, *(sampling_digest(MediaSettings(**change)) for change in changes)}) == 7


def test_reading_the_store_loads_no_decoder():
    modules = "collection", "frames", "manifest", "sheet", "store"
    code = "import sys; " + "; ".join(f"import hardcut.media.{m}" for m in modules) + "; print('av' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.strip() == "False"


def test_same_bytes_everywhere(render, tmp_path):
    clip = render("a.mp4", count=50)

    def contents(root: Path) -> dict[str, bytes]:
        ingest(str(clip.path), str(root), SETTINGS)
        return {
            str(p.relative_to(root)): p.read_bytes()
            for p in sorted(root.rglob("*"))
            if p.suffix in (".jpg", ".json", ".decodes") and p.name != "touched.json"
        }

    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_several_processes_ask_for_the_same(render, root):
    clip = render("a.mp4", count=100, size=(640, 360))
    with ProcessPoolExecutor(3, mp_context=multiprocessing.get_context("fork")) as pool:
        results = list(pool.map(ingest, [str(clip.path)] * 8, [str(root)] * 8, [SETTINGS] * 8))
    assert all(result == results[0] for result in results)
    assert FrameStore(root).decodes(results[0].probe.sha256, SETTINGS) == 1
    assert folders(root) == [sampling_digest(SETTINGS)]


@pytest.mark.parametrize(
    "damage",
    [
        "frame missing",
        "frame short",
        "frame altered",
        "index broken",
        "index altered",
        "index missing",
        "index foreign",
    ],
)
def test_an_entry_that_is_not_whole_is_made_again(render, root, damage):
    clip = render("a.mp4", count=10)
    first = ingest(str(clip.path), str(root), SETTINGS)
    index = first.frames.frames[0].path.with_name("index.json")
    if damage == "frame missing":
        first.frames.frames[-1].path.unlink()
    elif damage == "frame short":
        first.frames.frames[-1].path.write_bytes(b"")
    elif damage == "frame altered":
        last = first.frames.frames[-1].path
        last.write_bytes(last.read_bytes()[:-9] + b"123456789")
    elif damage == "index broken":
        index.write_text(index.read_text()[:10])
    elif damage == "index altered":
        index.write_text(index.read_text().replace('"duration_s": ', '"duration_s": 1'))
    elif damage == "index foreign":
        index.write_text('["frames"]')
    else:
        index.unlink()
    store = FrameStore(root)
    assert store.get(first.probe.sha256, SETTINGS) is None
    assert ingest(str(clip.path), str(root), SETTINGS) == first
    assert store.decodes(first.probe.sha256, SETTINGS) == 2


def _ingest_slowly(path: str, root: str, started: str) -> None:
    original = Samples.__iter__

    def slow(self):
        for sample in original(self):
            yield sample
            Path(started).touch()
            time.sleep(60)

    Samples.__iter__ = slow
    ingest(path, root, SETTINGS)


def test_a_killed_process_leaves_nothing_that_counts(render, root, tmp_path):
    clip = render("a.mp4", count=50)
    started = tmp_path / "started"
    process = multiprocessing.get_context("fork").Process(
        target=_ingest_slowly, args=(str(clip.path), str(root), str(started))
    )
    process.start()
    while not started.exists():
        assert process.is_alive()
        time.sleep(0.01)
    process.kill()
    process.join()
    sha = hashlib.sha256(clip.path.read_bytes()).hexdigest()
    assert FrameStore(root).get(sha, SETTINGS) is None
    assert len(folders(root)) == 1  # what the killed one left
    assert len(ingest(str(clip.path), str(root), SETTINGS).frames.frames) == 8
    assert folders(root) == [sampling_digest(SETTINGS)]


def test_a_file_that_changes_while_it_is_read(render, root, monkeypatch):
    clip = render("a.mp4", count=50)

    original = Samples.__iter__

    def growing(self):
        for sample in original(self):
            with clip.path.open("ab") as file:
                file.write(b"more")
            yield sample

    monkeypatch.setattr(Samples, "__iter__", growing)
    with pytest.raises(ItemError) as caught:
        ingest(str(clip.path), str(root), SETTINGS)
    assert caught.value.reason == "changed"
    assert folders(root) == []


def test_damage_is_used_in_part_or_fails_when_strict(render, root):
    clip = render("a.mkv", count=125, size=(640, 360))
    data = clip.path.read_bytes()
    clip.path.write_bytes(data[: len(data) * 4 // 5])
    result = ingest(str(clip.path), str(root), SETTINGS)
    assert not result.frames.complete and result.frames.frames
    assert result.probe.duration_s == pytest.approx(5.0, abs=0.05) and result.frames.duration_s < 4.9
    with pytest.raises(ItemError) as caught:
        ingest(str(clip.path), str(root), MediaSettings(strict=True))
    assert caught.value.reason == "damaged" and "of 5.0 s" in caught.value.detail


def test_what_is_too_long_or_too_large_is_left_out(render, root):
    clip = render("a.mp4", count=50)
    limits = (({"max_duration_s": 1.9}, "too_long"), ({"max_source_pixels": 192 * 128 - 1}, "too_large"))
    for settings, reason in limits:
        with pytest.raises(DropItem) as caught:
            ingest(str(clip.path), str(root), MediaSettings(**settings))
        assert caught.value.reason == reason and next(iter(settings)) in caught.value.detail
    assert folders(root) == []
    ingest(str(clip.path), str(root), MediaSettings(max_duration_s=2.1, max_source_pixels=192 * 128))


def test_a_store_that_cannot_be_written(render, tmp_path):
    blocked = tmp_path / "store"
    blocked.write_text("a file, not a folder")
    with pytest.raises(StorageError, match="cannot be written"):
        ingest(str(render(count=1).path), str(blocked), SETTINGS)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this machine")
def test_no_space_left(render, root, monkeypatch):
    def full(self, data):
        with Path("/dev/full").open("wb", buffering=0) as device:
            device.write(data)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(StorageError, match="No space left"):
        ingest(str(render(count=1).path), str(root), SETTINGS)
    assert folders(root) == []


def test_names_with_anything_in_them(render, root):
    for name in ['new\nline "and" quotes.mp4', "per%05dcent.mp4", "http:x.mp4", "emoji 🎬.mp4"]:
        assert ingest(str(render(name, count=3).path), str(root), SETTINGS).frames.complete


def test_hostile_files_give_frames_or_an_item_error(render, root):
    """Real files damaged at random: whatever comes out, it is a record or an ItemError, quickly."""
    rng = random.Random(11)
    outcomes = {"frames": 0, "error": 0}
    for name, codec in [("a.mp4", "libx264"), ("a.mkv", "libvpx-vp9"), ("a.ts", "mpeg2video"), ("a.avi", "mpeg4")]:
        clip = render(name, codec=codec, count=30)
        data = clip.path.read_bytes()
        for case in range(30):
            damaged = bytearray(data)
            if case % 3 == 0:
                damaged = damaged[: rng.randrange(len(data))]
            else:
                # Headers are hit as often as pictures.
                reach = 2000 if case % 3 == 1 else len(data)
                for _ in range(rng.choice([1, 5, 50])):
                    damaged[rng.randrange(min(reach, len(data)))] = rng.randrange(256)
            clip.path.write_bytes(damaged)
            begun = time.monotonic()
            try:
                result = ingest(str(clip.path), str(root), SETTINGS)
            except ItemError as error:
                assert error.reason in {"unreadable", "no_video", "no_pictures", "too_large"}, error
                outcomes["error"] += 1
            else:
                times = [frame.time_s for frame in result.frames.frames]
                assert times and times == sorted(set(times)) and len(times) <= SETTINGS.max_frames
                assert all(np.isfinite([result.probe.duration_s, result.probe.fps, result.frames.duration_s]))
                outcomes["frames"] += 1
            assert time.monotonic() - begun < 10
    assert outcomes["frames"] > 20 and outcomes["error"] > 10, outcomes


def test_real_files(shared_videos, root):
    for path in shared_videos:
        result = ingest(str(path), str(root), SETTINGS)
        index = json.loads(result.frames.frames[0].path.with_name("index.json").read_text())
        assert os.fspath(path.parent) not in json.dumps(index)
        assert ingest(str(path), str(root), SETTINGS) == result
        assert FrameStore(root).decodes(result.probe.sha256, SETTINGS) == 1
        assert result.frames.complete == (path.name != "corrupted.mp4")
