"""How well a model in training does on the validation split: every video encoded once for all of its queries."""

from __future__ import annotations

from collections import defaultdict
from statistics import fmean as mean
from typing import Any

from hardcut.reranker.clips import ClipReader, stand_in
from hardcut.reranker.examples import ClipRef, Validation
from hardcut.reranker.measures import ndcg
from hardcut.reranker.model import Reranker
from hardcut.reranker.sharding import is_sharded
from hardcut.schemas.trec import Run
from hardcut.teacher.local.pair_prompt import Shown
from hardcut.teacher.local.pair_scoring import PairScorer

NDCG, BLOCKS, BOTH = "ndcg@10", "blocks", "mean of ndcg@10 and blocks"
"""The figures, by the names that logs and `train.json` have."""
_BATCH = 16


def rank(reranker: Reranker, validation: Validation, reader: ClipReader, accelerator: Any = None) -> Run:
    """The scores of all pairs whose video can be read; with an accelerator each process takes its share of them."""
    from accelerate.utils import gather_object

    asked: defaultdict[tuple[str, str], list[str]] = defaultdict(list)  # by the video, and what its queries start from
    for query, video in sorted(validation.pairs):
        start = validation.references.get(query)
        asked[video, start.video_id if start else ""].append(query)
    starts = {start.video_id: start for start in validation.references.values()}
    processes, mine = (1, 0) if accelerator is None else (accelerator.num_processes, accelerator.process_index)
    order = sorted(asked, key=lambda shown: (-len(asked[shown]), shown))  # those of as many queries side by side
    in_step = processes > 1 and is_sharded(reranker.network)
    reranker.network.eval()
    scorer = PairScorer(reranker.network, reranker.processor, _BATCH)
    found = []
    for at in range(0, len(order), processes):
        together = order[at : at + processes]
        own = together[mine : mine + 1]
        clip = _read(reader, validation.videos[own[0][0]], starts.get(own[0][1])) if own else None
        # Without a clip the pairs of a video have no score: they rank last, and its blocks are not told apart.
        queries = asked[own[0]] if clip is not None else []
        texts = [validation.queries[query] for query in queries]
        if in_step:  # with weights in parts a pass of one process is a pass of all
            clip = clip or stand_in()
            texts += ["" if not texts else texts[0]] * (len(asked[together[0]]) - len(texts))
        if clip is not None:
            values = scorer.logprobs(scorer.prepare(clip, texts), reranker.answers)
            found += [(query, own[0][0], yes - no) for query, (yes, no) in zip(queries, values, strict=False)]
    if accelerator is not None and accelerator.num_processes > 1:
        found = gather_object(found)
    run: defaultdict[str, dict[str, float]] = defaultdict(dict)
    for query, video, score in found:
        run[query][video] = score
    return dict(run)


def _read(reader: ClipReader, video: ClipRef, start: ClipRef | None) -> Shown | None:
    """None where one of them cannot be read."""
    clip, reference = reader.read(video), reader.read_reference(start)
    if clip is None or (start is not None and reference is None):
        return None
    return clip if reference is None else (reference, clip)


def measure(
    reranker: Reranker, validation: Validation, reader: ClipReader, accelerator: Any = None
) -> dict[str, float]:
    """What a model reaches on the split; see `figures`."""
    return figures(validation, rank(reranker, validation, reader, accelerator))


def figures(validation: Validation, run: Run) -> dict[str, float]:
    """nDCG@10 over all queries of the split. Where it has blocks, also the share of them whose answered side scores
    higher, as the mean over their changes; and the mean of both.

    Either alone chooses wrongly: groups are learned first, so nDCG is at its best before a model can tell directions
    apart (docs/curriculum.md).
    """
    found = {NDCG: ndcg(validation.qrels, run)}
    if validation.blocks:
        right: defaultdict[str, list[bool]] = defaultdict(list)
        for block in validation.blocks:
            sides = [run.get(side, {}).get(block.video_id) for side in (block.answered, block.unanswered)]
            right[block.change].append(None not in sides and sides[0] > sides[1])  # type: ignore[operator]
        found[BLOCKS] = mean(mean(of) for of in right.values())
        found[BOTH] = mean((found[NDCG], found[BLOCKS]))
    return found


def chosen_by(validation: Validation) -> str:
    """The figure that chooses the best checkpoint."""
    return BOTH if validation.blocks else NDCG
