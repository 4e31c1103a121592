"""Clips: the right pictures at the right times, the sound in step, files that browsers play."""

from __future__ import annotations

import functools
import http.server
import json
import random
import shutil
import subprocess
import threading
from pathlib import Path

import av
import numpy as np
import pytest

from hardcut.engine.pool import WorkerPool
from hardcut.media.audio import RATE, audio_blocks
from hardcut.media.clip import cut
from hardcut.media.sampler import Samples
from hardcut.schemas.errors import ItemError, StorageError
from hardcut.schemas.records import Span
from hardcut.schemas.settings import MediaSettings

CONTAINERS = ("mp4", "webm")
EVERY = MediaSettings(fps=60, max_frames=10_000)


def span(start: float, end: float) -> Span:
    return Span(start=start, end=end)


def decoded(path: Path):
    samples = Samples(path, EVERY)
    pictures = list(samples)
    assert samples.complete, samples.missing
    return pictures, samples.duration_s


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize(("start", "end"), [(0.0, 4.0), (1.0, 2.2), (1.337, 3.991), (3.9, 9.0)])
def test_pictures_at_their_times_and_the_length(render, number_of, tmp_path, container, start, end):
    clip = render("a.mp4", count=100, size=(320, 180))
    out = tmp_path / f"out.{container}"
    made = cut(str(clip.path), span(start, end), str(out), container=container)
    pictures, duration = decoded(out)
    length = min(end, 4.0) - start
    assert duration == pytest.approx(length, abs=0.05) and made.duration_s == pytest.approx(length, abs=0.05)
    assert (made.width, made.height, made.has_audio) == (320, 180, False)
    numbers = [number_of(picture.image) for picture in pictures]
    first, last = clip.shown_at(start), clip.shown_at(min(end, 4.0) - 1e-3)
    assert numbers == list(range(first, last + 1))
    for picture, number in zip(pictures, numbers, strict=True):
        assert picture.time_s == pytest.approx(max(0.0, clip.times[number] - start), abs=0.002)


def test_a_variable_rate_stays_variable_and_a_held_picture_lasts(render, number_of, tmp_path):
    times = [0.0, 0.1, 0.15, 1.0, 3.0]
    clip = render("vfr.mkv", times=times, fps=10)
    out = tmp_path / "out.mp4"
    cut(str(clip.path), span(0.12, 2.5), str(out))
    pictures, duration = decoded(out)
    assert [number_of(picture.image) for picture in pictures] == [1, 2, 3, 3]
    assert [picture.time_s for picture in pictures] == pytest.approx([0.0, 0.03, 0.88, 2.28], abs=0.002)
    assert duration == pytest.approx(2.38, abs=0.11)


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize(("start", "heard"), [(0.0, 2.5), (1.0, 1.5), (2.2, 0.3), (3.0, 0.0)])
def test_sound_in_step(render, tmp_path, container, start, heard):
    clip = render("late.mkv", count=125, tone=440.0, tone_from=2.5)
    out = tmp_path / f"out.{container}"
    made = cut(str(clip.path), span(start, 4.5), str(out), container=container)
    assert made.has_audio
    sound = np.concatenate(list(audio_blocks(out)))
    assert len(sound) / RATE == pytest.approx(4.5 - start, abs=0.08)
    loud = np.flatnonzero(np.abs(sound) > 0.1)
    assert loud[0] / RATE == pytest.approx(heard, abs=0.05)
    middle = sound[loud[len(loud) // 4] : loud[len(loud) * 3 // 4]]
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle))))
    assert np.argmax(spectrum) * RATE / len(middle) == pytest.approx(440, abs=4)
    assert 0.3 < np.abs(middle).max() < 0.7


def test_sound_can_be_left_out(render, tmp_path):
    clip = render("a.mp4", count=25, tone=440.0)
    made = cut(str(clip.path), span(0, 1), str(tmp_path / "out.mp4"), with_sound=False)
    assert not made.has_audio
    with pytest.raises(ItemError, match="no_audio"):
        list(audio_blocks(tmp_path / "out.mp4"))


@pytest.mark.parametrize(("display", "corner"), [((-90, False, False), "tr"), ((180, False, False), "br")])
def test_turned_as_displayed(render, red_in, tmp_path, display, corner):
    clip = render("turned.mp4", count=5, display=display)
    made = cut(str(clip.path), span(0, 1), str(tmp_path / "out.mp4"))
    assert (made.width, made.height) == ((128, 192) if display[0] == -90 else (192, 128))
    picture = decoded(tmp_path / "out.mp4")[0][0].image
    assert [c for c in ("tl", "tr", "bl", "br") if red_in(picture, c)] == [corner]


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize(
    ("size", "expected"), [((33, 47), (34, 46)), ((1, 1), (2, 2)), ((1280, 720), (640, 360)), ((20, 900), (14, 640))]
)
def test_sides_are_even_and_bounded(render, tmp_path, container, size, expected):
    clip = render("odd.mkv", size=size, codec="ffv1", count=3, pix_fmt="yuv444p")
    made = cut(str(clip.path), span(0, 1), str(tmp_path / "out"), 640, container=container)
    width, height = made.width, made.height
    assert width % 2 == height % 2 == 0 and abs(width - expected[0]) <= 2 and abs(height - expected[1]) <= 2
    assert decoded(tmp_path / "out")[0][0].image.shape[2] == 3


def test_the_index_comes_first_and_the_bytes_are_the_same_again(render, tmp_path):
    clip = render("a.mp4", count=50, tone=300.0)
    for name in ("one.mp4", "two.mp4"):
        cut(str(clip.path), span(0.5, 1.5), str(tmp_path / name))
    data = (tmp_path / "one.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")
    assert data == (tmp_path / "two.mp4").read_bytes()
    with av.open(str(tmp_path / "one.mp4")) as made:
        assert [stream.codec_context.name for stream in made.streams] == ["h264", "aac"]
        assert made.streams.video[0].pix_fmt == "yuv420p"


def test_a_late_span_of_a_long_video_decodes_what_it_needs(render, number_of, tmp_path, monkeypatch):
    clip = render("long.mp4", count=1000, size=(96, 64), tone=200.0)
    fed = 0
    decode = Samples._decode

    def counted(self, stream, packet):
        nonlocal fed
        fed += packet is not None
        return decode(self, stream, packet)

    monkeypatch.setattr(Samples, "_decode", counted)
    cut(str(clip.path), span(38, 39), str(tmp_path / "out.mp4"))
    assert fed < 60
    monkeypatch.undo()
    assert number_of(decoded(tmp_path / "out.mp4")[0][0].image) == 950


@pytest.mark.parametrize("container", CONTAINERS)
def test_damage_is_survived(render, tmp_path, container):
    clip = render("a.mkv", count=100, size=(320, 240), tone=440.0)
    data = clip.path.read_bytes()
    made = 0
    for seed in range(12):
        rng = random.Random(seed)
        damaged = bytearray(data if seed % 3 else data[: len(data) * (seed + 3) // 14])
        for _ in range(30 if seed % 3 else 0):
            damaged[rng.randrange(len(damaged) // 10, len(damaged))] = rng.randrange(256)
        clip.path.write_bytes(damaged)
        out = tmp_path / f"out-{seed}"
        try:
            cut(str(clip.path), span(0.5, 3.5), str(out), container=container)
        except ItemError as error:
            assert error.reason in {"no_pictures", "unreadable", "no_video"} and not out.exists()
        else:
            assert decoded(out)[0]
            made += 1
    assert made >= 8
    assert not list(tmp_path.glob(".clip-*"))


def test_what_is_not_there(render, tmp_path):
    clip = render("a.mp4", count=25)
    out = tmp_path / "out.mp4"
    out.write_text("what was there")
    with pytest.raises(ItemError, match="no_pictures"):
        cut(str(clip.path), span(5, 6), str(out))
    assert out.read_text() == "what was there"
    with pytest.raises(StorageError):
        cut(str(clip.path), span(0, 1), str(tmp_path / "no folder" / "out.mp4"))


async def test_in_a_worker(render, tmp_path):
    clip = render("a.mp4", count=25)
    with WorkerPool(1, timeout_s=60) as pool:
        made = await pool.call(cut, str(clip.path), span(0, 0.5), str(tmp_path / "out.webm"), 64, True, "webm")
    assert (made.width, made.duration_s) == (64, pytest.approx(0.5, abs=0.05))


def test_real_files(shared_videos, tmp_path):
    for path in shared_videos:
        made = cut(str(path), span(0.02, 1.5), str(tmp_path / "out.mp4"), 320)
        pictures, duration = decoded(tmp_path / "out.mp4")
        assert pictures and max(made.width, made.height) <= 320
        assert duration == pytest.approx(made.duration_s, abs=0.15), path.name


PAGE = """<!doctype html><title>waiting</title><body><script>
const wait = (v, name) => new Promise((done, fail) => {{
  v.addEventListener(name, done, {{once: true}}); v.addEventListener('error', () => fail(v.error.message)); }});
(async () => {{
  const said = [];
  for (const src of {names}) {{
    const v = document.createElement('video'); v.muted = true; document.body.append(v);
    try {{
      const loaded = wait(v, 'canplaythrough'); v.src = src; await loaded;
      const ended = wait(v, 'ended'); await v.play(); await ended;
      said.push([src, v.duration, v.videoWidth, v.webkitAudioDecodedByteCount > 0, null]);
    }} catch (error) {{ said.push([src, 0, 0, false, String(error)]); }}
  }}
  const out = document.createElement('pre'); out.id = 'said'; out.textContent = JSON.stringify(said);
  document.body.append(out); await fetch('/said', {{method: 'POST', body: JSON.stringify(said)}});
}})();
</script>"""


def test_chromium_plays_them(render, tmp_path):
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        pytest.skip("no Chromium on this machine")
    clip = render("a.mkv", count=50, tone=440.0)
    site = tmp_path / "site"
    site.mkdir()
    names = [f"clip.{container}" for container in CONTAINERS]
    for name, container in zip(names, CONTAINERS, strict=True):
        cut(str(clip.path), span(0.5, 1.5), str(site / name), container=container)
    (site / "index.html").write_text(PAGE.format(names=json.dumps(names)))
    said: list[list] = []
    heard = threading.Event()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def do_POST(self):
            said.extend(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()
            heard.set()

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(site)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}/"
    flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--autoplay-policy=no-user-gesture-required"]
    profile = f"--user-data-dir={tmp_path / 'profile'}"
    process = subprocess.Popen(
        [browser, *flags, profile, address], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        assert heard.wait(60), "the page did not report back"
    finally:
        process.terminate()
        process.wait(20)
        server.shutdown()
    for name, duration, width, sound, error in said:
        assert error is None, (name, error)
        assert (duration, width, sound) == (pytest.approx(1.0, abs=0.06), 192, True), name
