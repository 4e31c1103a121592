"""Twins that differ in the order of their texts alone: movement says nothing, reading in order of time does."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("rapidocr", reason='needs pip install "hardcut[ocr]"')
pytest.importorskip("espeakng_loader", reason='worlds are rendered with pip install "hardcut[render]"')

from hardcut.data.render import render_world
from hardcut.data.truth import truth_record
from hardcut.data.world import make_world
from hardcut.media.collection import scan
from hardcut.media.ingest import ingest
from hardcut.schemas.settings import EvidenceSettings, MediaSettings
from hardcut.synth.ocr import read_lines


def test_twins_in_text_are_told_apart_all_of_them(tmp_path: Path) -> None:
    world = make_world(59, clips=6, families=("order", "lift"))
    render_world(world, tmp_path / "world")
    read = {}
    for file in scan(tmp_path / "world" / "videos").files:
        frames = ingest(str(file.path), str(tmp_path / "store"), MediaSettings()).frames
        lines = read_lines(frames.frames, frames.duration_s, EvidenceSettings())
        read[file.video_id] = [line.text for line in sorted(lines, key=lambda line: line.start)]
    twins = [
        (clip.video_id, other["video_id"])
        for clip in world.clips
        for other in truth_record(clip)["relations"]
        if other["kind"] == "chiral_twin"
    ]
    assert len(twins) >= 4
    for one, other in twins:
        assert sorted(read[one]) and read[one] != read[other], (one, other)
