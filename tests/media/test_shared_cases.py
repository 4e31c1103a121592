"""The shared cases of files that were read wrongly: cuts at any length, time stamps that start again."""

from __future__ import annotations

from pathlib import Path

import pytest

from hardcut.media.ingest import Ingested, ingest
from hardcut.schemas.settings import MediaSettings

CASES = Path(__file__).resolve().parents[3] / "shared" / "cases" / "media"

pytestmark = pytest.mark.skipif(not CASES.is_dir(), reason="no folder of shared cases beside the checkout")


def read(name: str, tmp_path: Path) -> Ingested:
    return ingest(str(CASES / name), str(tmp_path), MediaSettings(), surveyed=True)


@pytest.mark.parametrize("length_s", [57, 240, 420])
def test_a_cut_every_3_s_is_found_at_any_length(length_s: int, tmp_path: Path) -> None:
    survey = read(f"cuts{length_s}s.mp4", tmp_path).survey
    assert survey is not None
    assert survey.duration_s == pytest.approx(length_s + 1.25), "one picture a quarter of a second"
    assert [cut.time_s for cut in survey.cuts] == pytest.approx([3.0 * n for n in range(1, length_s // 3 + 1)])


def test_time_stamps_that_start_again(tmp_path: Path) -> None:
    found = read("restart.ts", tmp_path)
    assert found.frames.complete and found.frames.duration_s == pytest.approx(8.0, abs=0.1)
    assert found.survey is not None
    pictures = sum(len(burst.times) for burst in found.survey.bursts)
    assert pictures >= 95, "200 pictures, each second one of which is kept for movement"


def test_a_video_in_theora_is_intact(tmp_path: Path) -> None:
    found = read("theora.ogv", tmp_path)
    assert (found.frames.complete, found.frames.missing) == (True, ())
