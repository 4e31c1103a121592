"""Blocks of unseen worlds: nothing in their text tells the answered side, and what is planted there is found."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import pytest

pytest.importorskip("espeakng_loader", reason='worlds are made with pip install "hardcut[render]"')

from hardcut.data.world import make_world
from hardcut.report.statistics.sides import Sides, audit, told_by_text
from hardcut.schemas.records import Query, Sampling, Video
from hardcut.schemas.settings import CounterfactualSettings
from hardcut.synth.counterfactuals import CounterfactualStage
from hardcut.synth.judges import Judge
from hardcut.teacher.rules.teacher import EvidenceTeacher
from tests.synth.test_counterfactuals import changed, neighbours_of, written_for

SAMPLING = Sampling(max_frames=4)
Blocks = dict[str, list[Sides]]


async def blocks_of(
    seed: int, teacher: str, worlds: ModuleType, make_video: Callable[..., Video], no_frames: Any
) -> tuple[Blocks, Blocks]:
    """The blocks of a world that nobody tuned to, by change; and of its denials, the denial against its own query, as
    it would be without an answered side."""
    world = make_world(seed, clips=150, scripts=("latin",))
    scripted = worlds.WorldTeacher(world, seed=seed, writer=0.12, judge=0.05)
    writer = EvidenceTeacher() if teacher == "evidence" else scripted
    units = await written_for(world, worlds, make_video, writer, no_frames)
    stage = CounterfactualStage(
        writer, [Judge(writer, SAMPLING)], no_frames, SAMPLING, CounterfactualSettings(), neighbours_of(units)
    )
    made, _ = await changed(stage, units)
    known = {query.query_id: query for *_, queries in units.values() for query in queries}
    denials = {query.parent_query_id: query for query in made if query.variant == "negated_absent"}
    found: defaultdict[str, list[Sides]] = defaultdict(list)
    bare: defaultdict[str, list[Sides]] = defaultdict(list)
    for query in made:
        if query.variant == "negated_absent":
            continue
        parent = known[query.parent_query_id or ""]
        answered = denials[query.parent_query_id] if query.variant == "negated" else parent
        found[query.variant].append(sides(answered, query))
        if query.variant == "negated" and parent.kind != "negation":
            bare[query.variant].append(sides(parent, query))
    return found, bare


def sides(answered: Query, unanswered: Query) -> Sides:
    return Sides(unanswered.query_id, answered.text, unanswered.text, unanswered.source_video_id or "")


def independent(pairs: Sequence[Sides]) -> float:
    """Another auditor: naive Bayes over the single words of whole texts, by folds of videos, of its own few lines."""
    parts = sorted({pair.part for pair in pairs})
    random.Random(0).shuffle(parts)
    fold = {part: place % 5 for place, part in enumerate(parts)}
    right = 0.0
    for place in range(5):
        counts: defaultdict[str, list[float]] = defaultdict(lambda: [1.0, 1.0])
        for pair in pairs:
            if fold[pair.part] != place:
                for side, text in enumerate((pair.answered, pair.unanswered)):
                    for word in set(text.lower().split()):
                        counts[word][side] += 1
        for pair in pairs:
            if fold[pair.part] == place:
                one, other = (
                    sum(counts[word][0] / sum(counts[word]) - 0.5 for word in set(text.lower().split()))
                    for text in (pair.answered, pair.unanswered)
                )
                right += 1.0 if one > other + 1e-9 else 0.5 if one > other - 1e-9 else 0.0
    return right / len(pairs)


@pytest.mark.parametrize("teacher", ["evidence", "scripted"])
@pytest.mark.parametrize("seed", [501, 502, 503])
async def test_no_auditor_tells_the_sides(
    worlds: ModuleType, make_video: Callable[..., Video], no_frames: Any, seed: int, teacher: str
) -> None:
    found, bare = await blocks_of(seed, teacher, worlds, make_video, no_frames)
    whole = audit(bare["negated"])
    assert whole is not None and whole.worst[1] > 0.9, "a denial against its own query is told by its words"
    for change in ("reversed", "negated", "facet_changed"):
        gone = told_by_text(found[change])
        kept = [pair for pair in found[change] if pair not in gone]
        before, after, other = audit(found[change]), audit(kept), independent(kept)
        assert before is not None and after is not None
        print(
            f"\n{teacher} {seed} {change}: {len(found[change])} blocks, before {before.worst}, kept {len(kept)}, "
            f"after {after.worst}, another auditor {other:.3f}, chance reaches {0.5 + after.reach:.3f}"
        )
        assert after.by_chance and other <= 0.5 + 1.5 * after.reach
        assert len(kept) >= 0.5 * len(found[change]), "most blocks are made so that they can be used"


async def test_every_planted_shortcut_is_found(
    worlds: ModuleType, make_video: Callable[..., Video], no_frames: Any
) -> None:
    """A stock word on a share of one side, or a few words more: 20 of 20, and nothing in the clean blocks."""
    found, _ = await blocks_of(504, "evidence", worlds, make_video, no_frames)
    clean = [pair for change in found.values() for pair in change]
    gone = told_by_text(clean)
    clean = [pair for pair in clean if pair not in gone]
    seen = 0
    for number in range(20):
        rng = random.Random(number)
        planted = [plant(pair, number, rng) for pair in clean]
        told = audit(planted)
        assert told is not None
        seen += not told.by_chance
    assert seen == 20
    told = audit(clean)
    assert told is not None and told.by_chance


def plant(pair: Sides, number: int, rng: random.Random) -> Sides:
    """In half of the blocks: a word of no meaning here (10 words), or the other side's length."""
    if rng.random() < 0.5:
        return pair
    word = f"{['certainly', 'evidently', 'obviously', 'actually', 'plainly'][number % 5]}"
    more = f"{pair.unanswered} {word}" if number < 10 else f"{pair.unanswered} in the whole of it {number % 7}"
    if number % 2:
        return Sides(pair.id, pair.answered, more, pair.part)
    return Sides(pair.id, more.replace(pair.unanswered, pair.answered), pair.unanswered, pair.part)
