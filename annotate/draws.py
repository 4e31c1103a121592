"""How the audit is drawn: so that no page tells where its query comes from, and each pair keeps its probability.

Most queries are written from a video, and met with many. If pairs were drawn one by one, a query that is asked about
often would rarely be shown with its own video, and so would a clip that every query finds. So the pairs of each query
stand in a line, and all queries are asked about equally often: everybody's first pair, then everybody's second. A
query's own pair stands at one of the first places, by chance. What was found stands in an order by chance (Rosén,
Asymptotic theory for successive sampling, Ann. Math. Stat. 43, 1972). Videos from which few queries were written come
later in it. What the teachers take for a yes comes earlier, since there is less of it.

Chance is numbers between 0 and 1 that never change: digests (permanent random numbers: Ohlsson, 1995). So more can be
drawn later, and a pair's probability is that of its place in the line, over all numbers that could have been. Pure
functions.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from hardcut.engine.files import atomic_writer
from hardcut.schemas.base import Record
from hardcut.schemas.ids import digest
from hardcut.schemas.jsonl import read_records, write_records
from hardcut.schemas.records import Id

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Verdict = Literal["yes", "no"]
FIRST_PLACES = 3
"""At which of the first places the pair of a query's own video stands: so a third of what is drawn is such a pair, and
about as many pairs are a yes as a no."""
_DIGITS = 13
"""Of a digest in hexadecimal, as many as a float holds."""
_BOUND = 3.0
"""How far the weight of a video is from 1 at most: it keeps every pair's probability, and so what its answer counts,
within an order of magnitude."""
_YES = 0.25
"""The share of a yes among the found pairs that are drawn beside own ones, where fewer are there. In lines without an
own pair it is a half: most pairs are a plain no, and a recall cannot be told from those (Cochran, Sampling Techniques,
chapter 5)."""
_BOUND_OF_YES = 8.0
_ROUNDS = 50
_NODES = 64
"""Of the quadrature of a place's probability: exact to three digits."""


@dataclass(frozen=True, slots=True)
class Framed:
    """A pair that may be drawn. `own`: the query was written from this video; `verdict`: what the teachers say."""

    query_id: str
    video_id: str
    own: bool
    verdict: Verdict


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
    frame: Mapping[str, Framed], count: int, seed: int, before: Mapping[str, Drawn] | None = None
) -> dict[str, Drawn]:
    """Draws `count` pairs of the frame: of every query one before of any a second, in the order of its line.

    A pair that was drawn `before` keeps the higher of both probabilities. Those that are not drawn again are not in the
    result: if people have answered, they still count, with the probability that they have.
    """
    if not frame:
        return {}
    before = before or {}
    seed = next((each.seed for each in before.values()), seed)
    lines = _lines(frame, seed)
    turns = {query_id: number_of(query_id, seed) for query_id in lines}
    order = sorted((place, turns[line.query_id], id) for line in lines.values() for place, id in enumerate(line.ids))
    place, turn = order[count][:2] if count < len(order) else (len(frame), 1.0)
    chosen = {id for *_, id in order[:count]}
    asked = sorted({frame[id].query_id for id in chosen})
    now = {id: found for query_id in asked for id, found in lines[query_id].probabilities(place, turn).items()}
    return {
        id: Drawn(
            pair_id=id,
            stratum=frame[id].verdict,
            probability=max(now[id], before[id].probability if id in before else 0.0),
            seed=seed,
        )
        for id in sorted(chosen)
    }


@dataclass(frozen=True, slots=True)
class _Line:
    """The pairs of a query in their order: that of its own video, and the others with their weights, by id."""

    query_id: str
    ids: Sequence[str]
    own: str | None
    weights: Mapping[str, float]

    def probabilities(self, place: int, turn: float) -> dict[str, float]:
        """Of each pair: of standing before this place, or at it where the query's own number is below `turn`."""
        import numpy as np

        if len(self.ids) <= place:
            return dict.fromkeys(self.ids, 1.0)
        counts = np.append(np.ones(place), turn)
        found = dict(zip(self.weights, _orders(list(self.weights.values()), place), strict=True))
        if self.own is None:
            return {id: _rounded(row @ counts) for id, row in found.items()}
        places = [min(at, len(found)) for at in range(FIRST_PLACES)]
        own = np.array([places.count(at) / FIRST_PLACES for at in range(place + 1)])
        behind = np.cumsum(own)  # of standing a place later, because the own pair stands before
        for row in found.values():
            row[1:], row[0] = row[1:] * (1 - behind[1:]) + (row * behind)[:-1], row[0] * (1 - behind[0])
        return {id: _rounded(row @ counts) for id, row in [(self.own, own), *found.items()]}


def _rounded(probability: float) -> float:
    """To as many digits as are the same on every machine, however small it is."""
    return min(1.0, float(f"{float(probability):.6g}"))


def _lines(frame: Mapping[str, Framed], seed: int) -> dict[str, _Line]:
    """The line of each query, by its id."""
    weights = _weights(frame)
    by_query: defaultdict[str, list[str]] = defaultdict(list)
    for id in sorted(frame):
        by_query[frame[id].query_id].append(id)
    lines = {}
    for query_id, ids in by_query.items():
        own = next((id for id in ids if frame[id].own), None)
        found = {id: weights[id] for id in ids if id != own}
        line = sorted(found, key=lambda id: (-math.log1p(-number_of(id, seed)) / weights[id], id))
        if own is not None:
            line.insert(int(number_of(f"{query_id} place", seed) * FIRST_PLACES), own)
        lines[query_id] = _Line(query_id, line, own, found)
    return lines


def _weights(frame: Mapping[str, Framed]) -> dict[str, float]:
    """For each found pair how early it stands in its line. Of a yes so that it has its share of what is drawn; of a
    video so that it is drawn with queries that found it as often as with its own (iterative proportional fitting). Both
    within bounds."""
    import numpy as np

    found = {id: each for id, each in frame.items() if not each.own}
    if not found:
        return {}
    written = {each.query_id for each in frame.values() if each.own}
    yes = np.array([each.verdict == "yes" for each in found.values()])
    has_own = np.array([each.query_id in written for each in found.values()])
    of_verdict = np.ones(len(found))
    for share, of in ((_YES, has_own), (0.5, ~has_own)):
        odds = share / (1 - share) * (of & ~yes).sum() / max(1, (of & yes).sum())
        of_verdict[of & yes] = np.clip(odds, 1.0, _BOUND_OF_YES)
    videos, at = np.unique([each.video_id for each in found.values()], return_inverse=True)
    _, line = np.unique([each.query_id for each in found.values()], return_inverse=True)
    sources = Counter(each.video_id for each in frame.values() if each.own)
    wanted = np.array([sources[str(video)] for video in videos], float)
    weights = np.ones(len(videos))
    for _ in range(_ROUNDS):
        each = weights[at] * of_verdict
        there = np.bincount(at, each / np.bincount(line, each)[line], minlength=len(videos))
        weights = np.clip(weights * np.sqrt(wanted / there), 1 / _BOUND, _BOUND)
        weights = np.clip(weights / np.exp(np.log(weights).mean()), 1 / _BOUND, _BOUND)
    each = weights[at] * of_verdict
    return {id: float(f"{weight:.9g}") for id, weight in zip(found, each, strict=True)}


def _orders(weights: list[float], last: int) -> NDArray[np.float64]:
    """The probability of each item (row) to be at each place up to `last` (column), where items come in the order of
    exponential numbers with these weights as rates."""
    import numpy as np

    found = np.zeros((len(weights), last + 1))
    nodes, parts = np.polynomial.legendre.leggauss(_NODES)
    level, parts = (nodes + 1) / 2, parts / 2
    for item, weight in enumerate(weights):
        # at[:, k]: the probability that k others come before this item, where its number is at this quantile
        at = np.zeros((_NODES, last + 1))
        at[:, 0] = 1.0
        for other in weights[:item] + weights[item + 1 :]:
            earlier = (1 - level ** (other / weight))[:, None]
            at[:, 1:] = at[:, 1:] * (1 - earlier) + at[:, :-1] * earlier
            at[:, :1] = at[:, :1] * (1 - earlier)
        found[item] = parts @ at
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
