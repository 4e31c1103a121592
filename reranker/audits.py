"""What a figure could hide: scores that follow from the video or the words alone, and queries of the training.
Pure; reads no file."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from hardcut.report.statistics.agreement import share_interval
from hardcut.report.statistics.shortcuts import FOLDS, PAIRS, is_sampled, r2_from, r2_tells, video_word
from hardcut.report.statistics.sides import Sides, audit
from hardcut.reranker.facts import DatasetFacts, NuanceBlock, QueryFacts
from hardcut.reranker.results import BlockPasses, Diagnostic, PriorResult
from hardcut.schemas.ids import digest
from hardcut.schemas.trec import Qrels, Run

REPEATS = 5
"""Queries that a video must be scored for, for its mean to be told from its other pairs: with fewer, a prior of R2 .90
would be found as less than .84 (the shrinkage of ridge regression at 0.8 * 5 pairs)."""
TRAINING = "train"


def prior(qrels: Qrels, run: Run, facts: DatasetFacts) -> PriorResult:
    """How much of the scores a model knows that sees only which video it is, or only the query's words.

    The first is fitted on whole videos, those scored for enough queries, the second on whole queries; both by hash.
    """
    scored = [(query, video, score) for query in sorted(qrels) for video, score in sorted(run.get(query, {}).items())]
    counts = Counter(video for _, video, _ in scored)
    repeated = [row for row in scored if counts[row[1]] >= REPEATS]
    by_video = [row for row in repeated if _is_sampled(row[1], len(repeated))]
    by_query = [row for row in scored if is_sampled(row[0], len(scored))]
    video_only, video_note = _from_video(by_video)
    query_only, query_note = _from_words(by_query, facts)
    return PriorResult(
        pairs=len(by_query),
        video_pairs=len(by_video),
        videos=len({video for _, video, _ in by_video}),
        video_only=video_only,
        query_only=query_only,
        note="; ".join(dict.fromkeys(note for note in (video_note, query_note) if note)),
    )


Scored = Sequence[tuple[str, str, float]]


def _from_video(rows: Scored) -> tuple[float | None, str]:
    """R2 from the video alone, or why there is none."""
    if not r2_tells(len(rows)):
        what = f"videos that are scored for {REPEATS} queries or more"
        return None, f"could not look: {len(rows)} scored pairs of {what} are too few to tell"
    if len({score for *_, score in rows}) < 2:
        return None, "could not look: all scores are the same"
    if len({video for _, video, _ in rows}) < 2:
        return None, "could not look: one video alone is scored often enough"
    return r2_from([video_word(video) for _, video, _ in rows], [score for *_, score in rows]), ""


def _from_words(rows: Scored, facts: DatasetFacts) -> tuple[float | None, str]:
    """R2 from the query's words alone, or why there is none."""
    queries = [query for query, *_ in rows]
    if not r2_tells(len(rows)):
        return None, f"could not look: {len(rows)} scored pairs are too few to tell"
    if len({score for *_, score in rows}) < 2:
        return None, "could not look: all scores are the same"
    if len(set(queries)) < FOLDS:
        return (
            None,
            f"could not look: {len(set(queries))} queries are too few to tell by their words, {FOLDS} are needed",
        )
    if any(query not in facts.queries for query in queries):
        return None, "could not look: the queries' words are not known: name the dataset that has them (--dataset)"
    return r2_from([facts.queries[query].text for query in queries], [score for *_, score in rows], queries), ""


def _is_sampled(video_id: str, pairs: int) -> bool:
    """Whether a model is fitted on this video, where there are so many pairs in all."""
    return int(digest("video", video_id)[:8], 16) < min(1.0, PAIRS / max(1, pairs)) * 16**8


def evaluated_splits(qrels: Qrels, facts: DatasetFacts) -> tuple[str, ...]:
    """The splits of the qrels' queries; none where the dataset knows none of them."""
    return tuple(sorted({facts.queries[query].split for query in qrels if query in facts.queries}))


def diagnostic(run: Run, facts: DatasetFacts, splits: Sequence[str]) -> Diagnostic | None:
    """The blocks of these splits. None where the run scores both queries of no block: it was not asked."""
    by_change: defaultdict[str, list[NuanceBlock]] = defaultdict(list)
    blocks = [block for block in facts.blocks if block.split in splits or not splits]
    for block in blocks:
        by_change[block.change].append(block)
    changes = {change: _passes(run, facts, by_change[change]) for change in sorted(by_change)}
    if len(changes) > 1:
        changes["all"] = _passes(run, facts, blocks)
    found = Diagnostic(splits=tuple(splits), changes=changes)
    return found if any(of.scored for of in changes.values()) else None


def _passes(run: Run, facts: DatasetFacts, blocks: Sequence[NuanceBlock]) -> BlockPasses:
    scored = passed = mirrored = mirrored_passed = 0
    for block in blocks:
        one, other = (facts.score(run, side, block.video_id) for side in (block.answered, block.unanswered))
        if one is None or other is None:
            continue
        scored += 1
        passed += one > other
        if block.mirror is not None:
            there, back = (facts.score(run, side, block.mirror) for side in (block.answered, block.unanswered))
            if there is not None and back is not None:
                mirrored += 1
                mirrored_passed += one > other and back > there and one > there and back > other
    texts = [Sides(f"{block.answered} {block.unanswered}", *block.texts, block.video_id) for block in blocks]
    told = audit(texts) if all(all(block.texts) for block in blocks) else None
    return BlockPasses(
        blocks=len(blocks),
        scored=scored,
        passed=passed,
        interval=share_interval(passed, scored),
        mirrored=mirrored,
        mirrored_passed=mirrored_passed,
        mirrored_interval=share_interval(mirrored_passed, mirrored),
        text_alone=told.worst[1] if told else None,
    )


def leaked(queries: Iterable[str], facts: DatasetFacts) -> tuple[str, ...]:
    """Those of some queries whose text, but for case and punctuation, a query of the split `train` has too. Queries
    that are themselves of that split are none: nobody holds them for held out. Composed queries that start from two
    videos are two, whatever their words."""

    def asked(query: QueryFacts) -> tuple[str, str | None]:
        return _words(query.text), query.reference

    trained = {asked(query) for query in facts.queries.values() if query.split == TRAINING and _words(query.text)}
    known = ((id, facts.queries[id]) for id in sorted(queries) if id in facts.queries)
    return tuple(id for id, query in known if query.split != TRAINING and asked(query) in trained)


def _words(text: str) -> str:
    return " ".join(re.findall(r"[\w']+", unicodedata.normalize("NFKC", text).casefold()))
