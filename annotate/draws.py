"""How the audit is drawn, so that what is drawn keeps its probability whatever is drawn later. Pure functions.

Every pair has a number between 0 and 1 that never changes: a digest. Of each stratum the pairs with the lowest numbers
are drawn. Given the lowest number that is not drawn, the threshold, each pair of the stratum was drawn with the
probability that its number is below it (bottom-k sampling: Duffield, Lund and Thorup, Priority sampling, J. ACM 54,
2007). Since the numbers stay, a pair is in the union of several draws if its number is below the highest of their
thresholds (permanent random numbers: Ohlsson, 1995). So more can be drawn later, and strata may change with
the teacher.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from hardcut.engine.files import atomic_writer
from hardcut.schemas.base import Record
from hardcut.schemas.ids import digest
from hardcut.schemas.jsonl import read_records, write_records
from hardcut.schemas.records import Id

Verdict = Literal["yes", "no"]
_DIGITS = 13
"""Of a digest in hexadecimal, as many as a float holds."""


class Drawn(Record):
    """A pair that was drawn by chance. `stratum`: what the teachers said of it then; `probability`: of being in all
    that was drawn up to now; `seed`: of the first draw, which stays, since the numbers hang on it."""

    FILE: ClassVar[str] = "review/drawn.jsonl"
    ID: ClassVar[str] = "pair_id"

    pair_id: Id
    stratum: Verdict
    probability: float = Field(gt=0, le=1)
    seed: int


def number_of(pair_id: str, seed: int) -> float:
    """The number of a pair, uniform in [0, 1)."""
    return int(digest(seed, pair_id)[:_DIGITS], 16) / 16.0**_DIGITS


def draw(
    frame: Mapping[str, Verdict], count: int, seed: int, before: Mapping[str, Drawn] | None = None
) -> dict[str, Drawn]:
    """Draws `count` pairs of the frame, as many of each stratum as there are, in the order of their numbers.

    A pair that was drawn `before` keeps the higher of both probabilities. Those that are not drawn again are not in the
    result: if people have answered, they still count, with the probability that they have.
    """
    before = before or {}
    seed = next((each.seed for each in before.values()), seed)
    numbers = {pair_id: number_of(pair_id, seed) for pair_id in frame}
    order: dict[Verdict, list[str]] = {"yes": [], "no": []}
    for pair_id in sorted(frame, key=lambda pair_id: (numbers[pair_id], pair_id)):
        order[frame[pair_id]].append(pair_id)
    least = min(map(len, order.values()))
    take: dict[Verdict, int] = {"yes": (count + 1) // 2, "no": count // 2}
    if least < count // 2:
        take = {of: least if len(ids) == least else count - least for of, ids in order.items()}
    found: dict[str, Drawn] = {}
    for of, ids in order.items():
        threshold = numbers[ids[take[of]]] if take[of] < len(ids) else 1.0
        for pair_id in ids[: take[of]]:
            earlier = before.get(pair_id)
            probability = max(threshold, earlier.probability if earlier else 0.0)
            found[pair_id] = Drawn(pair_id=pair_id, stratum=of, probability=probability, seed=seed)
    return found


def kept_draws(planned: Mapping[str, Drawn], before: Mapping[str, Drawn], answered: Iterable[str]) -> dict[str, Drawn]:
    """What was drawn up to now and counts: the present draw, and earlier ones that people have answered."""
    earlier = {pair_id: before[pair_id] for pair_id in answered if pair_id in before}
    return dict(sorted({**earlier, **planned}.items()))


def read_draws(run: Path) -> dict[str, Drawn]:
    """What the run's folder says was drawn; nothing where nobody has pushed with a version that notes it."""
    path = run / Drawn.FILE
    return {each.pair_id: each for each in read_records(path, Drawn)} if path.exists() else {}


def write_draws(run: Path, drawn: Mapping[str, Drawn]) -> None:
    """Notes what was drawn, where it changes."""
    if read_draws(run) != drawn:
        path = run / Drawn.FILE
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_writer(path) as file:
            write_records(file, drawn.values())
