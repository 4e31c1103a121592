"""Several datasets that are trained on as one, each by its weight."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from hardcut.reranker.facts import DatasetTables, Row
from hardcut.schemas.errors import UsageError
from hardcut.schemas.ids import digest

_IDS = frozenset(
    ("group_id", "caption_id", "pair_id", "query_id", "video_id", "reference_video_id", "against")
)  # those of other datasets say which one they are of: two may have a video `a.mp4`, and mean another file
_EXAMPLES = {"groups": "group_id", "captions": "caption_id"}
"""The configs whose rows are examples, and the column that names one."""
TRAIN = "train"


@dataclass(frozen=True, slots=True)
class Share:
    """A dataset of a mix. An epoch has each of its training examples `weight` times: 2 is twice, 0.5 every other one.
    `name` is what errors call it."""

    name: str
    tables: DatasetTables
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Mix:
    """It reads like one dataset. Rows of the first have their ids as they are."""

    shares: tuple[Share, ...]

    @property
    def configs(self) -> tuple[str, ...]:
        return tuple(sorted({config for share in self.shares for config in share.tables.configs}))

    def rows(self, config: str, columns: Sequence[str] | None = None) -> Iterator[tuple[str, Row]]:
        """(split, row), dataset after dataset. An example that comes again has `#2` and so on behind its id."""
        id_of = _EXAMPLES.get(config)
        for number, share in enumerate(self.shares):
            for split, row in share.tables.rows(config, columns) if config in share.tables.configs else ():
                named = _named(row, f"{number}/") if number else row
                if split != TRAIN or id_of is None or id_of not in named:
                    yield split, named
                    continue
                for time in range(_times(named[id_of], share.weight)):
                    yield split, named if not time else {**named, id_of: f"{named[id_of]}#{time + 1}"}


def mixed(shares: Sequence[Share]) -> DatasetTables:
    """The datasets as one. Raises UsageError for a weight that is none, and where one trains on the file of a video
    that another holds out: what is measured on it would be known by heart."""
    for share in shares:
        if not 0 < share.weight < float("inf"):
            raise UsageError(f"{share.name}: its weight is {share.weight:g}: give it one above 0, or leave it out")
    if len(shares) == 1 and shares[0].weight == 1:
        return shares[0].tables
    seen = {share.name: _files(share.tables) for share in shares} if len(shares) > 1 else {}
    for one, (trained, _) in seen.items():
        for other, (_, held_out) in seen.items():
            both = sorted(trained[file] for file in trained.keys() & held_out)
            if one != other and both:
                raise UsageError(
                    f"{one} trains on {len(both):,} videos that {other} holds out, {both[0]} for one: export it again "
                    f"with --like {other}"
                )
    return Mix(tuple(shares))


def _files(tables: DatasetTables) -> tuple[dict[str, str], set[str]]:
    """The digests of the files that a dataset trains on, with their ids, and of those that it holds out."""
    trained, held_out = {}, set()
    for config in ("captions", "pairs"):
        for split, row in tables.rows(config, ("video_id", "sha256")) if config in tables.configs else ():
            if split == TRAIN:
                trained[row["sha256"]] = row["video_id"]
            else:
                held_out.add(row["sha256"])
    return trained, held_out


def _times(item: str, weight: float) -> int:
    """How often an epoch has an example: of those with a broken weight a share is drawn, by the id."""
    drawn = int(digest("weight", item)[:8], 16) / 16**8
    return int(weight) + (drawn < weight - int(weight))


def _named(value: Any, before: str) -> Any:
    """The same with `before` in front of every id, however deep."""
    if isinstance(value, dict):
        return {
            name: before + each if name in _IDS and isinstance(each, str) else _named(each, before)
            for name, each in value.items()
        }
    return [_named(each, before) for each in value] if isinstance(value, list | tuple) else value
