"""A plan that runs a sample first: what it learns, and that the sample is part of the run."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Any

import pytest

import hardcut
from hardcut.data.bundled import sample_files
from hardcut.engine.progress import NullProgress
from hardcut.engine.status import read_status
from hardcut.pipeline.cache import Cache
from hardcut.pipeline.carry_out import Job, carry_out
from hardcut.pipeline.estimate import Estimate, estimate
from hardcut.schemas.settings import Settings
from hardcut.synth.elsewhere import Ring

pytestmark = pytest.mark.timeout(900)

CLIPS, SAMPLE = 13, 6
FILES = ("videos", "evidence", "captions", "queries", "pairs", "labels", "judgments", "dropped")


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    with sample_files() as sample:
        for path in sorted((sample / "videos").rglob("*.mp4"))[:CLIPS]:
            shutil.copy(path, folder)
    return folder


def settings(server: Any) -> Settings:
    return Settings.model_validate(
        {
            "teacher": {"spec": f"openai:judge@{server.url}"},
            "queries": {"views": ("caption", "all"), "composed": 0},
            "counterfactuals": {"variants": ("facet_changed",)},
            "evidence": {"ocr": "off"},
        }
    )


def asked(run: Path) -> dict[str, int]:
    return {line.stage: line.calls for line in read_status(run).spend}


def planned(videos: Path, run: Path, server: Any, cache: Path) -> Estimate:
    return asyncio.run(estimate(videos, run, settings(server), Cache(cache)))


def test_a_sample_is_part_of_the_run_and_teaches_the_plan(videos: Path, teacher_server: Any, tmp_path: Path) -> None:
    run, cache = tmp_path / "run", tmp_path / "cache"
    before = planned(videos, run, teacher_server, cache)
    assert before.videos == CLIPS and not before.learned and not run.exists()
    job = Job(videos, run, settings(teacher_server), Cache(cache), sample=SAMPLE)
    asyncio.run(carry_out(job, NullProgress()))
    sampled = asked(run)
    known = {stage.name: stage for stage in read_status(run).stages}
    ring = Ring(path.stem for path in videos.iterdir()).videos
    assert known["captions"].done == min(CLIPS, SAMPLE + 6) and known["counterfactuals"].done == SAMPLE < len(ring)
    assert "scores" not in sampled
    plan = planned(videos, run, teacher_server, cache)
    assert plan.learned >= SAMPLE
    hardcut.run(videos, run, settings=settings(teacher_server), cache=cache)
    took, total = asked(run), sum(asked(run).values())
    paid = sum(sampled.values())
    for each in (before, plan):
        spent = 0 if each is before else paid
        assert each.between[0] <= total - spent <= each.between[1], (each.between, total - spent)
    width = [each.between[1] - each.between[0] for each in (before, plan)]
    assert width[1] < width[0] / 2, "a sample narrows it"
    assert abs(paid + plan.calls - total) < 0.25 * total, (paid, plan.calls, took)
    again = planned(videos, run, teacher_server, cache)
    assert again.calls == 0 and again.between == (0, 0), "all is known and done"
    once, other = tmp_path / "once", tmp_path / "other"
    other.mkdir()
    (other / "frames").symlink_to(cache / "frames")
    hardcut.run(videos, once, settings=settings(teacher_server), cache=other)
    assert sum(asked(once).values()) == total, "nothing was asked for the sample alone"
    for name in FILES:
        assert (once / f"{name}.jsonl").read_bytes() == (run / f"{name}.jsonl").read_bytes(), name
