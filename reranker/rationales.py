"""The teacher's reasoning as a second target of stage 2: the model learns to write it, in place of its answer.

Scores are read right after `<answer>`, so nothing is written where a video is ranked. What is learned is what the
prompt of a pair is answered with where that tag is not given.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor
from torch.nn.functional import cross_entropy

from hardcut.teacher.local.pair_prompt import Shown, clips_of, pair_text, video_inputs
from hardcut.teacher.prompts.control_tokens import part
from hardcut.teacher.prompts.question import PREFILL

IGNORED = -100
"""The label of a token that is not learned, as transformers has it."""
Rationale = tuple[str, Shown, str | None]
"""A query, what is shown of it, and the teacher's reasoning; None: the pair is shown, and nothing of it is learned."""


def rationale_inputs(processor: Any, rationales: Sequence[Rationale], most: int) -> dict[str, Any]:
    """Pairs with their reasoning as one padded batch. Only the reasoning, at most so many tokens of it, and the end
    behind it have labels."""
    tokenizer = processor.tokenizer
    texts, lengths = [], []
    for query, shown, reasoning in rationales:
        tokens = tokenizer.encode(part(tokenizer, reasoning or ""), add_special_tokens=False)[:most]
        written = tokenizer.decode(tokens)
        lengths.append(len(tokenizer.encode(written, add_special_tokens=False)) + 1 if reasoning else 0)
        prompt = pair_text(processor, query, len(clips_of(shown)) > 1).removesuffix(PREFILL)
        texts.append(prompt + written + tokenizer.eos_token)
    inputs = dict(video_inputs(processor, texts, [clip for _, shown, _ in rationales for clip in clips_of(shown)]))
    labels = inputs["input_ids"].clone()
    for row, length in enumerate(lengths):  # rows are padded on the left
        labels[row, : labels.shape[1] - length] = IGNORED
    return {**inputs, "labels": labels}


def learned(inputs: Mapping[str, Any]) -> float:
    """How many tokens are learned."""
    return float((inputs["labels"] != IGNORED).sum())


def rationale_loss(network: Any, inputs: Mapping[str, Any], tokens: float) -> Tensor:
    """Next-token loss over the reasoning; divided by the `tokens` of the whole step, of which these are a part. A batch
    with nothing to learn goes through the network too, for 0: every process makes every pass."""
    given = {name: value for name, value in inputs.items() if name != "labels"}
    labels = inputs["labels"]
    found = (labels != IGNORED).any(0).nonzero()
    last = labels.shape[1] - int(found[0]) + 1 if len(found) else 2  # logits of the prompt would fill the memory
    logits = network(**given, logits_to_keep=last).logits[:, :-1].float().transpose(1, 2)
    summed = cross_entropy(logits, labels[:, 1 - last :], ignore_index=IGNORED, reduction="sum")
    return summed / max(tokens, 1)
