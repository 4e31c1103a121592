"""Several queries of one video as one row, in training: the video is encoded once, and so is all that they share.

A row begins with what its prompts have in common (system text, video, and what of the text is the same). The rest of
each prompt follows. Each of them sees what is shared and itself, at the positions that it has in a row of its own. So
scores and gradients are those of rows of their own. No keys and values are kept from one pass to the next: unlike
`SharedPrefix`, it works under gradient checkpointing.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from hardcut.teacher.local.pair_prompt import Shown, shows_video_first
from hardcut.teacher.local.shared_prefix import can_share, share_pairs

WHOSE, ENDS = "whose", "ends"
"""What packed rows have beside the inputs of a model. `whose`, [rows, tokens]: 0 for a token that all queries of a row
share, k for one of the k-th query, -1 for padding. `ends`, [pairs, 2]: row and column of each query's last token."""
_PADDING = -1
_SDPA, _EAGER = "sdpa", "eager"


def attention_of(network: Any) -> str:
    """The name that transformers has for how the language model computes attention."""
    return str(network.config.get_text_config()._attn_implementation)


def can_pack(network: Any, processor: Any) -> bool:
    """Whether a model can keep the queries of a row apart. That takes an attention mask of its own for every token:
    `sdpa` and `eager` take one, flash attention does not."""
    if not can_share(network, processor) or not shows_video_first(processor):
        return False
    return attention_of(network) in (_SDPA, _EAGER)


def packed_inputs(processor: Any, asked: Sequence[tuple[Shown, Sequence[str]]]) -> dict[str, Any]:
    """One row for each clip (of composed queries two) with the queries that are asked of it, padded on the left; the
    pairs are in this order."""
    prompts = [share_pairs(processor, shown, queries) for shown, queries in asked]
    rows = [each.row() for each in prompts]
    widest = max(len(whose) for _, whose in rows)
    inputs: dict[str, list[Tensor]] = {name: [] for name in rows[0][0]}
    for given, whose in rows:
        for name, value in given.items():
            if value.shape[:2] == (1, len(whose)):
                filler = processor.tokenizer.pad_token_id if name == "input_ids" else 0
                value = pad(value, (widest - len(whose), 0), value=filler)
            inputs[name].append(value)
    ends = [
        (number, widest - sum(map(len, each.endings)) + end - 1)
        for number, each in enumerate(prompts)
        for end in accumulate(map(len, each.endings))
    ]
    padded = [[_PADDING] * (widest - len(whose)) + whose for _, whose in rows]
    found = {name: torch.cat(values) for name, values in inputs.items()}
    return {**found, WHOSE: torch.tensor(padded), ENDS: torch.tensor(ends)}


def unpacked(network: Any, inputs: dict[str, Any]) -> dict[str, Any]:
    """What a model is given for packed rows: an attention mask that keeps queries apart, and positions that begin anew
    for each of them."""
    given = {name: value for name, value in inputs.items() if name not in (WHOSE, ENDS)}
    whose: Tensor = inputs[WHOSE]
    same = (whose[:, :, None] == whose[:, None, :]).tril()
    shared = whose == 0
    before = {name: value for name, value in given.items() if not name.startswith("pixel")}
    model = next(module for module in network.modules() if hasattr(module, "get_rope_index"))
    positions, _ = model.get_rope_index(**{**before, "attention_mask": shared.long()})
    last = (whose <= 0).sum(1) - 1
    start = positions[:, torch.arange(len(whose), device=whose.device), last, None] + 1
    positions = torch.where(whose > 0, start + same.sum(2) - 1, positions)
    # Padding sees itself alone: a token that sees nothing would have no attention to compute.
    seen = (shared[:, None] & torch.ones_like(same).tril()) | (same & (whose != _PADDING)[:, None])
    seen |= torch.eye(whose.shape[1], dtype=torch.bool, device=whose.device)
    mask: Tensor = seen[:, None]
    if attention_of(network) == _EAGER:  # which adds it
        mask = torch.zeros_like(mask, dtype=network.dtype).masked_fill(~mask, torch.finfo(network.dtype).min)
    return {**given, "attention_mask": mask, "position_ids": positions, "use_cache": False}
