"""The shared cases of files beside a video: a downloader's folder, and subtitles under all kinds of names."""

from __future__ import annotations

from pathlib import Path

import pytest

from hardcut.engine.pool import WorkerPool
from hardcut.engine.stage import Unit
from hardcut.media.collection import scan
from hardcut.schemas.records import Evidence, Video
from hardcut.schemas.settings import EvidenceSettings, MediaSettings
from hardcut.synth.evidence.stage import EvidenceStage
from hardcut.synth.frame_source import FrameSource
from hardcut.synth.probe import ProbeStage
from tests.synth.evidence.test_motion import CASES

pytestmark = pytest.mark.skipif(not CASES.is_dir(), reason="no folder of shared cases beside the checkout")
TOLD = EvidenceSettings(ocr="off", shots=False, motion=False)


async def told(folder: str, tmp_path: Path, pool: WorkerPool) -> dict[str, list[Evidence]]:
    """The evidence of each video of a folder, by time."""
    collection, media = scan(CASES / folder), MediaSettings()
    frames = FrameSource(collection.root, tmp_path, media, pool)
    found = {}
    for file in collection.files:
        [video] = (
            await ProbeStage(pool, collection.root, tmp_path, media).run(Unit(file.video_id, payload=file))
        ).records
        assert isinstance(video, Video)
        output = await EvidenceStage(frames, TOLD).run(Unit(video.video_id, records=(video,)))
        assert not output.dropped
        lines = [line for line in output.records if isinstance(line, Evidence)]
        found[video.video_id] = sorted(lines, key=lambda line: (line.span.start if line.span else -1, line.text))
    return found


async def test_a_downloaders_folder(tmp_path: Path, pool: WorkerPool) -> None:
    """Rolling captions say eleven words, each at its time; the thumbnail is passed over without a word."""
    [lines] = (await told("ytdlp", tmp_path, pool)).values()
    speech = [line for line in lines if line.kind == "speech"]
    assert " ".join(line.text for line in speech) == "today we will bake bread and then eat it with butter"
    starts = [line.span.start for line in speech if line.span]
    assert starts == sorted(starts) and len(set(starts)) == 3
    assert {line.text.partition(":")[0] for line in lines if line.kind == "metadata"} == {
        "title",
        "tags",
        "description",
    }
    [skipped] = scan(CASES / "ytdlp").skipped
    assert skipped.reason == "other_subtitles" and skipped.item.endswith(".en-orig.vtt")


async def test_subtitles_of_all_kinds(tmp_path: Path, pool: WorkerPool) -> None:
    found = await told("subs", tmp_path, pool)
    said = {name: [(line.text, line.language) for line in lines] for name, lines in found.items()}
    assert said == {
        "assx": [("Hello there", None)],
        "cp1251": [("Привет, как дела сегодня", "ru")],
        "dup_lang": [("Hallo du", "de"), ("Hello there", "en")],
        "vttpad": [("first words spoken here", "en"), ("second words", "en")],
    }
