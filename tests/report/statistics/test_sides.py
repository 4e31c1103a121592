"""Whether texts alone tell which side of a pair is answered."""

from __future__ import annotations

import pytest

from hardcut.report.statistics.sides import FEWEST, Sides, audit, told_by_text
from hardcut.schemas.ids import digest


def pairs(sizes: tuple[int, ...], *, same_way: bool) -> list[Sides]:
    """Pairs in parts of these sizes. `same_way`: all are turned the same way round where they are learned from."""
    numbers = (str(number) for number in range(10_000))
    ids = (text for text in numbers if not same_way or int(digest(text)[:2], 16) % 2)
    return [
        Sides(next(ids), f"a lamp swings to the left {place % 3}", f"a lamp stands still {place % 4}", f"part {part}")
        for part, size in enumerate(sizes)
        for place in range(size)
    ]


@pytest.mark.parametrize("sizes", [(FEWEST - 1, 1), (FEWEST - 3, 3), (1,) * FEWEST, (10, 10)])
@pytest.mark.parametrize("same_way", [True, False])
def test_few_pairs_in_parts_of_any_size_are_told(sizes: tuple[int, ...], same_way: bool) -> None:
    """Also where all that is learned from is turned the same way round, or is one pair."""
    told = audit(pairs(sizes, same_way=same_way))
    assert told is not None and told.rates["words"] > 0.9, "left is on one side, still on the other"
    assert told_by_text(pairs(sizes, same_way=same_way))
