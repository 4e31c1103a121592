"""Margins that were made in different ways: by one teacher that was shown pairs in two.

Another version of a library may show a model the same pair otherwise, and then its margins are others, without an error
(`schemas/shown.py`). The labels say how they were made, and a training says where they are mixed.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from hardcut.schemas.errors import UsageError
from hardcut.schemas.shown import digest_in
from hardcut.schemas.training import EmbeddingLossSettings, LossSettings


@dataclass(slots=True)
class Margins:
    """The margins that a training uses: how many there are by teacher and way, and the way of each pair by its id. Of
    a pair whose label does not say it nothing is known."""

    counts: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    ways: dict[str, tuple[str, str]] = field(default_factory=dict)

    def note(self, pair: str, teacher: str | None, shown: str | None) -> None:
        """A margin that is used."""
        if shown is not None:
            self.counts[teacher or ""][shown] += 1
            self.ways[pair] = teacher or "", digest_in(shown)

    @property
    def mixed(self) -> Mapping[str, Counter[str]]:
        """The lines of each teacher that was shown pairs in more than one way, with how many pairs have them."""
        return {teacher: of for teacher, of in sorted(self.counts.items()) if len(set(map(digest_in, of))) > 1}

    def is_mixed(self, pairs: Iterable[str]) -> bool:
        """Whether some teacher was shown these pairs in more than one way."""
        found: defaultdict[str, set[str]] = defaultdict(set)
        for pair in pairs:
            if pair in self.ways:
                teacher, way = self.ways[pair]
                found[teacher].add(way)
        return any(len(ways) > 1 for ways in found.values())


def mixing(margins: Margins) -> str | None:
    """What is to be said of margins that were made in different ways; None where none are known to be."""
    if not margins.mixed:
        return None
    told = "; ".join(
        f"{teacher or 'a teacher'}: " + ", ".join(f"{count:,} as {way}" for way, count in sorted(of.items()))
        for teacher, of in margins.mixed.items()
    )
    return f"the teachers' margins were made in different ways, and are not of one scale ({told})"


def refuse_compared(
    groups: Collection[str], loss: LossSettings | EmbeddingLossSettings, setting: str = "train.ranking.loss"
) -> None:
    """`groups` are those that mix margins of one teacher that were made in different ways. Raises UsageError where a
    term of the loss, which is this setting, takes the difference of two of them."""
    terms = [name for name in ("listwise", "margin") if getattr(loss, name)]
    if groups and terms:
        raise UsageError(
            f"{len(groups):,} groups, {min(groups)} for one, mix margins of one teacher that were made in different "
            f"ways, and {setting}.{terms[0]} takes their differences: have those pairs scored again, or set "
            "it to 0"
        )
