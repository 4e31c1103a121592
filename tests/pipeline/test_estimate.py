"""What a plan says of calls whose records do not exist yet, held against what the stage asks."""

from __future__ import annotations

import asyncio
import shutil
import tarfile
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hardcut.engine.stage import Unit
from hardcut.pipeline.estimate import _estimated
from hardcut.pipeline.preview import RunRecords
from hardcut.schemas.jsonl import read_records
from hardcut.schemas.records import Caption, Evidence, Sampling, TeacherRef, Video
from hardcut.schemas.settings import Settings
from hardcut.synth.queries import QueryStage
from hardcut.teacher.protocol import Outcome, Request
from hardcut.teacher.rules.teacher import EvidenceTeacher

INPUTS = Path(__file__).parents[1] / "golden" / "inputs.tar.xz"


class Counting(EvidenceTeacher):
    """Counts what it is asked, with frames and without."""

    def __init__(self) -> None:
        self.asked = [0, 0]

    async def complete(self, requests: Sequence[Request]) -> list[Outcome]:
        for request in requests:
            self.asked[not request.frames] += request.task == "queries"
        return await super().complete(requests)


class OneFrame:
    sampling = "one"

    def leased(self, video: Video) -> Any:
        from contextlib import nullcontext

        from hardcut.media.frames import Frame, FrameSet

        return nullcontext(FrameSet((Frame(Path("0.jpg"), 0.0, "0" * 64),), video.duration_s, True))


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run over nine clips that came to its evidence; its captions beside it."""
    folder = tmp_path_factory.mktemp("inputs")
    with tarfile.open(INPUTS) as packed:
        packed.extractall(folder, filter="data")
    (folder / "run").mkdir()
    for kind in (Video, Evidence):
        shutil.copy(folder / "records" / kind.FILE, folder / "run")
    return folder


def test_with_evidence_the_calls_for_queries_are_exact(known: Path) -> None:
    records = RunRecords(known / "run")
    files: Any = [SimpleNamespace(video_id=id, metadata={}) for id in records.videos]
    settings = Settings.model_validate({"teacher": {"spec": "openai:m@http://127.0.0.1:9/v1"}})
    found = _estimated(settings, records, files)["queries", settings.teacher]
    teacher = Counting()
    stage = QueryStage(teacher, OneFrame(), Sampling(), settings.queries)  # type: ignore[arg-type]
    captions = {each.video_id: each for each in read_records(known / "records" / Caption.FILE, Caption)}
    for video_id in records.videos:
        told = [each for each in records.reference(video_id).records if not isinstance(each, Caption)]
        caption = captions.get(video_id) or Caption.create(
            video_id=video_id, text="-", teacher=TeacherRef(backend="t", model="t")
        )
        asyncio.run(stage.run(Unit(video_id, (*told, caption))))
    assert [found.shown, found.text_only] == teacher.asked and sum(teacher.asked) < 5 * len(files)


def test_before_there_is_evidence_every_view_counts_but_metadata_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    files: Any = [
        SimpleNamespace(video_id="a", metadata={"title": "A mill"}),
        SimpleNamespace(video_id="b", metadata={}),
    ]
    settings = Settings()
    found = _estimated(settings, RunRecords(tmp_path / "run"), files)
    assert (found["queries", settings.teacher].shown, found["queries", settings.teacher].text_only) == (2, 4 + 3)
    assert found["counterfactuals", settings.teacher].shown == 2 * 4 * (1 + 4), "written, and judged in four variants"
