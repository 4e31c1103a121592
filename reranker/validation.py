"""How well a model in training ranks the validation split: every video encoded once for all of its queries."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from hardcut.reranker.clips import Clips
from hardcut.reranker.examples import Validation
from hardcut.reranker.measures import ndcg
from hardcut.reranker.model import Reranker
from hardcut.schemas.trec import Run
from hardcut.teacher.local.pair_prompt import read_clip
from hardcut.teacher.local.shared_prefix import SharedPrefix

_BATCH = 16


def rank(reranker: Reranker, validation: Validation, clips: Clips, frames: int, accelerator: Any = None) -> Run:
    """The scores of all judged pairs; with an accelerator each process takes its share of the videos."""
    from accelerate.utils import gather_object

    asked: defaultdict[str, list[str]] = defaultdict(list)
    for query, grades in validation.qrels.items():
        for video in grades:
            asked[video].append(query)
    mine = sorted(asked)
    if accelerator is not None:
        mine = mine[accelerator.process_index :: accelerator.num_processes]
    reranker.network.eval()
    prefix = SharedPrefix(reranker.network, reranker.processor, _BATCH)
    found = []
    for video in mine:
        clip = read_clip(clips.frames(validation.videos[video], frames))
        texts = [validation.queries[query] for query in asked[video]]
        values = prefix.logprobs(prefix.prepare_pairs(clip, texts), reranker.answers)
        found += [(query, video, yes - no) for query, (yes, no) in zip(asked[video], values, strict=True)]
    if accelerator is not None and accelerator.num_processes > 1:
        found = gather_object(found)
    run: defaultdict[str, dict[str, float]] = defaultdict(dict)
    for query, video, score in found:
        run[query][video] = score
    return dict(run)


def measure(reranker: Reranker, validation: Validation, clips: Clips, frames: int, accelerator: Any = None) -> float:
    """nDCG@10 over all queries of the split."""
    return ndcg(validation.qrels, rank(reranker, validation, clips, frames, accelerator))
