"""What is drawn by chance keeps its probability: raised, with another teacher, in a collection that grows."""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path

from hardcut.annotate.draws import Drawn, Verdict, draw, kept_draws, number_of, read_draws, write_draws

PAIRS = [f"p{at}" for at in range(400)]


def verdicts(share: float, seed: int = 0) -> dict[str, Verdict]:
    dice = random.Random(seed)
    return {pair_id: "yes" if dice.random() < share else "no" for pair_id in PAIRS}


def weighed(drawn: Mapping[str, Drawn], of: Mapping[str, Verdict], verdict: Verdict) -> float:
    """How many pairs of the verdict there are, as the drawn ones tell."""
    return sum(1 / each.probability for pair_id, each in drawn.items() if of[pair_id] == verdict)


def test_as_many_of_each_verdict_and_where_one_is_short_more_of_the_other() -> None:
    said = verdicts(0.1)
    few = sum(verdict == "yes" for verdict in said.values())
    drawn = draw(said, 40, 0)
    assert sum(each.stratum == "yes" for each in drawn.values()) == 20 == len(drawn) / 2
    drawn = draw(said, 200, 0)
    assert sum(each.stratum == "yes" for each in drawn.values()) == few and len(drawn) == 200
    assert {each.probability for each in drawn.values() if each.stratum == "yes"} == {1.0}, "all of them"
    assert len(draw(said, 1, 0)) == 1 and len(draw(said, 1000, 0)) == 400


def test_more_are_drawn_beside_the_first_and_their_probability_rises() -> None:
    said = verdicts(0.3)
    first = draw(said, 20, 0)
    second = draw(said, 60, 0, first)
    assert first.keys() < second.keys()
    assert all(second[pair_id].probability > each.probability for pair_id, each in first.items())
    assert second == draw(said, 60, 0), "as if drawn at once"
    assert all(number_of(pair_id, 0) < each.probability for pair_id, each in second.items())


def test_the_weights_tell_how_many_pairs_there_are_whatever_was_drawn_before() -> None:
    """On average over draws: raised, and with a teacher that says something else."""
    before, after = verdicts(0.4, 1), verdicts(0.15, 2)
    told = {"yes": 0.0, "no": 0.0}
    for seed in range(150):
        drawn = draw(before, 40, seed)
        again = draw(after, 60, seed, drawn)
        both = kept_draws(again, drawn, drawn)
        for verdict in ("yes", "no"):
            told[verdict] += weighed(both, after, verdict) / 150
    for verdict, mean in told.items():
        there = sum(said == verdict for said in after.values())
        assert abs(mean - there) < 0.08 * there, (verdict, mean, there)


def test_the_seed_of_the_first_draw_stays() -> None:
    said = verdicts(0.3)
    first = draw(said, 20, 7)
    assert draw(said, 20, 8, first) == first != draw(said, 20, 8)


def test_what_nobody_answered_and_is_not_drawn_again_is_forgotten(tmp_path: Path) -> None:
    said = verdicts(0.3)
    first = draw(said, 60, 0)
    fewer = draw(said, 20, 0, first)
    answered = sorted(first.keys() - fewer.keys())[:5]
    kept = kept_draws(fewer, first, [*answered, "p_of another run"])
    assert kept.keys() == fewer.keys() | set(answered)
    assert all(kept[pair_id].probability == first[pair_id].probability for pair_id in kept)
    write_draws(tmp_path, kept)
    assert read_draws(tmp_path) == kept and read_draws(tmp_path / "none") == {}
