"""Weights, gradients and the optimiser's state in parts, one for each process (FSDP2 of PyTorch, by accelerate).

A sharded parameter is a DTensor: a process holds its part of it, and all must ask for the whole at once. So whatever
reads or writes whole weights here is called by every process, and passes through the model are the same number
everywhere.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from hardcut.schemas.errors import UsageError

_ASKED = "ACCELERATE_USE_FSDP"
"""What `accelerate launch --use_fsdp` sets for its processes."""


def processes() -> int:
    """How many processes a launcher (`torchrun`, `accelerate launch`) started for this training."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def wants_shards(setting: bool) -> bool:
    """Whether weights go in parts: where the settings or the launcher ask for it, and there are several processes.

    Raises UsageError where the launcher asks for the first version of FSDP, which parts adapters and frozen weights
    only with what it calls original parameters.
    """
    launched = os.environ.get(_ASKED, "").lower() == "true"
    if launched and os.environ.get("FSDP_VERSION", "2") != "2":
        raise UsageError("accelerate launch asks for FSDP 1: give it --fsdp_version 2")
    return (setting or launched) and processes() > 1


def shard_arguments(setting: bool) -> dict[str, Any]:
    """What transformers' arguments say of it. The optimiser's state is saved in parts: any number of processes reads
    it back."""
    if not wants_shards(setting):
        return {}
    options = {"version": 2, "reshard_after_forward": True, "state_dict_type": "SHARDED_STATE_DICT"}
    return {"fsdp": "full_shard auto_wrap", "fsdp_config": options}


def shard_without_cards(trainer: Any) -> None:
    """accelerate shards only where there are cards, and drops the wish on processors, where FSDP2 works as well (by
    gloo): there it is told again."""
    if trainer.args.fsdp_plugin_args is None or trainer.is_fsdp_enabled:
        return
    from accelerate.utils import DistributedType, FullyShardedDataParallelPlugin

    trainer.accelerator.state.fsdp_plugin = FullyShardedDataParallelPlugin(**trainer.args.fsdp_plugin_args)
    trainer.accelerator.state.distributed_type = DistributedType.FSDP
    trainer.is_fsdp_enabled = True


def is_sharded(network: Any) -> bool:
    """Whether a network's weights are in parts."""
    return any(hasattr(module, "reshard") for module in network.modules())


def whole(value: Tensor) -> Tensor:
    """All of a tensor, wherever its parts are. Of one in parts every process asks at once."""
    found: Tensor = value.full_tensor() if hasattr(value, "full_tensor") else value
    return found


def trained_weights(network: Any) -> dict[str, Tensor]:
    """The parameters that are trained, whole and on the CPU. Every process asks at once."""
    _in_parts(network)
    return {
        name: whole(value.detach()).cpu().contiguous()
        for name, value in network.named_parameters()
        if value.requires_grad
    }


def put_weights(network: Any, weights: Mapping[str, Tensor]) -> None:
    """Gives parameters these values, each process its parts. Raises ValueError for one that there is not."""
    _in_parts(network)
    parameters = dict(network.named_parameters())
    for name, value in weights.items():
        if name not in parameters:
            raise ValueError(f"{name} is no parameter of the model")
        target = parameters[name]
        value = value.to(target.device, target.dtype)
        if hasattr(target, "full_tensor"):
            from torch.distributed.tensor import distribute_tensor

            value = distribute_tensor(value, target.device_mesh, target.placements)
        with torch.no_grad():
            target.copy_(value)


def _in_parts(network: Any) -> None:
    """After a pass without gradients some weights are left whole: they are let go of."""
    for module in network.modules():
        if hasattr(module, "reshard"):
            module.reshard()
