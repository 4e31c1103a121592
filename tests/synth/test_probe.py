from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import pytest

from hardcut.engine.stage import Unit
from hardcut.media.collection import scan
from hardcut.media.store import FrameStore
from hardcut.schemas.errors import ItemError
from hardcut.schemas.records import Video
from hardcut.schemas.settings import MediaSettings
from hardcut.synth.frame_source import FrameSource
from hardcut.synth.probe import ProbeStage


def stage_of(frames: FrameSource, **changes: object) -> ProbeStage:
    media = frames.media.model_copy(update=changes)
    return ProbeStage(pool=frames.pool, root=frames.root, store=frames.store, media=media)


async def test_facts_frames_and_sidecars(frames: FrameSource) -> None:
    [file] = scan(frames.root).files
    stage = stage_of(frames)
    assert stage.kind == "unit"
    output = await stage.run(Unit(file.video_id, payload=file))
    [video] = output.records
    assert isinstance(video, Video)
    assert (video.video_id, video.path) == ("talks/one", "talks/one.mp4")
    assert video.sha256 == hashlib.sha256((frames.root / video.path).read_bytes()).hexdigest()
    assert (video.width, video.height, video.has_audio, video.complete) == (160, 96, False, True)
    assert video.duration_s == pytest.approx(3.0, abs=0.11)
    [subtitles] = video.subtitles
    assert (subtitles.path, subtitles.language) == ("talks/one.en.srt", "en")
    assert video.metadata["title"] == "The market"
    async with frames.leased(video) as stored:
        assert len(stored.frames) == 6
    assert FrameStore(frames.store).decodes(video.sha256, frames.media) == 1


async def test_frames_that_were_cleared_away_are_decoded_again(frames: FrameSource, probed: Video) -> None:
    async with frames.leased(probed) as before:
        before.frames[0].path.unlink()
    async with frames.leased(probed) as again:
        assert [frame.sha256 for frame in again.frames] == [frame.sha256 for frame in before.frames]
    again.frames[0].path.unlink()
    (frames.root / probed.path).write_bytes(b"something else")
    with pytest.raises(ItemError):
        async with frames.leased(probed):
            pass


async def test_a_damaged_video_is_used_as_far_as_it_goes(frames: FrameSource) -> None:
    [file] = scan(frames.root).files
    data = bytearray(file.path.read_bytes())
    start = data.index(b"mdat")
    half = start + (len(data) - start) // 4
    data[half : half + 2500] = b"\0" * 2500
    file.path.write_bytes(data)
    [video] = (await stage_of(frames).run(Unit(file.video_id, payload=file))).records
    assert isinstance(video, Video)
    assert not video.complete
    assert video.missing
    with pytest.raises(ItemError, match="damaged"):
        await stage_of(frames, strict=True).run(Unit(file.video_id, payload=file))


async def test_what_is_no_video_fails(frames: FrameSource) -> None:
    [file] = scan(frames.root).files
    file.path.write_text("not a video")
    with pytest.raises(ItemError):
        await stage_of(frames).run(Unit(file.video_id, payload=file))


async def test_it_says_for_how_long_movement_was_looked_for(long_clip: Path, frames: FrameSource) -> None:
    [file] = scan(frames.root).files
    for surveyed, look_s, looked_s in ((True, 96.0, 24.0), (True, 8.0, 8.0), (False, 96.0, 0.0)):
        stage = dataclasses.replace(stage_of(frames, look_s=look_s), surveyed=surveyed)
        [video] = (await stage.run(Unit(file.video_id, payload=file))).records
        assert isinstance(video, Video)
        assert video.looked_s == pytest.approx(looked_s, abs=0.5)
        assert stage.settings != stage_of(frames).settings or not surveyed
    assert all("look" not in earlier.settings for earlier in stage.earlier[1:]), "a run that has those keeps them"
    before = video.model_copy(update={"looked_s": None}).model_dump(mode="json")
    assert "looked_s" not in before, "and its records are written as they were"


def test_a_run_that_looked_at_less_by_default_keeps_its_records(frames: FrameSource) -> None:
    """Before version 4, 96 s of a long video were looked at by default. Who asked for some number gets it."""
    before = dataclasses.replace(stage_of(frames, look_s=96.0), surveyed=True).settings
    default, asked = (dataclasses.replace(stage_of(frames, **given), surveyed=True) for given in ({}, {"look_s": 30.0}))
    assert default.settings != before and default.earlier[0].settings == before
    assert asked.earlier[0].settings == asked.settings


def test_the_key_holds_what_changes_the_result(frames: FrameSource) -> None:
    keys = [
        stage_of(frames, **changes).settings
        for changes in (
            {},
            {"fps": 1.0},
            {"max_pixels": 5000},
            {"max_frames": 3},
            {"jpeg_quality": 60},
            {"strict": True},
            {"reader": "decord"},
            {"mode": "keyframes"},
            {"max_duration_s": 100.0},
            {"max_source_pixels": 1000},
        )
    ]
    assert all(keys[i] != keys[j] for i in range(len(keys)) for j in range(i))
    elsewhere = dataclasses.replace(stage_of(frames), store=frames.root, media=MediaSettings(fps=2))
    assert elsewhere.settings == keys[0]
