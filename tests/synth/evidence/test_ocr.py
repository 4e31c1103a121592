from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest
from PIL import Image, ImageDraw, ImageFont

from hardcut.data.render import render_world
from hardcut.data.truth import truth_record
from hardcut.data.world import make_world
from hardcut.engine.pool import WorkerPool
from hardcut.engine.stage import Unit
from hardcut.media.collection import scan
from hardcut.schemas.records import Evidence, Video
from hardcut.schemas.settings import EvidenceSettings, MediaSettings
from hardcut.synth.evidence import frame_reader
from hardcut.synth.evidence.lines import read_lines
from hardcut.synth.evidence.ocr import ocr_evidence
from hardcut.synth.evidence.stage import EvidenceStage
from hardcut.synth.frame_source import FrameSource
from hardcut.synth.probe import ProbeStage

pytest.importorskip("rapidocr", reason='needs pip install "hardcut[ocr]"')
pytest.importorskip("onnxruntime", reason='needs pip install "hardcut[ocr]"')


def picture(*words: tuple[str, int, int, int], dot: int | None = None) -> Image.Image:
    """Words (text, x, y, height of letters) on a grey field, and a red dot at x."""
    image = Image.new("RGB", (640, 360), (90, 110, 120))
    draw = ImageDraw.Draw(image)
    if dot is not None:
        draw.ellipse((dot, 250, dot + 40, 290), fill=(200, 30, 30))
    for text, x, y, size in words:
        draw.text((x, y), text, font=ImageFont.load_default(size), fill=(250, 250, 250))
    return image


def test_a_line_over_many_frames_is_one_evidence(store_frames, make_video) -> None:
    pictures = [
        picture(("Harbour market", 60, 50, 28), dot=20 * i) if 4 <= i < 12 else picture(dot=20 * i) for i in range(16)
    ]
    lines, *_ = read_lines(store_frames(pictures, 4), 4.0, EvidenceSettings())
    [item] = ocr_evidence(make_video(duration_s=4), lines, "rapidocr")
    assert item.text == "Harbour market"
    assert item.span is not None
    assert item.box is not None
    assert item.span.start == pytest.approx(1.0, abs=0.26)
    assert item.span.end == pytest.approx(3.0, abs=0.26)
    assert (item.box.left, item.box.top) == pytest.approx((60 / 640, 50 / 360), abs=0.04)
    assert item.confidence is not None
    assert item.confidence > 0.9
    assert item.language == "und-Latn"


def test_a_small_new_word_is_noticed_and_the_rest_not_read_again(store_frames, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    recognise = frame_reader._recognise

    def counting(engine, index, *rest):
        read.append(index)
        return recognise(engine, index, *rest)

    monkeypatch.setattr(frame_reader, "_recognise", counting)
    still = ("Platform 7", 60, 50, 30)
    pictures = [picture(still, *([("open", 560, 320, 14)] if i >= 3 else [])) for i in range(6)]
    lines, *_ = read_lines(store_frames(pictures, 2), 3.0, EvidenceSettings())
    assert [(line.text, line.start, line.end) for line in lines] == [("Platform 7", 0, 2.75), ("open", 1.25, 2.75)]
    assert read == [0, 3]


def test_text_that_gives_way_to_other_text(store_frames) -> None:
    pictures = [picture(("Gate 17" if i < 4 else "Gate 18", 60, 50, 30)) for i in range(8)]
    lines, *_ = read_lines(store_frames(pictures, 2), 4.0, EvidenceSettings())
    assert [(line.text, line.start, line.end) for line in lines] == [("Gate 17", 0, 1.75), ("Gate 18", 1.75, 3.75)]


def test_no_text_no_lines(store_frames) -> None:
    assert read_lines(store_frames([picture(dot=20 * i) for i in range(8)], 4), 2.0, EvidenceSettings())[:2] == ([], [])
    assert read_lines([], 2.0, EvidenceSettings())[:2] == ([], [])


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (700, 8)])
def test_odd_pictures(store_frames, size: tuple[int, int]) -> None:
    assert read_lines(store_frames([Image.new("RGB", size)] * 2, 1), 2.0, EvidenceSettings())[:2] == ([], [])


async def test_a_fresh_world_is_read(tmp_path: Path, pool: WorkerPool) -> None:
    """At least 95 % of the legible Latin words that stand for a second or more, with spans right to 0.5 s."""
    world = make_world(29, clips=5, scripts=("latin",), families=("poster", "order", "recipe"))
    render_world(world, tmp_path / "world")
    collection = scan(tmp_path / "world" / "videos")
    store, media = tmp_path / "store", MediaSettings()
    frames = FrameSource(collection.root, store, media, pool)

    async def perceive(file) -> list[Evidence]:
        [video] = (await ProbeStage(pool, collection.root, store, media).run(Unit(file.video_id, payload=file))).records
        assert isinstance(video, Video)
        stage = EvidenceStage(frames, EvidenceSettings(shots=False, motion=False))
        output = await stage.run(Unit(video.video_id, records=(video,)))
        return [item for item in output.records if isinstance(item, Evidence) and item.kind == "ocr"]

    found = dict(
        zip((f.video_id for f in collection.files), await asyncio.gather(*map(perceive, collection.files)), strict=True)
    )
    wanted = [
        (clip.video_id, word, text["span"]["start"], text["span"]["end"])
        for clip in world.clips
        for text in truth_record(clip)["texts"]
        if text["legible"] and text["script"] == "latin" and text["span"]["end"] - text["span"]["start"] >= 1
        for word in re.findall(r"\w+", text["text"].casefold())
    ]
    missed = [
        (video_id, word, start, end)
        for video_id, word, start, end in wanted
        if not any(
            word in re.findall(r"\w+", item.text.casefold())
            and abs(item.span.start - start) <= 0.5
            and abs(item.span.end - end) <= 0.5
            for item in found[video_id]
            if item.span
        )
    ]
    assert len(wanted) >= 20
    assert len(missed) <= 0.05 * len(wanted), missed
