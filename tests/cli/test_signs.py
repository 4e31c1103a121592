"""Real clips of one person signing: what the evidence teacher cannot tell apart goes to people and is not guessed."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from pathlib import Path
from typing import TypeVar

import pytest

pytest.importorskip("rapidocr", reason='needs pip install "hardcut[ocr]"')
pytest.importorskip("bm25s", reason='needs pip install "hardcut[eval]"')

from hardcut.engine.progress import NullProgress
from hardcut.engine.status import read_status
from hardcut.pipeline.cache import Cache
from hardcut.pipeline.carry_out import Job, carry_out
from hardcut.pipeline.stages import STAGES
from hardcut.schemas.base import Record
from hardcut.schemas.jsonl import read_records
from hardcut.schemas.judgments import Judgment
from hardcut.schemas.records import Caption, Dropped, Evidence, Pair, Query, TeacherLabel
from hardcut.schemas.settings import Settings
from hardcut.schemas.twin import Twin
from hardcut.teacher.prompts.inputs import EvidenceLine
from hardcut.teacher.rules.judge import SURE, EvidenceJudge

SIGNS = Path(__file__).resolve().parents[3] / "shared" / "videos" / "signs"
R = TypeVar("R", bound=Record)
FOR_PEOPLE = {"uncertain", "suspected_positive", "uncertain_positive"}

pytestmark = pytest.mark.skipif(not SIGNS.is_dir(), reason=f"the clips of {SIGNS.name} are not beside this checkout")


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("signs")
    asyncio.run(carry_out(Job(SIGNS, folder / "run", Settings(), Cache(folder / "cache")), NullProgress()))
    return folder / "run"


def read(run: Path, kind: type[R]) -> dict[str, R]:
    return {record.id: record for record in read_records(run / kind.FILE, kind)}


def test_the_chain_runs_through(run: Path) -> None:
    status = read_status(run)
    assert status.finished and [stage.name for stage in status.stages] == [
        entry.name for entry in STAGES if entry.name not in ("user_queries", "triplets", "rewrites")
    ]
    assert not any(stage.failed for stage in status.stages) and read(run, Query)


def test_no_twins_are_made_of_noise(run: Path) -> None:
    assert read(run, Twin) == {}


def test_what_cannot_be_told_apart_is_left_to_people(run: Path) -> None:
    """A label stands only where it does not hang on anything unsure: taken as certain, or taken away, it stays."""
    pairs, judgments, queries = read(run, Pair), read(run, Judgment), read(run, Query)
    reasons = {dropped.item: dropped.reason for dropped in read(run, Dropped).values() if dropped.item in pairs}
    margins = {label.pair_id: label.logit_margin for label in read(run, TeacherLabel).values() if label.input == "full"}
    lines: defaultdict[str, list[EvidenceLine]] = defaultdict(list)
    for line in read(run, Evidence).values():
        start, end = (line.span.start, line.span.end) if line.span else (None, None)
        fields = {"id": line.evidence_id, "kind": line.kind, "text": line.text, "start": start, "end": end}
        lines[line.video_id].append(EvidenceLine.model_validate({**fields, "confidence": line.confidence}))
    captions = {caption.video_id: caption.text for caption in read(run, Caption).values()}
    table = Counter(
        (pair.expected, f"grade {judgments[id].grade}" if id in judgments else reasons[id])
        for id, pair in pairs.items()
    )
    print(dict(table))
    assert set(judgments) | set(reasons) == set(pairs)
    assert sum(table[expected, reason] for expected, reason in table if reason in FOR_PEOPLE) >= 0.25 * len(pairs)
    for pair_id, pair in pairs.items():
        if pair_id in judgments:
            grade = judgments[pair_id].grade
            assert bool(grade) == (pair.expected == "yes"), "nothing but its own source is taken to answer a query"
            certain = [line.model_copy(update={"confidence": None}) for line in lines[pair.video_id]]
            sure = [line for line in lines[pair.video_id] if (line.confidence or 1.0) >= SURE.get(line.kind, 0.0)]
            text = queries[pair.query_id].text
            whole = EvidenceJudge(certain, captions[pair.video_id]).judge(text).margin
            least = EvidenceJudge(sure, None).judge(text).margin
            assert (whole > 0, least > 0) == (bool(grade), bool(grade)), (pair.video_id, text)
        elif reasons[pair_id] == "uncertain":
            margin = margins[pair_id]
            assert margin is not None and abs(margin) < Settings().judgments.undecided_within
