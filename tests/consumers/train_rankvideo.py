"""RANKVIDEO: its own second stage takes three steps on our files, from a checkout: `python train_rankvideo.py EXPORTS
MODEL CHECKOUT`.

Reading, filtering, batches, collator and loss are its own. TRL's trainer around them is not, which wants a GPU's
settings; the model is a small one of random weights.
"""

from __future__ import annotations

import os
import sys
from itertools import islice
from pathlib import Path
from types import SimpleNamespace

from consumer import FOLDER, TRUTH, Shown, blob, judged, report

os.environ["FORCE_QWENVL_VIDEO_READER"] = "decord"
MODEL, CODE = sys.argv[2], Path(sys.argv[3])
sys.path.insert(0, str(CODE))
import config  # noqa: E402
import torch  # noqa: E402
from datasets import load_dataset  # noqa: E402
from rankvideo import train_reranker  # noqa: E402
from transformers import AutoProcessor, Qwen3VLForConditionalGeneration  # noqa: E402

STEPS = 3


def rows_of(split: str):  # type: ignore[no-untyped-def]
    """A file as its `main` reads it: mapped to messages, what has no video filtered out."""
    path = str(FOLDER / "rankvideo" / f"{split}.jsonl")
    raw = load_dataset("json", data_files=path, split="train", cache_dir=str(FOLDER / "cache"))
    kept = {"messages", "query_id", "doc_id", "teacher_label", "true_label", "teacher_p_yes"}
    rows = raw.map(
        lambda row: train_reranker.build_messages(row, config.FPS, 4),
        remove_columns=[name for name in raw.column_names if name not in kept],
    ).filter(train_reranker.valid_example)
    assert len(rows) == TRUTH["counts"]["rankvideo"][f"{split}.jsonl"], "its filter left rows out"
    return rows


if __name__ == "__main__":
    lines = (FOLDER / "rankvideo" / "queries.tsv").read_text("utf-8").splitlines()  # as its rerank.py takes them apart
    queries = {parts[0]: parts[1] for parts in (line.strip().split("\t") for line in lines)}
    shown = []
    for split in ("train", "validation", "test"):
        for row in rows_of(split):
            parts = row["messages"][1]["content"]
            assert [part["type"] for part in parts] == ["video", "text"]
            assert parts[1]["text"] == train_reranker.USER_PROMPT.format(query=queries[row["query_id"]])
            answer = row["messages"][2]["content"][0]["text"]
            assert answer == f"<answer>{'yes' if row['true_label'] else 'no'}</answer>"
            assert (row["teacher_p_yes"] > 0.5) == bool(row["true_label"]), "the teacher's word is there"
            shown.append(Shown(split, queries[row["query_id"]], (parts[0]["video"],)))

    rows = rows_of("train")
    processor = AutoProcessor.from_pretrained(MODEL)
    model = Qwen3VLForConditionalGeneration.from_pretrained(MODEL, dtype=torch.float32)
    before = {name: value.detach().clone() for name, value in model.named_parameters() if ".visual." in name}
    prefix = processor.tokenizer.encode("<|im_start|>assistant\n", add_special_tokens=False)
    collator = train_reranker.RerankerCollator(processor, prefix, config.FPS, config.NFRAMES)
    ids, positives, negatives = train_reranker.build_query_index(rows)
    batches = train_reranker.QueryGroupedBatchSampler(ids, positives, negatives, num_negs=2)
    trainer = SimpleNamespace(
        yes_token_id=collator.yes_token_id, no_token_id=collator.no_token_id, tau_rank=config.TAU_RANK,
        tau_distill=config.TAU_DISTILL, tau_point=config.TAU_POINT, lambda_distill=config.LAMBDA_DISTILL,
        lambda_point=config.LAMBDA_POINT,
    )  # fmt: skip
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3)
    for batch in islice(batches, STEPS):
        inputs = collator([rows[at] for at in batch])
        assert inputs["binary_labels"].sum() == 1 and len(batch) == 3, "one positive and its negatives"
        assert (inputs["teacher_p_yes"] >= 0).all() and (inputs["answer_logit_pos"] > 0).all()
        loss = train_reranker.PairwiseRerankerTrainer.compute_loss(trainer, model, inputs)
        assert torch.isfinite(loss)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    after = dict(model.named_parameters())
    moved = sum(not torch.equal(after[name], value) for name, value in before.items())
    assert moved > len(before) / 2, "the weights that look at pictures have learned"
    told = {**judged(shown), "a video is a video": "yes, 3 steps trained"}
    report("RANKVIDEO", {"rankvideo": told}, blob(CODE / "rankvideo" / "train_reranker.py"))
