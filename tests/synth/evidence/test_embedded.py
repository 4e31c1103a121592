"""The words of subtitles inside a file become evidence as those beside it do, where nothing beside it says them."""

from __future__ import annotations

import shutil
from pathlib import Path

from hardcut.engine.pool import WorkerPool
from hardcut.engine.stage import Unit
from hardcut.media.collection import scan
from hardcut.schemas.records import Evidence, Video
from hardcut.schemas.settings import EvidenceSettings, MediaSettings
from hardcut.synth.evidence.stage import EvidenceStage
from hardcut.synth.frame_source import FrameSource
from hardcut.synth.probe import ProbeStage
from hardcut.synth.request_inputs import SUBTITLES

CLIP = Path(__file__).parents[2] / "media" / "files" / "movtext.mp4"
OPTIONS = EvidenceSettings(ocr="off", shots=False, motion=False)


async def said(root: Path, store: Path, pool: WorkerPool) -> list[tuple[str, str | None, str, float]]:
    frames = FrameSource(root=root, store=store, media=MediaSettings(fps=2), pool=pool)
    [file] = scan(root).files
    probe = ProbeStage(pool=pool, root=frames.root, store=frames.store, media=frames.media)
    [video] = (await probe.run(Unit(file.video_id, payload=file))).records
    assert isinstance(video, Video)
    found = (await EvidenceStage(frames, OPTIONS).run(Unit(video.video_id, records=(video,)))).records
    return [
        (item.text, item.language, item.extractor, item.span.start)
        for item in found
        if isinstance(item, Evidence) and item.kind == "speech" and item.span
    ]


async def test_a_file_with_subtitles_inside(tmp_path: Path, pool: WorkerPool) -> None:
    root = tmp_path / "videos"
    root.mkdir()
    shutil.copy(CLIP, root / "clip.mp4")
    assert await said(root, tmp_path / "one", pool) == [("Embedded hello", "eng", "embedded", 0.5)]
    assert "embedded" in SUBTITLES, "teachers are told them as subtitles"
    (root / "clip.de.srt").write_text("00:01,000 --> 00:02,000\nHallo\n")
    assert len(await said(root, tmp_path / "two", pool)) == 2, "another language"
    (root / "clip.en.ass").write_text("[Events]\nDialogue: 0,0:00:00.50,0:00:01.50,Default,,0,0,0,,Hello beside it\n")
    (root / "clip.de.srt").unlink()
    assert await said(root, tmp_path / "three", pool) == [("Hello beside it", "en", "ass", 0.5)]
