"""What names a training: all that can change its result, and nothing else.

A setting that earlier versions did not have is part of the name only where it is not at its default. So a training that
an earlier version began goes on.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from hardcut.reranker.examples import Given, PerceptionData, RankingData
from hardcut.schemas.training import TrainSettings

WITHOUT_EFFECT = ("sharded", "workers", "trackers")
"""Settings that change no step."""
_LATER = ("profile", "attention", "patience")
_LATER_TERMS = ("listwise", "margin", "graded", "hardness", "rationale")


def named_settings(given: Given, settings: TrainSettings) -> dict[str, Any]:
    """The settings that name a training on this data. One without counterfactuals has the name that it had before
    there were any."""
    options = settings.model_dump(mode="json")
    del options["embedding"], options["perception"]["unseen"]  # what the latter leaves out is not in `given`
    for name in WITHOUT_EFFECT:
        del options[name]
    for name in _LATER:
        if not options[name]:
            del options[name]
    if options["schedule"] == "cosine":
        del options["schedule"]
    if options["lora"]["targets"] is None:
        del options["lora"]["targets"]
    loss = options["ranking"]["loss"]
    for term in _LATER_TERMS:
        if not loss[term]:
            del loss[term]
            loss.pop(f"{term}_temperature", None)
    if not settings.ranking.loss.rationale:
        del options["ranking"]["max_rationale_tokens"]
    del options["ranking"]["composed"]  # what it leaves out is not in `given`
    if not _has_blocks(given):
        del options["ranking"]["counterfactuals"], loss["counterfactuals"]
    return options


def named_data(given: Given, settings: TrainSettings) -> dict[str, Any]:
    """What a training takes from the dataset. Grades count where a term reads them."""
    told = asdict(given)
    if not _has_blocks(given):
        for example in told["examples"]:
            example.pop("blocks", None)
    if isinstance(given, RankingData):
        del told["mixed"], told["mixed_groups"]
        if not given.validation.references:
            del told["validation"]["references"]
        for example in told["examples"]:
            if example["reference"] is None:
                del example["reference"]
        if not given.validation.blocks:
            del told["validation"]["blocks"]
        if not settings.ranking.loss.rationale:
            _without_reasons(told["examples"])
        if not settings.ranking.loss.graded:
            for example in told["examples"]:
                for candidate in (example["positive"], *example["negatives"]):
                    del candidate["grade"]
    return told


def _without_reasons(groups: Iterable[dict[str, Any]]) -> None:
    for group in groups:
        sides = [side for block in group.get("blocks", ()) for side in block.values()]
        for each in (group["positive"], *group["negatives"], *sides):
            del each["reasoning"]


def _has_blocks(given: Given) -> bool:
    return not isinstance(given, PerceptionData) and any(group.blocks for group in given.examples)
