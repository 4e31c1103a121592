"""Facts of a file."""

from __future__ import annotations

import hashlib
import os
from fractions import Fraction

import pytest

from hardcut.media import container
from hardcut.media.probe import probe
from hardcut.schemas.errors import ItemError


def test_facts(render):
    clip = render("a.mp4", count=50, tone=440.0)
    facts = probe(clip.path)
    assert facts.sha256 == hashlib.sha256(clip.path.read_bytes()).hexdigest()
    assert facts.size_bytes == clip.path.stat().st_size
    assert facts.duration_s == pytest.approx(2.0, abs=1e-3)
    assert facts.fps == 25
    assert (facts.width, facts.height, facts.rotation) == (192, 128, 0)
    assert (facts.codec, facts.video_streams, facts.has_audio) == ("h264", 1, True)


def test_size_as_displayed(render):
    turned = probe(render("turned.mp4", count=3, display=(-90, False, False)).path)
    assert (turned.width, turned.height, turned.rotation) == (128, 192, 90)
    wide = probe(render("wide.mp4", count=3, size=(720, 576), aspect=Fraction(16, 15)).path)
    assert (wide.width, wide.height) == (768, 576)


def test_several_streams(render):
    facts = probe(render("two.mkv", count=3, size=(96, 64), second_size=(192, 128)).path)
    assert (facts.video_streams, facts.width) == (2, 192)
    assert not facts.has_audio


@pytest.mark.parametrize(("name", "codec"), [("live.mkv", "libx264"), ("a.ts", "libx264"), ("a.avi", "mpeg4")])
def test_duration_from_wherever_it_is_known(render, name, codec):
    options = {"live": "1"} if name == "live.mkv" else None
    facts = probe(render(name, count=50, codec=codec, container_options=options).path)
    assert facts.duration_s == pytest.approx(2.0, abs=0.1)


def test_one_frame(render):
    facts = probe(render("one.mp4", count=1).path)
    assert facts.duration_s == pytest.approx(0.04, abs=0.05)


@pytest.mark.parametrize("kind", ["fifo", "dangling", "folder", "missing", "empty", "text"])
def test_what_cannot_be_a_video(tmp_path, kind):
    path = tmp_path / "x.mp4"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "dangling":
        path.symlink_to(tmp_path / "gone")
    elif kind == "folder":
        path.mkdir()
    elif kind in ("empty", "text"):
        path.write_text("" if kind == "empty" else "just text")
    with pytest.raises(ItemError) as caught:
        probe(path)
    assert caught.value.reason == "unreadable"
    assert str(tmp_path) not in str(caught.value)


def test_audio_only(sound):
    with pytest.raises(ItemError) as caught:
        probe(sound)
    assert caught.value.reason == "no_video"


def test_too_many_pixels(render, monkeypatch):
    monkeypatch.setattr(container, "_MAX_PICTURE", 192 * 128 - 1)
    with pytest.raises(ItemError) as caught:
        probe(render(count=1).path)
    assert caught.value.reason == "too_large"


def test_real_files(shared_videos):
    facts = {path.name: probe(path) for path in shared_videos}
    assert len({fact.sha256 for fact in facts.values()}) == len(facts)
    nasa = facts["nasa_13013.mp4"]
    assert (nasa.video_streams, nasa.width, nasa.height, nasa.has_audio) == (2, 480, 270, True)
    assert nasa.duration_s == pytest.approx(13.013, abs=1e-3)
    assert [(facts[f"video_{turn}.mov"].width, facts[f"video_{turn}.mov"].rotation) for turn in (0, 90, 180)] == [
        (568, 0),
        (320, 90),
        (568, 180),
    ]
    assert facts["av1_video.mkv"].codec == "av1"
    assert facts["h265_video.mp4"].codec == "hevc"
