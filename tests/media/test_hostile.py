"""Hostile media through real workers: no crash, no hang beyond the limit, every file accounted for."""

from __future__ import annotations

import os
import random
import shutil
import time
from collections import Counter
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from hardcut.engine.pool import WorkerPool
from hardcut.media.collection import scan
from hardcut.media.container import open_video
from hardcut.media.ingest import Ingested, ingest
from hardcut.media.probe import probe
from hardcut.media.sampler import Samples
from hardcut.schemas.errors import ItemError
from hardcut.schemas.settings import MediaSettings

LIMIT_S = 60.0
SETTINGS = MediaSettings(max_frames=16)
REASONS = {"unreadable", "no_video", "no_pictures", "too_large", "changed"}
CUTS, SEEDS = 20, 200
REAL = ("signs/eat.mkv", "codecs/h265_video.mp4", "codecs/h264_10bits.mp4")


def ingest_all(paths: list[str], store: str) -> list[str]:
    """In a worker: what became of each file, and that none took long."""
    outcomes = []
    for path in paths:
        begun = time.monotonic()
        try:
            made = ingest(path, store, SETTINGS)
        except ItemError as error:
            assert error.reason in REASONS, error
            assert path not in error.detail
            outcomes.append(error.reason)
        else:
            check(made)
            outcomes.append("complete" if made.frames.complete else "in part")
        assert time.monotonic() - begun < 20, path
    return outcomes


def check(made: Ingested) -> None:
    times = [frame.time_s for frame in made.frames.frames]
    assert times and times == sorted(set(times)) and len(times) <= SETTINGS.max_frames
    assert all(frame.path.stat().st_size for frame in made.frames.frames)
    assert all(np.isfinite([made.probe.duration_s, made.probe.fps, made.frames.duration_s, *times]))
    assert made.frames.complete == (not made.frames.missing)


@pytest.fixture
def sources(render, request) -> list[Path]:
    """Real recordings where they are there, and rendered ones of other formats."""
    rendered = [("a.mp4", "libx264"), ("a.webm", "libvpx-vp9"), ("a.ts", "mpeg2video"), ("a.avi", "mpeg4")]
    made = [
        render(name, codec=codec, count=20, tone=440.0 if name == "a.mp4" else None).path for name, codec in rendered
    ]
    shared = Path(__file__).resolve().parents[3] / "shared" / "videos"
    return [*made, *(shared / name for name in REAL if (shared / name).exists())]


async def in_worker(paths: list[Path], store: Path) -> Counter[str]:
    with WorkerPool(1, timeout_s=LIMIT_S) as pool:
        outcomes = await pool.call(ingest_all, [str(path) for path in paths], str(store))
    assert len(outcomes) == len(paths)
    return Counter(outcomes)


def test_a_tag_that_is_no_utf8_is_kept_the_same_by_every_pyav(render):
    path = render("a.mkv", count=5, title="XXbung").path
    content = path.read_bytes()
    assert content.count(b"XXbung") == 1
    path.write_bytes(content.replace(b"XXbung", b"\xdc\xfcbung"))
    with open_video(path) as container:
        assert container.metadata["title"] == "\udcdc\udcfcbung"
    assert probe(path).width == 192


async def test_truncated_at_20_places(sources, tmp_path):
    paths = []
    for number, source in enumerate(sources):
        data = source.read_bytes()
        for cut in range(CUTS):
            path = tmp_path / f"{number}-{cut}{source.suffix}"
            path.write_bytes(data[: len(data) * cut // CUTS])
            paths.append(path)
    outcomes = await in_worker(paths, tmp_path / "store")
    assert sum(outcomes.values()) == CUTS * len(sources)
    assert outcomes["unreadable"] >= len(sources)  # nothing is left of them, at least
    assert outcomes["in part"] >= 3 * len(sources)  # some formats do not say how long they should be


@pytest.mark.parametrize("rendered_alone", [True, False])
async def test_bytes_flipped_with_200_seeds(sources, tmp_path, rendered_alone):
    """Another seed damages another file where real recordings are there too."""
    sources = sources[:4] if rendered_alone else sources
    paths = []
    for seed in range(SEEDS):
        rng = random.Random(seed)
        source = sources[seed % len(sources)]
        damaged = bytearray(source.read_bytes())
        reach = len(damaged) if seed // len(sources) % 2 else min(4000, len(damaged))  # headers as often as pictures
        for _ in range(rng.choice([1, 5, 50, 500])):
            damaged[rng.randrange(reach)] = rng.randrange(256)
        path = tmp_path / f"{seed}{source.suffix}"
        path.write_bytes(damaged)
        paths.append(path)
    outcomes = await in_worker(paths, tmp_path / "store")
    assert sum(outcomes.values()) == SEEDS and outcomes["in part"] + outcomes["complete"] > SEEDS // 4
    print(outcomes)


def write_raw(path: Path, times: list[int], base: Fraction) -> Path:
    """A Matroska file whose packets bear the time stamps given, in this order."""
    with av.open(str(path), "w", container_options={"avoid_negative_ts": "disabled"}) as out:
        stream = out.add_stream("mjpeg", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p"
        stream.codec_context.color_range = 2
        packets = []
        for number in range(len(times)):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 10 * number % 255, np.uint8), format="rgb24")
            packets += stream.encode(frame.reformat(format="yuvj420p", dst_color_range=2))
        packets += stream.encode(None)
        for packet, tick in zip(packets, times, strict=True):
            packet.pts = packet.dts = tick
            packet.time_base = base
            try:
                out.mux(packet)
            except av.error.FFmpegError:
                continue  # the writer itself refuses the worst
    return path


async def test_every_kind_of_strange_file_is_accounted_for(render, sound, tmp_path):
    root = tmp_path / "videos"
    root.mkdir()
    plain = render("plain.mp4", count=20)
    data = plain.path.read_bytes()

    def there(name: str, path: Path) -> None:
        shutil.move(path, root / name)

    (root / "zero.mp4").write_bytes(b"")
    (root / "zeros.mp4").write_bytes(b"\0" * 100_000)
    (root / "text.mp4").write_text("This is a text and no video.\n" * 500)
    (root / "no-moov.mp4").write_bytes(data[: data.index(b"moov") - 4])
    there("audio-only.mp4", sound)
    there("one-frame.mp4", render("one.mp4", count=1).path)
    there("1x1.mkv", render("1x1.mkv", size=(1, 1), codec="ffv1", count=3, pix_fmt="yuv444p").path)
    huge = {"preset": "ultrafast", "crf": "40", "bf": "0"}
    there("8192x8192.mp4", render("huge.mp4", size=(8192, 8192), count=1, options=huge).path)
    there("0.1fps.mp4", render("slow.mp4", times=[0.0, 10.0, 20.0], fps=0.1).path)
    there("240fps.mp4", render("fast.mp4", count=240, fps=240).path)
    disabled = {"avoid_negative_ts": "disabled"}
    negative = render("negative.mkv", times=[-1 + i / 25 for i in range(50)], container_options=disabled)
    there("negative.mkv", negative.path)
    there("unordered.mkv", write_raw(tmp_path / "u.mkv", [0, 300, 100, 200, 50, 900, 400], Fraction(1, 1000)))
    there("new\nline \"and\" 'quotes'; $(rm).mp4", render("named.mp4", count=5).path)
    there(" space.mp4", render("space.mp4", count=5).path)
    (root / "dangling.mp4").symlink_to(root / "gone.mp4")
    os.mkfifo(root / "pipe.mp4")

    collection = scan(root)
    assert {item.item: item.reason for item in collection.skipped} == {
        "dangling.mp4": "unreadable",
        "pipe.mp4": "not_a_file",
    }
    outcomes: dict[str, str] = {}
    with WorkerPool(2, timeout_s=LIMIT_S) as pool:
        for file in collection.files:
            try:
                made = await pool.call(ingest, str(file.path), str(tmp_path / "store"), SETTINGS)
            except ItemError as error:
                outcomes[file.relative] = error.reason
            else:
                check(made)
                outcomes[file.relative] = "complete" if made.frames.complete else "in part"
        # Named to the reader itself, what the scan passes over is refused at once and not waited for.
        for name in ("dangling.mp4", "pipe.mp4"):
            with pytest.raises(ItemError, match="unreadable"):
                await pool.call(ingest, str(root / name), str(tmp_path / "store"), SETTINGS, timeout_s=20)
    strange = {
        **dict.fromkeys(("zero.mp4", "zeros.mp4", "text.mp4", "no-moov.mp4"), "unreadable"),
        "audio-only.mp4": "no_video",
        "negative.mkv": "in part",  # Matroska gives what is before 0 no time
    }
    assert outcomes == {file.relative: strange.get(file.relative, "complete") for file in collection.files}


def test_a_file_that_grows_while_it_is_read(render, tmp_path, monkeypatch):
    clip = render("grows.ts", codec="mpeg2video", count=250, size=(640, 360))
    data = clip.path.read_bytes()
    clip.path.write_bytes(data[: len(data) // 2])

    class Grows(Samples):
        """The samples of a file to which somebody else writes when the first was read."""

        def __iter__(self):
            for number, sample in enumerate(super().__iter__()):
                if number == 0:
                    with clip.path.open("ab") as file:
                        file.write(b"\0" * 188)
                yield sample

    with monkeypatch.context() as patch:
        patch.setattr("hardcut.media.ingest.open_samples", Grows)
        with pytest.raises(ItemError) as caught:
            ingest(str(clip.path), str(tmp_path / "store"), SETTINGS)
    assert caught.value.reason == "changed"
    check(ingest(str(clip.path), str(tmp_path / "store"), SETTINGS))
