"""What of a caption a model can see that is shown pictures alone. Pure functions over rows of the config `captions`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from hardcut.schemas.text.clean import sentence

Claim = Mapping[str, Any]
"""A claim of a row: its `text`, and the kinds of evidence that it rests on (`evidence`)."""


def unseen_claims(claims: Sequence[Claim], unseen: Collection[str]) -> list[Claim]:
    """The claims that rest on evidence of the kinds `unseen` alone. One without evidence was seen by its teacher."""
    return [claim for claim in claims if claim.get("evidence") and set(claim["evidence"]).issubset(unseen)]


def without(claims: Sequence[Claim], hidden: Sequence[Claim]) -> str | None:
    """The caption that the other claims make; None where there are none."""
    return " ".join(sentence(claim["text"]) for claim in claims if claim not in hidden) or None
