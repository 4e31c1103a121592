"""A dataset in tables, and models of which it is known what is wrong with them."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from hardcut.reranker.diagnosis.trials import Plan, plan
from hardcut.schemas.ids import digest

VIDEOS = 120
FAULTS = ("prior", "leak", "frame order ignored", "promoted text", "static", "text decides", "encoding", "words")


@dataclass
class Tables:
    """Every video has a query that it answers, one that it answers in a direction, and its reverse. `leaks` of the
    test's queries are in the training too."""

    leaks: int = 0
    tables: dict[str, list[tuple[str, dict[str, Any]]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        queries, pairs, blocks = [], [], []
        for n in range(VIDEOS):
            file = {"video_id": f"v{n}", "video_path": f"v{n}.mp4", "sha256": digest(f"v{n}")}
            own, kind = f"q{n}", "moment" if n % 3 == 0 else "event"
            other = f"v{(n + 7) % VIDEOS}"
            queries.append(_query(own, f"thing {n} of colour {n % 11} near place {n % 13}", kind=kind))
            if n < self.leaks:
                queries.append(_query(f"t{n}", queries[-1][1]["query"], split="train"))
            pairs.append(("test", {"query_id": own, **file, "label": 1}))
            wrong = {"video_id": other, "video_path": f"{other}.mp4", "sha256": digest(other)}
            pairs.append(("test", {"query_id": own, **wrong, "label": 0}))
            sides = {}
            for side, way in (("answered", n % 2), ("unanswered", 1 - n % 2)):
                text = f"thing {n} moves to the {('left', 'right')[way]}"
                sides[side] = {"query_id": f"q{n}-{way}", "query": text, "kind": "temporal"}
                queries.append(_query(f"q{n}-{way}", text))
            blocks.append(("test", {"change": "reversed", **file, **sides, "mirror": None}))
        self.tables = {"queries": queries, "pairs": pairs, "diagnostic": blocks}

    @property
    def configs(self) -> tuple[str, ...]:
        return tuple(self.tables)

    def rows(self, config: str, columns: Sequence[str] | None = None) -> Iterator[tuple[str, dict[str, Any]]]:
        for split, row in self.tables.get(config, ()):
            yield split, row if columns is None else {name: row[name] for name in columns}


def _query(id: str, text: str, kind: str = "event", split: str = "test") -> tuple[str, dict[str, Any]]:
    difficulty = {"positive_rank": 1, "modalities": 1, "margin_gap": None, "spans": 0}
    row = {"query_id": id, "query": text, "kind": kind, "view": "caption", "facets": [], "reference_video_id": None}
    return split, {**row, "external_id": None, "language": "en", "difficulty": difficulty}


def planned(leaks: int = 0) -> Plan:
    """The plan over the tables."""
    from hardcut.reranker.audits import leaked
    from hardcut.reranker.facts import read_facts

    tables = Tables(leaks)
    facts = read_facts(tables)
    return plan(tables, ("test",), leaked([id for id, query in facts.queries.items() if query.split == "test"], facts))


def scored(of: Plan, fault: str | None, seed: int) -> dict[str, dict[str, float]]:
    """The scores of a model with a fault, or without: a right pair lies 4 above a wrong one, with noise of 1."""
    draw = random.Random(f"{fault} {seed}")
    prior = {f"v{n}": draw.gauss(0, 6 if fault == "prior" else 0) for n in range(VIDEOS)}
    made = {each.id: each for each in of.altered}
    run: dict[str, dict[str, float]] = {}
    for altered in (False, True):
        for query, videos in sorted(of.pairs(altered).items()):
            for id in sorted(videos):
                what = made.get(id)
                video, how = (what.video_id, what.how) if what else (id, "plain")
                number, _, way = query.removeprefix("q").partition("-")
                score = draw.gauss(0, 1) + prior[video]
                score += 4.0 * (video == f"v{number}")
                if way and video == f"v{number}":
                    score += _direction(fault, int(number) % 2 == int(way), how)
                if fault == "promoted text" and what and what.how == "words" and what.words == of.queries[query]:
                    score += 3.0
                if fault == "text decides" and how == "muted" and video == f"v{number}":
                    score -= 3.0
                if fault == "encoding" and how == "again" and video == f"v{number}" and draw.random() < 0.5:
                    score -= 6.0
                if fault == "words" and not way:
                    score += 3.0 * (int(number) % 11 - 5)
                run.setdefault(query, {})[id] = score
    return run


def _direction(fault: str | None, right: bool, how: str) -> float:
    """What a model makes of a query's direction."""
    sign = 3.0 if right else -3.0
    if fault == "frame order ignored":
        return 0.0
    if fault == "static":  # it knows which way such things usually move
        return sign
    return -sign if how == "reversed" else 0.0 if how in ("shuffled", "one-frame") else sign
