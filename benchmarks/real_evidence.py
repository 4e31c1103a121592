"""A table in Markdown of what evidence is found in each video of a folder, as `docs/evidence.md` shows it.

python benchmarks/real_evidence.py FOLDER
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from hardcut.engine.pool import WorkerPool
from hardcut.engine.stage import Unit
from hardcut.media.collection import scan
from hardcut.media.video_files import VideoFile
from hardcut.schemas.errors import ItemError
from hardcut.schemas.records import Evidence, Video
from hardcut.schemas.settings import EvidenceSettings, MediaSettings
from hardcut.synth.evidence.stage import EvidenceStage
from hardcut.synth.frame_source import FrameSource
from hardcut.synth.probe import ProbeStage
from hardcut.synth.request_inputs import by_time

MOST = 3
"""Lines told of a kind."""


async def row(file: VideoFile, probe: ProbeStage, stage: EvidenceStage) -> str:
    """One line of the table."""
    try:
        [video] = (await probe.run(Unit(file.video_id, payload=file))).records
        assert isinstance(video, Video)
        output = await stage.run(Unit(file.video_id, records=(video,)))
    except ItemError as error:
        return f"| `{file.relative}` | | | | fails: {error.reason} |"
    found = by_time(item for item in output.records if isinstance(item, Evidence))
    length = f"{video.duration_s:.1f} s" + ("" if video.complete else ", damaged")
    shots = sum(item.kind == "shot" for item in found)
    moving = [item for item in found if item.kind == "motion"]
    speech = f"{sum(item.kind == 'speech' for item in found)} lines" if video.has_audio else "no sound"
    length += f", {shots} shot{'s' * (shots != 1)}"
    return f"| `{file.relative}` | {length} | {told(found, 'ocr')} | {speech} | {told(moving, 'motion')} |"


def told(found: Sequence[Evidence], kind: str) -> str:
    """The surest lines of a kind, in order of time, and how many more there are."""
    lines = [item for item in found if item.kind == kind]
    best = sorted(lines, key=lambda item: -(item.confidence or 0.0))[:MOST]
    texts = [
        f"{item.text} ({item.span.start:.1f}-{item.span.end:.1f} s)"
        for item in lines
        if item.span and any(item is chosen for chosen in best)
    ]
    more = f"; {len(lines) - len(best)} more" if len(lines) > len(best) else ""
    return "; ".join(text.replace("|", "\\|") for text in texts) + more if texts else "nothing"


async def main(folder: Path) -> None:
    """Prints the table."""
    collection, media = scan(folder), MediaSettings()
    print("| file | length | text | speech | movement |\n| --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as store, WorkerPool(2, timeout_s=600) as pool:
        probe = ProbeStage(pool, collection.root, Path(store), media)
        stage = EvidenceStage(FrameSource(collection.root, Path(store), media, pool), EvidenceSettings())
        for line in [asyncio.create_task(row(file, probe, stage)) for file in collection.files]:
            print(await line, flush=True)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
