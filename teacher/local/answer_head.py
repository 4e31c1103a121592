"""The logits of a few tokens in float32, whatever type a model computes in.

A model in bfloat16 has logits of 8 bits: near 20 they are an eighth apart, and many pairs of a query score alike. So
the logits that count are made anew from the last hidden state h and the rows w of the output layer: l = h . w, in
float32. Then log p(yes) - log p(no) = h . (w_yes - w_no).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

_FURTHER = ("final_logit_softcapping", "logit_scale", "logits_scaling", "logits_scale", "lm_head_multiplier")
"""What configurations of transformers call the steps that some models take after their output layer."""


def next_logprobs(model: Any, tokens: Sequence[int], inputs: Any) -> Tensor:
    """The log-probabilities of `tokens`, [rows, kept positions, tokens] in float64 on the CPU, at the positions that
    the model gives logits for. Their differences are those of logits in float32.

    A model that does more after its output layer than a product keeps the logits that it gives.
    """
    head = model.get_output_embeddings()
    hidden: list[Tensor] = []
    watch = head.register_forward_pre_hook(lambda _, given: hidden.append(given[0]))
    try:
        logits = model(**inputs).logits.float()
    finally:
        watch.remove()
    chosen = list(tokens)
    found = logits[..., chosen]
    if _is_product(model, head) and len(hidden) == 1 and hidden[0].shape[:-1] == logits.shape[:-1]:
        with torch.autocast(logits.device.type, enabled=False):
            found = hidden[0].float() @ _whole(head.weight)[chosen].float().T
            if head.bias is not None:
                found = found + _whole(head.bias)[chosen].float()
    return found.cpu().double() - logits.logsumexp(-1, keepdim=True).cpu().double()


def _whole(weights: Tensor) -> Tensor:
    """Those of a model in training may be in parts, one for each process (FSDP2)."""
    found: Tensor = weights.full_tensor() if hasattr(weights, "full_tensor") else weights
    return found


def _is_product(model: Any, head: Any) -> bool:
    """Whether logits are the product of hidden state and weights, in a type that can be read."""
    config = model.config.get_text_config()
    further = any(getattr(config, name, None) not in (None, 1, 1.0) for name in _FURTHER)
    return type(head) is torch.nn.Linear and head.weight.is_floating_point() and not further
