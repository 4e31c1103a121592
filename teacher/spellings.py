"""The tokens by which a judge says yes or no."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from hardcut.schemas.errors import UsageError

SPELLINGS = tuple(space + word for word in ("yes", "Yes", "YES", "no", "No", "NO") for space in ("", " ", "\n"))
"""How yes and no are spelled, the canonical spellings without a space. Those that are one token of a model's tokenizer
are asked for by their ids."""


@dataclass(frozen=True, slots=True)
class Spellings:
    """Ids of the tokens that spell yes or no, ascending, and what each of them says."""

    ids: tuple[int, ...]
    texts: tuple[bytes, ...]

    @classmethod
    def from_tokens(cls, found: Mapping[int, bytes]) -> Spellings:
        """None at all where one of the words has no token of its own."""
        words = {text.strip().lower() for text in found.values()}
        ids = tuple(sorted(found)) if words == {b"yes", b"no"} else ()
        return cls(ids, tuple(found[id] for id in ids))

    def scores(self, logprobs: Iterable[float]) -> tuple[tuple[bytes, float], ...]:
        """What each says with its log-probability, given in the order of `ids`."""
        return tuple(zip(self.texts, logprobs, strict=True))


def spellings_of(tokenizer: Any) -> Spellings:
    """Those of a tokenizer of transformers. Raises UsageError where it has no token for one of the words."""
    found: dict[int, bytes] = {}
    for spelling in SPELLINGS:
        ids = tokenizer.encode(spelling, add_special_tokens=False)
        if len(ids) == 1:
            found.setdefault(ids[0], spelling.encode())
    spellings = Spellings.from_tokens(found)
    if not spellings.ids:
        raise UsageError("the model's tokenizer has no single tokens for yes and no, which a judge needs")
    return spellings
