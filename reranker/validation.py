"""How well a model in training does on the validation split: every video encoded once for all of its queries."""

from __future__ import annotations

from collections import defaultdict
from statistics import fmean as mean
from typing import Any

from hardcut.reranker.clips import ClipReader
from hardcut.reranker.examples import Validation
from hardcut.reranker.measures import ndcg
from hardcut.reranker.model import Reranker
from hardcut.schemas.trec import Run
from hardcut.teacher.local.shared_prefix import SharedPrefix

NDCG, BLOCKS, BOTH = "ndcg@10", "blocks", "mean of ndcg@10 and blocks"
"""The figures, by the names that logs and `train.json` have."""
_BATCH = 16


def rank(reranker: Reranker, validation: Validation, reader: ClipReader, accelerator: Any = None) -> Run:
    """The scores of all pairs whose video can be read; with an accelerator each process takes its share of them."""
    from accelerate.utils import gather_object

    asked: defaultdict[str, list[str]] = defaultdict(list)
    for query, video in sorted(validation.pairs):
        asked[video].append(query)
    mine = sorted(asked)
    if accelerator is not None:
        mine = mine[accelerator.process_index :: accelerator.num_processes]
    reranker.network.eval()
    prefix = SharedPrefix(reranker.network, reranker.processor, _BATCH)
    found = []
    for video in mine:
        clip = reader.read(validation.videos[video])
        if clip is None:
            continue  # its pairs have no score: they rank last, and its blocks are not told apart
        texts = [validation.queries[query] for query in asked[video]]
        values = prefix.logprobs(prefix.prepare_pairs(clip, texts), reranker.answers)
        found += [(query, video, yes - no) for query, (yes, no) in zip(asked[video], values, strict=True)]
    if accelerator is not None and accelerator.num_processes > 1:
        found = gather_object(found)
    run: defaultdict[str, dict[str, float]] = defaultdict(dict)
    for query, video, score in found:
        run[query][video] = score
    return dict(run)


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
