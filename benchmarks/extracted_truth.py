"""Are counterfactuals unanswered, and their other sides answered, where evidence is what extractors really find?

Worlds that nobody tuned to are rendered and run up to their counterfactuals, with the teacher `evidence`. Then a
scripted writer that slips in 12 % of cases, with a judge that errs in 5 %, writes from the same extracted evidence. All
that was verified is held against the truth of the world. Counted apart are texts that the reader here does not
understand, and those about clouds and gulls, which the pictures show and the truth says nothing of.

python -m benchmarks.extracted_truth --work DIR [--seeds N ...] [--clips N] [--out FILE]
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Literal

from hardcut.data.model import World
from hardcut.data.render import render_world
from hardcut.data.truth import answers
from hardcut.data.world import make_world
from hardcut.engine.files import atomic_writer
from hardcut.engine.run_files import RunFiles
from hardcut.engine.stage import Unit
from hardcut.media.frames import FrameSet
from hardcut.schemas.records import TURNED, Evidence, Query, Sampling, Video
from hardcut.schemas.settings import CaptionSettings, CounterfactualSettings, QuerySettings
from hardcut.synth.captions import CaptionStage
from hardcut.synth.counterfactuals import CounterfactualStage
from hardcut.synth.judges import Judge
from hardcut.synth.queries import QueryStage
from tests.synth.test_counterfactuals import reading_of
from tests.synth.test_queries import DRIFT, LIGHT
from tests.synth.world_teacher import WorldTeacher, items_of

SLIPS, ERRS = 0.12, 0.05
_SAMPLING = Sampling(max_frames=0)
Told = bool | Literal["unread", "backdrop"]
"""Whether a text is answered, or why the truth cannot tell."""


class _NoFrames:
    """The teachers look at none."""

    sampling = "none"

    @asynccontextmanager
    async def _none(self, video: Video) -> Any:
        yield FrameSet((), video.duration_s, True)

    def leased(self, video: Video) -> AbstractAsyncContextManager[FrameSet]:
        return self._none(video)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.extracted_truth", description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="videos, runs and cache: kept, so that it can go on")
    parser.add_argument("--seeds", type=int, nargs="+", default=[621, 622, 623])
    parser.add_argument("--clips", type=int, default=25)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "extracted_truth.json")
    asked = parser.parse_args()
    found = {str(seed): _measured(seed, asked.clips, asked.work) for seed in asked.seeds}
    with atomic_writer(asked.out) as file:
        json.dump(found, file, indent=1)
        file.write("\n")
    print(json.dumps(found, indent=1))


def _measured(seed: int, clips: int, work: Path) -> dict[str, Any]:
    import hardcut

    world = make_world(seed, clips=clips, scripts=("latin",))
    if not (work / str(seed)).exists():
        render_world(world, work / str(seed))
    run = work / f"run{seed}"
    hardcut.run(work / str(seed) / "videos", out=run, cache=work / "cache", teacher="evidence", until="counterfactuals")
    made = [query for query in RunFiles(run).read(Query) if query.variant in TURNED]
    evidence: defaultdict[str, list[Evidence]] = defaultdict(list)
    for line in RunFiles(run).read(Evidence):
        evidence[line.video_id].append(line)
    videos = {video.video_id: video for video in RunFiles(run).read(Video)}
    by_clip = {clip.video_id: clip for clip in world.clips}

    def by_reading(query: Query) -> Told:
        clip, reading = by_clip[query.source_video_id or ""], reading_of(query.text)
        if reading is None:
            return "unread"
        if any(each.colour in LIGHT and each.direction == DRIFT[clip.backwards] for each in reading.sought):
            return "backdrop"
        return answers(clip, reading)

    teacher = WorldTeacher(world, seed=seed, writer=SLIPS, judge=ERRS)
    scripted = asyncio.run(_scripted(teacher, world, videos, evidence))
    return {
        "clips": clips,
        "evidence": _shares(made, by_reading),
        "scripted": _shares(scripted, lambda query: teacher.true_of(query.source_video_id or "", query.text)),
    }


async def _scripted(
    teacher: WorldTeacher, world: World, videos: dict[str, Video], evidence: dict[str, list[Evidence]]
) -> list[Query]:
    """What the scripted writer makes of every clip that has something to ask for and evidence."""
    frames: Any = _NoFrames()
    captions = CaptionStage(teacher, frames, _SAMPLING, CaptionSettings(check=False))
    queries = QueryStage(teacher, frames, _SAMPLING, QuerySettings(per_view=2, views=("caption", "ocr", "all")))
    judges = [Judge(teacher, _SAMPLING)]
    changing = CounterfactualStage(teacher, judges, frames, _SAMPLING, CounterfactualSettings())
    made: list[Query] = []
    for clip in world.clips:
        lines = evidence.get(clip.video_id)
        if not lines or not items_of(clip):
            continue
        teacher.knows(clip.video_id, lines)
        about: list[Any] = [videos[clip.video_id], *lines]
        about += (await captions.run(Unit(clip.video_id, tuple(about)))).records
        about += (await queries.run(Unit(clip.video_id, tuple(about)))).records
        output = await changing.run(Unit(clip.video_id, tuple(about)))
        made += [record for record in output.records if isinstance(record, Query)]
    return made


def _shares(made: Iterable[Query], answered: Callable[[Query], Told]) -> dict[str, Any]:
    """By variant: how many are answered or not as they should be, of how many that the truth can be asked about."""
    right: defaultdict[str, Counter[str]] = defaultdict(Counter)
    wrong: list[list[str]] = []
    for query in made:
        told = answered(query)
        is_right = told == (query.variant == "negated_absent")
        kind = told if isinstance(told, str) else "right" if is_right else "wrong"
        right[query.variant][kind] += 1
        right["all"][kind] += 1
        if kind == "wrong":
            wrong.append([query.source_video_id or "", query.variant, query.text])
    shares = {name: dict(sorted(counts.items())) for name, counts in sorted(right.items())}
    return {**shares, "wrong": wrong}


if __name__ == "__main__":
    main()
