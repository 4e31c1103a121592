"""Unusual containers: repeated pictures, clocks that start again, holes, pictures that move."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from hardcut.media.audio import RATE, audio_blocks
from hardcut.media.collection import scan
from hardcut.media.container import read_timeline
from hardcut.media.holes import find_holes
from hardcut.media.ingest import ingest
from hardcut.media.sampler import Samples
from hardcut.media.store import FrameStore, sampling_digest
from hardcut.media.survey import Surveyor
from hardcut.schemas.settings import MediaSettings

FILES = Path(__file__).with_name("files")


def in_parts(path: Path, parts: Sequence[Path], starts_s: Sequence[float]) -> Path:
    """Transport streams one behind the other, the time stamps of each beginning where it is told to."""
    joined = b""
    for number, (part, start_s) in enumerate(zip(parts, starts_s, strict=True)):
        moved = path.with_name(f"part{number}.ts")
        with av.open(f"file:{part}") as source, av.open(f"file:{moved}", "w", format="mpegts") as out:
            streams = {stream.index: out.add_stream_from_template(stream) for stream in source.streams}
            for packet in source.demux():
                if packet.dts is None:
                    continue
                shift = round(start_s / packet.time_base)
                packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
                packet.stream = streams[packet.stream_index]
                out.mux(packet)
        joined += moved.read_bytes()
    path.write_bytes(joined)
    return path


def seen(path: Path) -> tuple[list[float], Samples]:
    """The times of all pictures, and how the reading ended."""
    surveyor = Surveyor(MediaSettings(look_fps=60))
    samples = Samples(path, MediaSettings(fps=60, max_frames=10_000), surveyor)
    return [sample.time_s for sample in samples], samples


def test_packets_without_bytes_show_the_picture_on_and_are_no_damage() -> None:
    """`theora.ogv`: 26 pictures, and 74 packets that repeat them."""
    times, samples = seen(FILES / "theora.ogv")
    assert samples.missing == ()
    assert times == pytest.approx([number / 25 for number in range(100)])
    assert samples.duration_s == pytest.approx(4.0)


def test_time_stamps_that_start_again_go_on(render, number_of, tmp_path) -> None:
    first = render("first.ts", count=100, tone=440.0, codec="mpeg2video")
    second = render("second.ts", count=100, tone=440.0, codec="mpeg2video")
    path = in_parts(tmp_path / "restart.ts", [first.path, second.path], [0.0, 0.0])
    times, samples = seen(path)
    assert len(read_timeline(path).ticks) == 200
    late_s = 0.03  # the sound begins before the pictures
    assert times == pytest.approx([number / 25 for number in range(200)], abs=late_s)
    assert all(0.039 < later - earlier < 0.041 for earlier, later in pairwise(times))
    assert samples.missing == ()
    assert samples.duration_s == pytest.approx(8.0, abs=late_s)
    pictures = [number_of(sample.image) for sample in Samples(path, MediaSettings(fps=25, max_frames=10_000))]
    assert pictures == [*range(100), *range(100)]
    assert sum(map(len, audio_blocks(path))) == pytest.approx(8 * RATE, abs=0.2 * RATE), "the sound goes on with them"


def test_one_wrong_time_stamp_moves_nothing_else(render, tmp_path) -> None:
    part, single = (render(name, count=count, codec="mpeg2video").path for name, count in (("a.ts", 100), ("b.ts", 1)))
    path = in_parts(tmp_path / "slip.ts", [part, single, part], [0.0, 1.0, 4.04])
    assert len(read_timeline(path).ticks) == 201
    assert read_timeline(path).end_s == pytest.approx(8.04, abs=0.01)


def test_a_hole_in_a_recording_is_known_and_a_picture_that_stays_is_none(render, tmp_path) -> None:
    """As `jump60.ts`: 56 s without a picture."""
    part = render("part.ts", count=100, codec="mpeg2video").path
    path = in_parts(tmp_path / "jump.ts", [part, part], [0.0, 60.0])
    [(start_s, end_s)] = find_holes(path)
    assert (start_s, end_s) == pytest.approx((4.0, 60.0), abs=0.05)
    shown = render("stays.mp4", times=[0.0, 0.04, 0.08, 40.0, 40.04, 40.08])
    assert find_holes(shown.path) == ()


def test_what_was_taken_for_damage_is_looked_at_anew(tmp_path) -> None:
    """A store that an earlier version filled says that the file is damaged, which it is not."""
    path, store, settings = str(FILES / "theora.ogv"), str(tmp_path / "store"), MediaSettings()
    sha256 = ingest(path, store, settings).probe.sha256
    index = FrameStore(store)._folder(sha256, sampling_digest(settings)) / "index.json"
    index.write_text(index.read_text().replace('"missing": []', '"missing": ["74 damaged packets"]'))
    told = index.read_text()
    assert "74 damaged" in told
    older = told.replace('"damage": 2', '"damage": 1').partition(', "digest"')[0] + ', "digest": ""}'
    index.write_text(older)
    assert FrameStore(store).get(sha256, settings) is None
    assert ingest(path, store, settings).frames.missing == ()


def test_pictures_that_move(tmp_path) -> None:
    """A GIF is a video where a manifest says so; an animated WebP is none, and one line says what to do."""
    frames = [Image.fromarray(np.full((32, 32, 3), 20 * number, dtype=np.uint8)) for number in range(10)]
    for name in ("anim.gif", "anim.webp", "other.gif"):
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:], duration=100)
    manifest = tmp_path / "videos.csv"
    manifest.write_text("path\nanim.gif\nanim.webp\n")
    found = scan(tmp_path, manifest)
    assert [video.video_id for video in found.files] == ["anim"]
    told = {item.item: (item.reason, item.detail) for item in found.skipped}
    assert told["anim.webp"] == ("picture", "a picture, and no video though it may move: make a GIF or MP4 of it")
    assert told["other.gif"] == ("picture", "a picture; one that moves is read where a manifest names it")
    made = ingest(str(found.files[0].path), str(tmp_path / "store"), MediaSettings())
    assert made.frames.complete
    assert made.frames.duration_s == pytest.approx(1.0)
    assert len(made.frames.frames) >= 4
