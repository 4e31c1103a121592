"""The shared cases of which something false was told: a recording with a hole, and a ticker."""

from __future__ import annotations

from pathlib import Path
from shutil import copy2

import pytest

from hardcut.engine.pool import WorkerPool
from hardcut.engine.stage import Unit
from hardcut.media.collection import scan
from hardcut.media.ingest import ingest
from hardcut.schemas.records import Evidence, Video
from hardcut.schemas.settings import EvidenceSettings, MediaSettings
from hardcut.synth.evidence.motion import STILL, find_motion
from hardcut.synth.evidence.stage import EvidenceStage
from hardcut.synth.frame_source import FrameSource
from hardcut.synth.probe import ProbeStage
from tests.synth.evidence.test_motion import CASES

pytest.importorskip("scenedetect", reason='needs pip install "hardcut[vision]"')
pytestmark = pytest.mark.skipif(not CASES.is_dir(), reason="no folder of shared cases beside the checkout")


async def lines_of(name: str, tmp_path: Path, pool: WorkerPool, options: EvidenceSettings) -> list[Evidence]:
    """The evidence of one file, by time."""
    (tmp_path / "videos").mkdir()
    copy2(CASES / name, tmp_path / "videos")
    collection, media = scan(tmp_path / "videos"), MediaSettings()
    [file] = collection.files
    [video] = (
        await ProbeStage(pool, collection.root, tmp_path / "store", media, surveyed=True).run(
            Unit(file.video_id, payload=file)
        )
    ).records
    assert isinstance(video, Video)
    frames = FrameSource(collection.root, tmp_path / "store", media, pool)
    output = await EvidenceStage(frames, options).run(Unit(video.video_id, records=(video,)))
    lines = [line for line in output.records if isinstance(line, Evidence)]
    return sorted(lines, key=lambda line: (line.span.start if line.span else -1, line.text))


async def test_nothing_is_told_across_a_hole(tmp_path: Path, pool: WorkerPool) -> None:
    """56 s without a picture: both texts stand for 4 s at most, and no line goes over the hole."""
    pytest.importorskip("rapidocr", reason='needs pip install "hardcut[ocr]"')
    lines = [line for line in await lines_of("jump60.ts", tmp_path, pool, EvidenceSettings()) if line.span]
    texts = {line.text: line.span for line in lines if line.kind == "ocr" and line.span}
    assert set(texts) == {"FIRST", "SECOND"}
    assert all(span.end - span.start <= 4.1 for span in texts.values())
    for line in lines:
        assert line.span and not (line.span.start < 4.5 and line.span.end > 59.5), line
    assert not [line.text for line in lines if "thing" in line.text]


async def test_a_ticker_is_no_zoom(tmp_path: Path, pool: WorkerPool) -> None:
    options = EvidenceSettings(ocr="off")
    told = [line.text for line in await lines_of("ocr/ticker.mp4", tmp_path, pool, options)]
    assert not [text for text in told if "zooms" in text]


async def test_a_ticker_is_text_and_no_movement(tmp_path: Path, pool: WorkerPool) -> None:
    lines = await lines_of("ocr/ticker.mp4", tmp_path, pool, EvidenceSettings())
    assert not [line.text for line in lines if "moves" in line.text]
    assert any(line.text.startswith("Breaking news tonight the river") for line in lines)


@pytest.mark.parametrize(("name", "cuts"), [("cuts57s", 19), ("cuts240s", 80), ("cuts420s", 140)])
def test_a_hard_cut_every_three_seconds_at_any_length(name: str, cuts: int, tmp_path: Path) -> None:
    """All of them, and nothing moves: of the longest one bursts are looked at."""
    survey = ingest(str(CASES / f"{name}.mp4"), str(tmp_path), MediaSettings(), surveyed=True).survey
    assert survey
    assert [round(cut.time_s / 3, 1) for cut in survey.cuts] == [*range(1, cuts + 1)]
    assert {found.text for found in find_motion(survey.bursts)} <= {STILL}


@pytest.mark.parametrize("name", ["mma_test", "video5"])
def test_a_real_camera_that_moves_does_not_stand(name: str, tmp_path: Path) -> None:
    """Quick swings over a pool, and a dress before a moving phone."""
    path = CASES.parents[1] / "videos" / "moving" / f"{name}.mp4"
    if not path.is_file():
        pytest.skip("no folder of shared videos beside the checkout")
    survey = ingest(str(path), str(tmp_path), MediaSettings(), surveyed=True).survey
    assert survey and survey.bursts
    told = [found.text for found in find_motion(survey.bursts)]
    assert STILL not in told
    assert len([text for text in told if "thing" in text]) <= 1
