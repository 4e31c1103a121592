"""Whether the intervals of `hardcut review report` hold what they say: simulated runs whose truth is known.

    python -m benchmarks.review_estimates [--repetitions 1200] [--part audits] [--out FILE]

A world has queries, each with its own video and others that were found, what is true of each pair, and what teachers
say of it. The audit is drawn by the code that `review push`
uses, people answer, and the estimates are made by the code that `review report` uses. Of every interval it is counted
how often the truth is in it; 95 % should be. No model, no server. A count of 400 repetitions is off by 1.1 points (one
standard error), so that of 31 some lie outside of 92 to 98 by chance; one of 1,200 is off by 0.6.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from hardcut.annotate.draws import Drawn, Framed, Verdict, draw, kept_draws
from hardcut.report.statistics.agreement import agreement, cohen_kappas, share_interval
from hardcut.report.statistics.audit import Cell, Judged, TeacherEstimate, estimate

RESULTS = Path(__file__).parent / "results" / "review_estimates.json"
QUERIES = 250
PAIRS = 2000
VIDEOS = 200
OWN_RELEVANT = 0.85
FOUND_RELEVANT = 0.016
"""So that 12 % of the pairs are relevant: of eight pairs of a query one is its own."""


@dataclass
class World:
    """Pairs with their truth, query and video, and people. `drawn`, `answers`: what has happened up to now."""

    random: np.random.Generator
    name: str
    error: float = 0.0
    drop: float = 0.0
    people: int = 3
    truth: dict[str, bool] = field(default_factory=dict)
    origin: dict[str, tuple[str, str, bool]] = field(default_factory=dict)
    drawn: dict[str, Drawn] = field(default_factory=dict)
    answers: dict[str, bool | None] = field(default_factory=dict)

    def grow(self, queries: int) -> None:
        """Brings queries to the collection, each with a video of its own and others: of early videos more are found."""
        for _ in range(queries):
            at = len({query for query, _, _ in self.origin.values()})
            own = int(self.random.integers(VIDEOS))
            found = (VIDEOS * self.random.random(40) ** 1.3).astype(int)
            others = list(dict.fromkeys(int(one) for one in found if one != own))[: PAIRS // QUERIES - 1]
            for video in (own, *others):
                pair_id = f"{self.name} {at} {video}"
                share = OWN_RELEVANT if video == own else FOUND_RELEVANT
                self.truth[pair_id] = bool(self.random.random() < share)
                self.origin[pair_id] = (f"{self.name} {at}", f"v{video}", video == own)

    def teacher(self, recall: float, wrong: float) -> dict[str, Verdict]:
        """What a teacher says: yes to this share of what is relevant, and of what is not."""
        says = {True: recall, False: wrong}
        return {id: "yes" if self.random.random() < says[truth] else "no" for id, truth in self.truth.items()}

    def audit(self, verdicts: Mapping[str, Verdict], count: int) -> None:
        """A push with this teacher: what is drawn is asked; some of those who were asked never answer."""
        frame = {id: Framed(*self.origin[id], verdict) for id, verdict in verdicts.items()}
        planned = draw(frame, count, 0, self.drawn)
        self.drawn = kept_draws(planned, self.drawn, [id for id, said in self.answers.items() if said is not None])
        for pair_id in planned.keys() - self.answers.keys():
            self.answers[pair_id] = self._answer(self.truth[pair_id])

    def _answer(self, truth: bool) -> bool | None:
        """The majority of the people who answer, each of whom errs now and then. A further person settles a tie."""
        said = [truth != (self.random.random() < self.error) for _ in range(self.people)]
        said = [one for one in said if self.random.random() >= self.drop]
        if said and 2 * sum(said) == len(said):
            said = [truth != (self.random.random() < self.error)]
        return 2 * sum(said) > len(said) if said else None

    def report(self, verdicts: Mapping[str, Verdict]) -> TeacherEstimate:
        """What the report says of this teacher."""
        cells = []
        for of in itertools.product(("yes", "no"), (True, False)):
            ids = [id for id, verdict in verdicts.items() if (verdict, self.origin[id][2]) == of]
            drawn = [Judged(self.drawn[id].probability, self.answers[id]) for id in ids if id in self.drawn]
            cells.append(Cell(of[0] == "yes", len(ids), drawn, own=of[1]))
        return estimate("t", cells)

    def true_figures(self, verdicts: Mapping[str, Verdict]) -> tuple[float, float]:
        """Precision and recall of the teacher over all pairs."""
        said = [id for id, verdict in verdicts.items() if verdict == "yes"]
        right = sum(self.truth[id] for id in said)
        return right / len(said), right / sum(self.truth.values())


def one_draw(world: World) -> Mapping[str, Verdict]:
    verdicts = world.teacher(0.85, 0.05)
    world.audit(verdicts, 80)
    return verdicts


def raised(world: World) -> Mapping[str, Verdict]:
    verdicts = world.teacher(0.85, 0.05)
    for count in (40, 80, 160):
        world.audit(verdicts, count)
    return verdicts


def another_teacher(world: World) -> Mapping[str, Verdict]:
    world.audit(world.teacher(0.95, 0.3), 80)
    verdicts = world.teacher(0.8, 0.03)
    world.audit(verdicts, 80)
    return verdicts


def grown(world: World) -> Mapping[str, Verdict]:
    verdicts = world.teacher(0.85, 0.05)
    world.audit(verdicts, 80)
    world.grow(QUERIES // 2)
    new = world.teacher(0.85, 0.05)
    verdicts = {id: verdicts.get(id, said) for id, said in new.items()}
    world.audit(verdicts, 120)
    return verdicts


def all_at_once(world: World) -> Mapping[str, Verdict]:
    world.audit(world.teacher(0.95, 0.3), 60)
    world.grow(QUERIES // 4)
    verdicts = world.teacher(0.75, 0.04)
    world.audit(verdicts, 60)
    world.audit(verdicts, 140)
    return verdicts


Scenario = tuple[Callable[[World], Mapping[str, Verdict]], float, float]
SCENARIOS: Mapping[str, Scenario] = {
    "one draw of 80": (one_draw, 0.0, 0.0),
    "raised from 40 to 80 to 160": (raised, 0.0, 0.0),
    "another teacher, drawn again": (another_teacher, 0.0, 0.0),
    "a collection that grows by half": (grown, 0.0, 0.0),
    "people err (2 %) and drop out (20 %)": (one_draw, 0.02, 0.2),
    "all of it": (all_at_once, 0.02, 0.2),
}


def audits(repetitions: int) -> Iterator[dict[str, object]]:
    """Coverage and bias of precision and recall in each scenario."""
    for name, (story, error, drop) in SCENARIOS.items():
        held, off, widths = np.zeros(2), np.zeros(2), np.zeros(2)
        for repetition in range(repetitions):
            world = World(np.random.default_rng([repetition, len(name)]), f"{name} {repetition}", error, drop)
            world.grow(QUERIES)
            verdicts = story(world)
            found, truth = world.report(verdicts), world.true_figures(verdicts)
            told = ((found.precision, found.precision_interval), (found.recall, found.recall_interval))
            for at, ((value, (low, high)), true) in enumerate(zip(told, truth, strict=True)):
                held[at] += low <= true <= high
                off[at] += (value or 0.0) - true
                widths[at] += high - low
        for at, figure in enumerate(("precision", "recall")):
            yield {
                "figure": f"{figure}: {name}",
                "covered": round(float(held[at]) / repetitions, 4),
                "bias": round(float(off[at]) / repetitions, 4),
                "width": round(float(widths[at]) / repetitions, 3),
            }


def shares(repetitions: int) -> Iterator[dict[str, object]]:
    """Coverage of a share of few and of many, over true shares from .02 to .98."""
    random = np.random.default_rng(1)
    for total in (12, 40, 200):
        held = 0
        for _ in range(repetitions):
            share = random.uniform(0.02, 0.98)
            low, high = share_interval(int(random.binomial(total, share)), total)
            held += low <= share <= high
        yield {"figure": f"share of {total}", "covered": round(held / repetitions, 4)}


def said_by(random: np.random.Generator, grade: int, right: float) -> int:
    """What a person says of a pair of this grade: right as often as this, else one of the other two."""
    return grade if random.random() < right else int((grade + random.integers(1, 3)) % 3)


def agreements(repetitions: int) -> Iterator[dict[str, object]]:
    """Coverage of the intervals of agreement, against their values over very many pairs."""
    for people, pairs, right in ((2, 30, 0.85), (2, 100, 0.85), (3, 40, 0.9), (3, 40, 0.97)):
        random = np.random.default_rng([people, pairs])

        def answers(count: int, of: np.random.Generator, many: int = people, right: float = right) -> dict:  # type: ignore[type-arg]
            grades = of.choice(3, count, p=(0.6, 0.1, 0.3))
            return {
                (str(at), ""): {f"p{one}": said_by(of, int(grade), right) for one in range(many)}
                for at, grade in enumerate(grades)
            }

        same = right**2 + (1 - right) ** 2 / 2
        shares = np.array((0.6, 0.1, 0.3)) * right + (1 - np.array((0.6, 0.1, 0.3))) * (1 - right) / 2
        chance = float((shares**2).sum())
        beyond = (same - chance) / (1 - chance)
        held = {"raw": 0, "alpha": 0, "fleiss": 0, "cohen": 0}
        for _ in range(repetitions):
            given = answers(pairs, random)
            found, first = agreement(given), cohen_kappas(given)[0]
            assert found is not None
            told = {
                "raw": (same, found.raw_interval), "alpha": (beyond, found.alpha_interval),
                "fleiss": (beyond, found.fleiss_interval), "cohen": (beyond, first.interval),
            }  # fmt: skip
            for name, (true, interval) in told.items():
                held[name] += interval is not None and interval[0] <= true <= interval[1]
        for name, count in held.items():
            what = f"{name}: {people} people, {pairs} pairs, each right in {100 * right:.0f} %"
            yield {"figure": what, "covered": round(count / repetitions, 4), "truth": round(beyond, 3)}


def main() -> None:
    """Prints a line for each figure, and writes them, each part with its number of repetitions."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=1200)
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--part", choices=("audits", "shares", "agreements"))
    told = parser.parse_args()
    parts = {"audits": audits, "shares": shares, "agreements": agreements}
    results = json.loads(told.out.read_text()) if told.out.exists() else {}
    for name in [told.part] if told.part else list(parts):
        rows = []
        for row in parts[name](told.repetitions):
            print(json.dumps(row), flush=True)
            rows.append(row)
        results[name] = {"repetitions": told.repetitions, "rows": rows}
        told.out.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
