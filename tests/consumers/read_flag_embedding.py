"""FlagEmbedding: its reranker's own data set, with the teacher's scores. It holds texts alone."""

from __future__ import annotations

from types import SimpleNamespace

import torch.distributed
from consumer import FOLDER, TRUTH, report
from FlagEmbedding.abc.finetune.reranker import AbsRerankerTrainDataset


class _Words:
    """In place of a tokenizer: keeps the text."""

    pad_token_id = 0

    def encode(self, text: str, **_: object) -> list[str]:
        return [text]

    def prepare_for_model(self, query: list[str], document: list[str], **_: object) -> dict[str, object]:
        return {"query": query[0], "document": document[0]}


if __name__ == "__main__":
    # Before 1.4 it asks for the rank, as in a process that torchrun has started.
    torch.distributed.init_process_group("gloo", store=torch.distributed.HashStore(), rank=0, world_size=1)
    path = FOLDER / "flag-embedding" / "train.scored.jsonl"
    arguments = SimpleNamespace(
        train_data=[str(path)], cache_path=str(FOLDER / "cache"), knowledge_distillation=True, train_group_size=3,
        query_instruction_for_rerank=None, passage_instruction_for_rerank=None, max_example_num_per_dataset=10**6,
        shuffle_ratio=0.0, query_max_len=32, passage_max_len=64, sep_token="\n", query_instruction_format="{}{}",
        passage_instruction_format="{}{}",
    )  # fmt: skip
    rows = AbsRerankerTrainDataset(arguments, _Words())
    assert len(rows) == TRUTH["counts"]["flag-embedding"]["train.scored.jsonl"] > 0
    for number in range(len(rows)):
        texts, scores = rows[number]
        assert scores[0] > max(scores[1:]) and len(texts) == 3
        assert all(text["document"].startswith("Caption") for text in texts), texts
        assert TRUTH["composed"] not in texts[0]["query"]
    told = {"a video is a video": "a text of it", "composed queries": "left out", "no later split's video": "yes"}
    report("FlagEmbedding", {"flag-embedding": told})
