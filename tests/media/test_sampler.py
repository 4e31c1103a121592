"""Pictures by time: which picture, which way up, how large, and what is said about damage."""

from __future__ import annotations

import random
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import psutil
import pytest

from hardcut.media.container import read_timeline
from hardcut.media.sampler import Samples, fit, wanted_ticks
from hardcut.schemas.errors import ItemError
from hardcut.schemas.settings import MediaSettings

CODECS = [
    ("a.mp4", "libx264"),
    ("a.mkv", "libx264"),
    ("a.ts", "libx264"),
    ("a.flv", "libx264"),
    ("a.mp4", "libx265"),
    ("a.webm", "libvpx-vp9"),
    ("a.mkv", "libsvtav1"),
    ("a.mpg", "mpeg2video"),
    ("a.avi", "mpeg4"),
    ("a.mp4", "mpeg4"),
]


def sample(path: Path, mode="exact", **settings):
    samples = Samples(path, MediaSettings(mode=mode, **settings))
    return list(samples), samples


@pytest.mark.parametrize(("name", "codec"), CODECS)
@pytest.mark.parametrize("fps", [4.0, 60.0])
def test_each_picture_is_the_one_on_the_screen_then(render, number_of, name, codec, fps):
    clip = render(name, codec=codec)
    pictures, samples = sample(clip.path, fps=fps)
    assert samples.complete, samples.missing
    assert samples.duration_s == pytest.approx(2.0, abs=0.05)
    numbers = [number_of(picture.image) for picture in pictures]
    # The clock starts with the container; some formats delay their first picture by its reordering.
    offset = pictures[0].time_s - clip.times[numbers[0]]
    assert 0 <= offset < 0.1
    assert [clip.shown_at(picture.time_s - offset + 0.002) for picture in pictures] == numbers
    if fps == 60:
        assert numbers == list(range(50))
    else:
        assert numbers == [clip.shown_at((i + 0.5) / 4) for i in range(8)]


def test_variable_frame_rate_gives_what_is_shown_not_the_nth(render, number_of):
    rng = random.Random(7)
    times = [0.0]
    while times[-1] < 6:
        times.append(round(times[-1] + rng.choice([0.02, 0.04, 0.5, 1.1]), 2))
    clip = render("vfr.mp4", times=times)
    pictures, samples = sample(clip.path, fps=10)
    assert samples.complete
    numbers = [number_of(picture.image) for picture in pictures]
    assert [picture.time_s for picture in pictures] == pytest.approx([times[n] for n in numbers], abs=1e-3)
    centres = [
        (i + 0.5) * samples.duration_s / round(samples.duration_s * 10) for i in range(round(samples.duration_s * 10))
    ]
    assert numbers == sorted({clip.shown_at(centre) for centre in centres})


@pytest.mark.parametrize(
    ("codec", "options"),
    [
        ("libx264", {"bf": "7", "g": "60", "b-pyramid": "normal", "refs": "4"}),
        ("libx264", {"bf": "3", "x264-params": "tff=1:open-gop=1"}),
        ("libx265", {"bf": "4", "x265-params": "log-level=none:temporal-layers=3"}),
        ("mpeg2video", {"bf": "3"}),
    ],
)
def test_skipping_unreferenced_pictures_changes_nothing(render, codec, options):
    clip = render("deep.mkv", count=120, codec=codec, options=options)
    every = {p.time_s: p.image for p in sample(clip.path, fps=60)[0]}
    for count in (1, 3, 17, 60):
        some = sample(clip.path, max_frames=count)[0]
        for picture in some:
            assert np.array_equal(picture.image, every[picture.time_s])


@pytest.mark.parametrize(
    ("name", "codec", "options", "skips"),
    [
        ("a.mp4", "libx264", {"bf": "3"}, True),
        ("a.ts", "libx264", {"bf": "3"}, True),
        ("a.mkv", "libx264", {"bf": "3", "x264-params": "open-gop=1"}, False),
        ("a.mkv", "libx264", {"x264-params": "intra-refresh=1"}, False),
        ("a.mp4", "libx265", {"x265-params": "log-level=none:open-gop=0"}, True),
        ("a.mkv", "libx265", {"x265-params": "log-level=none:open-gop=1"}, False),
        ("a.webm", "libvpx-vp9", {"deadline": "realtime", "cpu-used": "8"}, True),
        ("a.webm", "libvpx", {"deadline": "realtime", "cpu-used": "8"}, True),
        ("a.mkv", "libsvtav1", {"preset": "8", "g": "24"}, True),
        ("a.mov", "prores_ks", {}, True),
    ],
)
def test_whole_groups_are_left_out_where_that_is_exact(render, monkeypatch, name, codec, options, skips):
    pix_fmt = "yuv422p10le" if codec == "prores_ks" else "yuv420p"
    clip = render(name, count=240, codec=codec, options={"sc_threshold": "0", **options}, pix_fmt=pix_fmt)
    every = {p.time_s: p.image for p in sample(clip.path, fps=60, max_frames=1000)[0]}
    assert len(every) == 240
    fed = 0
    decode = Samples._decode

    def counted(self, stream, packet):
        nonlocal fed
        fed += packet is not None and packet.size > 0
        return decode(self, stream, packet)

    monkeypatch.setattr(Samples, "_decode", counted)
    for count in (1, 2, 5):
        fed = 0
        some, samples = sample(clip.path, max_frames=count)
        assert len(some) == count and samples.complete, samples.missing
        for picture in some:
            assert np.array_equal(picture.image, every[picture.time_s])
        if skips:
            assert fed <= count * 24


@pytest.mark.parametrize("mode", ["exact", "keyframes"])
def test_modes(render, number_of, mode):
    clip = render("keys.mp4", count=60, options={"g": "10", "sc_threshold": "0"})
    pictures, samples = sample(clip.path, mode, fps=25)
    numbers = [number_of(p.image) for p in pictures]
    assert samples.complete
    assert numbers == (list(range(60)) if mode == "exact" else [0, 10, 20, 30, 40, 50])
    assert [p.time_s for p in pictures] == pytest.approx([clip.times[n] for n in numbers], abs=1e-6)


@pytest.mark.parametrize(
    ("display", "corner"),
    [
        ((0, False, False), "tl"),
        ((90, False, False), "bl"),  # PyAV and FFmpeg count the turn anticlockwise
        ((180, False, False), "br"),
        ((-90, False, False), "tr"),
        ((0, True, False), "tr"),
        ((0, False, True), "bl"),
    ],
)
def test_rotation_and_mirroring(render, red_in, display, corner):
    clip = render("turned.mp4", count=5, display=display)
    pictures, _ = sample(clip.path)
    height, width, _ = pictures[0].image.shape
    assert (width, height) == ((128, 192) if abs(display[0]) == 90 else (192, 128))
    assert [c for c in ("tl", "tr", "bl", "br") if red_in(pictures[0].image, c)] == [corner]


def test_pixel_aspect_and_budget(render, number_of):
    clip = render("wide.mp4", size=(180, 144), aspect=Fraction(16, 15), count=5)
    pictures, _ = sample(clip.path, max_pixels=96 * 72)
    assert pictures[0].image.shape == (72, 96, 3)
    assert number_of(pictures[0].image) == 2


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (33, 47), (641, 361), (2, 600)])
def test_odd_sizes(render, size):
    clip = render("odd.mkv", size=size, codec="ffv1", count=3, pix_fmt="yuv444p")
    pictures, _ = sample(clip.path)
    assert pictures[0].image.shape == (*reversed(fit(*size, 640 * 360)), 3)


def test_fit_keeps_the_shape_within_the_budget_and_never_enlarges():
    rng = random.Random(3)
    for _ in range(2000):
        width, height, budget = rng.randint(1, 9000), rng.randint(1, 9000), rng.randint(1024, 2_000_000)
        w, h = fit(width, height, budget)
        assert 1 <= w <= width and 1 <= h <= height and w * h <= budget
        assert (w == 1 or w % 2 == 0) and (h == 1 or h % 2 == 0)
        if min(w, h) >= 40:
            assert w / h == pytest.approx(width / height, rel=0.06)
    assert fit(1920, 1080, 640 * 360) == (640, 360)
    assert fit(1, 1, 1024) == (1, 1)


@pytest.mark.parametrize("start", [0.5, 1000.0])
def test_time_stamps_that_do_not_start_at_zero(render, number_of, start):
    clip = render(
        "late.mkv", times=[start + i / 25 for i in range(50)], container_options={"avoid_negative_ts": "disabled"}
    )
    pictures, samples = sample(clip.path, fps=5)
    assert samples.complete, samples.missing
    assert [number_of(p.image) for p in pictures] == [clip.shown_at(start + (i + 0.5) / 5) for i in range(10)]
    assert pictures[0].time_s == pytest.approx(0.08, abs=0.01)


def test_negative_time_stamps(render, number_of):
    times = [-1 + i / 25 for i in range(50)]
    clip = render("early.mkv", times=times, container_options={"avoid_negative_ts": "disabled"})
    pictures, samples = sample(clip.path, fps=5)  # Matroska gives what is before 0 no time at all
    assert [number_of(p.image) for p in pictures] == [clip.shown_at((i + 0.5) / 5) for i in range(5)]
    assert samples.missing == ("left out for a time stamp out of order: 25",)


def test_presentation_times_that_run_backwards(render, number_of):
    clip = render("unordered.avi", codec="libx264")  # AVI holds no presentation times
    pictures, samples = sample(clip.path, fps=60)
    numbers = [number_of(p.image) for p in pictures]
    assert numbers == sorted(set(numbers)) and len(numbers) >= 46
    assert all(a.time_s < b.time_s for a, b in pairwise(pictures))
    assert samples.duration_s == pytest.approx(2.0, abs=0.1)


def test_a_picture_is_given_once_however_slow_the_video(render):
    clip = render("slow.mp4", times=[0.0, 10.0, 20.0], fps=0.1)
    pictures, samples = sample(clip.path, fps=4)
    assert [p.time_s for p in pictures] == [0.0, 10.0, 20.0]
    assert samples.duration_s == pytest.approx(30, abs=11)


def test_240_fps_and_max_frames(render, number_of):
    clip = render("fast.mp4", count=480, fps=240)
    pictures, _ = sample(clip.path, fps=60, max_frames=31)
    assert [number_of(p.image) for p in pictures] == [clip.shown_at((i + 0.5) * 2 / 31) for i in range(31)]


def test_several_streams_give_the_largest(render):
    clip = render("two.mkv", count=5, size=(96, 64), second_size=(192, 128))
    pictures, _ = sample(clip.path)
    assert pictures[0].image.shape == (128, 192, 3)


def test_a_default_stream_goes_before_a_larger_one(render):
    clip = render("two.mp4", count=5, size=(96, 64), second_size=(192, 128))  # the writer marks the first
    pictures, _ = sample(clip.path)
    assert pictures[0].image.shape == (64, 96, 3)


def test_unknown_duration(render, number_of):
    clip = render("live.mkv", container_options={"live": "1"})
    with av.open(str(clip.path)) as container:
        assert container.duration is None
    pictures, samples = sample(clip.path)
    assert samples.complete
    assert [number_of(p.image) for p in pictures] == [clip.shown_at((i + 0.5) / 4) for i in range(8)]


@pytest.mark.parametrize("name", ["a.mkv", "a.mp4", "a.avi"])
@pytest.mark.parametrize("share", [0.3, 0.5, 0.9])
def test_a_truncated_file_gives_what_is_there_and_says_so(render, number_of, name, share):
    codec = "mpeg4" if name == "a.avi" else "libx264"
    options = {"movflags": "+faststart"} if name == "a.mp4" else None
    clip = render(name, count=125, size=(640, 360), codec=codec, container_options=options)
    data = clip.path.read_bytes()
    clip.path.write_bytes(data[: int(len(data) * share)])
    pictures, samples = sample(clip.path)
    assert not samples.complete
    assert any(line.startswith("decoded ") and line.endswith(" s of 5.0 s") for line in samples.missing), (
        samples.missing
    )
    assert 0.15 < samples.duration_s < 4.9
    if name != "a.avi":  # without its index nothing in the file says how long a picture is held
        for picture in pictures[:-1]:
            assert number_of(picture.image) == clip.shown_at(picture.time_s + 0.002)


def test_flipped_bytes_are_reported(render):
    clip = render("flipped.mp4", count=100, size=(320, 240))
    reported = 0
    data = clip.path.read_bytes()
    start = data.index(b"mdat") + 1500
    for seed in range(8):
        rng = random.Random(seed)
        damaged = bytearray(data)
        for _ in range(40):
            damaged[rng.randrange(start, start + (len(data) - start) // 2)] = rng.randrange(256)
        clip.path.write_bytes(damaged)
        pictures, samples = sample(clip.path, fps=60)
        assert pictures and all(a.time_s < b.time_s for a, b in pairwise(pictures))
        reported += not samples.complete
    assert reported == 8


def test_a_header_that_lies_about_the_duration_costs_nothing(render):
    clip = render("lie.mkv", count=50)
    data = bytearray(clip.path.read_bytes())
    place = data.index(b"\x44\x89\x88") + 3  # Matroska's Duration, a float64 in milliseconds
    data[place : place + 8] = np.array(3.6e12, dtype=">f8").tobytes()
    clip.path.write_bytes(data)
    pictures, samples = sample(clip.path)
    assert len(pictures) == 8
    assert samples.duration_s == pytest.approx(2.0, abs=0.05)
    assert samples.missing == ("decoded 2.0 s of 3600000000.0 s",)


def test_a_broken_time_stamp_does_not_stretch_the_rest(render, number_of):
    clip = render("jump.mkv", times=[*(i / 25 for i in range(50)), 900_000.0])
    pictures, samples = sample(clip.path)
    assert [number_of(p.image) for p in pictures] == [clip.shown_at((i + 0.5) / 4) for i in range(8)]
    assert "left out for a time stamp out of order: 1" in samples.missing


def test_what_is_wanted_is_bounded_by_the_pictures(render):
    clip = render("few.mp4", count=3)
    timeline = read_timeline(clip.path)
    assert len(wanted_ticks(timeline, MediaSettings(fps=60, max_frames=100_000))) == 3
    assert len(wanted_ticks(timeline, MediaSettings(fps=60, max_frames=1))) == 1


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "unreadable"),
        (b"not a video\n" * 100, "unreadable"),
        (b"ffconcat version 1.0\nfile other.mp4\n", "unreadable"),
        (b"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\nother.mp4\n", "unreadable"),
        (b"\0" * 5000, "unreadable"),
    ],
)
def test_what_is_no_video(render, tmp_path, content, reason):
    render("other.mp4", count=3)
    path = tmp_path / "bad.mp4"
    path.write_bytes(content)
    with pytest.raises(ItemError) as caught:
        sample(path)
    assert caught.value.reason == reason
    assert str(tmp_path) not in str(caught.value)


def test_memory_does_not_grow_with_the_number_of_pictures(render):
    clip = render("long.mp4", count=240, size=(960, 540), options={"preset": "ultrafast"})
    process = psutil.Process()
    settings = MediaSettings(fps=60, max_pixels=960 * 540)
    resident = [process.memory_info().rss for _ in Samples(clip.path, settings)]
    assert len(resident) == 240
    assert max(resident) - min(resident[10:]) < 40e6  # one picture is 1.6 MB


def test_sampling_is_deterministic(render):
    clip = render("same.mp4")
    first, second = sample(clip.path)[0], sample(clip.path)[0]
    assert [p.image.tobytes() for p in first] == [p.image.tobytes() for p in second]


def test_real_files(shared_videos):
    for path in shared_videos:
        exact, samples = sample(path)
        keys, _ = sample(path, "keyframes")
        assert exact and keys
        assert samples.complete == (path.name != "corrupted.mp4"), (path.name, samples.missing)
        assert {p.image.shape for p in keys} == {p.image.shape for p in exact}
        # Every exact picture equals what decoding everything in order gives for its time.
        timeline = read_timeline(path)
        if path.name == "corrupted.mp4" or len(timeline.ticks) > 400:
            continue
        every = {p.time_s: p.image for p in Samples(path, MediaSettings(fps=60, max_frames=10_000))}
        assert len(every) == len(timeline.ticks)
        for picture in exact:
            assert np.array_equal(picture.image, every[picture.time_s])
