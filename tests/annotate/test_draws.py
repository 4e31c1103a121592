"""What is drawn by chance keeps its probability, and no draw tells where a query comes from."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path

import pytest

from hardcut.annotate.draws import Drawn, Framed, Verdict, draw, kept_draws, number_of, read_draws, write_draws

VIDEOS = 20


def collection(queries: int, share: float, seed: int = 0, users: int = 0) -> dict[str, Framed]:
    """Each query has a video of its own and three to eight others; from the first videos more queries were written, and
    every third is found half as often. `users`: so many queries of nobody's video, with eight found ones each."""
    dice = random.Random(seed)
    frame = {}
    for query in [*range(queries), *range(1000, 1000 + users)]:
        there = random.Random(f"found {query}")
        own = int(VIDEOS * there.random() ** 1.5) if query < 1000 else -1
        wanted = 3 + query % 6 if query < 1000 else 8
        order = sorted(range(VIDEOS), key=lambda at: there.random() * (0.5 if at % 3 else 1.0))
        for at in [own] * (own >= 0) + [at for at in order if at != own][:wanted]:
            verdict: Verdict = "yes" if at == own or dice.random() < share else "no"
            frame[f"p{query} {at}"] = Framed(f"q{query}", f"v{at}", at == own, verdict)
    return frame


FRAME = collection(40, 0.2)


def weighed(drawn: Mapping[str, Drawn], of: Mapping[str, Framed], verdict: Verdict) -> float:
    """How many pairs of the verdict there are, as the drawn ones tell."""
    return sum(1 / each.probability for pair_id, each in drawn.items() if of[pair_id].verdict == verdict)


def test_every_query_is_asked_about_once_before_any_is_twice() -> None:
    sizes = Counter(each.query_id for each in FRAME.values())
    for count in (1, 40, 60, 90, 200):
        drawn = draw(FRAME, count, 0)
        asked = Counter(FRAME[pair_id].query_id for pair_id in drawn)
        most = max(asked.values())
        assert len(drawn) == count
        assert all(asked[query_id] >= min(most - 1, size) for query_id, size in sizes.items())
    assert {each.probability for each in draw(FRAME, len(FRAME) + 5, 0).values()} == {1.0}, "all of them"


def test_neither_how_often_a_query_nor_how_often_a_video_is_shown_tells_the_own_pair() -> None:
    """Of two pages of which one is a query's own, that one is of the rarer query, or the rarer video, in half."""
    told: defaultdict[str, list[float]] = defaultdict(list)
    for seed in range(40):
        drawn = [FRAME[pair_id] for pair_id in draw(FRAME, 60, seed)]
        for name in ("query_id", "video_id"):
            met = Counter(getattr(each, name) for each in drawn)
            own = [met[getattr(each, name)] for each in drawn if each.own]
            rest = [met[getattr(each, name)] for each in drawn if not each.own]
            wins = sum((a < b) + (a == b) / 2 for a in own for b in rest)
            told[name].append(wins / (len(own) * len(rest)))
        told["own"].append(sum(each.own for each in drawn) / len(drawn))
    means = {name: sum(values) / len(values) for name, values in told.items()}
    assert abs(means["query_id"] - 0.5) < 0.03 and abs(means["video_id"] - 0.5) < 0.07, means
    assert 0.3 < means["own"] < 0.4


@pytest.mark.parametrize("count", [20, 55, 130])
def test_a_pair_is_drawn_as_often_as_its_probability_says(count: int) -> None:
    frame = collection(14, 0.2, users=4) if count < 130 else FRAME
    times: Counter[str] = Counter()
    said: defaultdict[str, list[float]] = defaultdict(list)
    draws = 400
    for seed in range(draws):
        for pair_id, each in draw(frame, count, seed).items():
            times[pair_id] += 1
            said[pair_id].append(each.probability)
    for pair_id, found in said.items():
        mean = sum(found) / len(found)
        assert abs(times[pair_id] / draws - mean) < 0.1, (pair_id, frame[pair_id], times[pair_id] / draws, mean)


def test_a_few_of_very_many_keep_their_small_probabilities() -> None:
    """Two of 120,000 pairs: a probability that is rounded to so many places after the point would be off, or none."""
    frame = {
        f"p{query} {at}": Framed(f"q{query}", f"v{(query + at) % 500}", at == 0, "yes" if at == 0 else "no")
        for query in range(20_000)
        for at in range(6)
    }
    drawn = draw(frame, 2, 0)
    turns = sorted(number_of(f"q{query}", 0) for query in range(20_000))
    for pair_id, each in drawn.items():
        place = 1 / 3 if frame[pair_id].own else 2 / 3 / 5
        assert each.probability == pytest.approx(turns[2] * place, rel=0.2), pair_id


def test_what_is_a_yes_comes_earlier_where_few_are() -> None:
    frame = collection(0, 0.1, users=50)
    share = dict.fromkeys((50, 100), 0.0)
    for seed in range(20):
        for count in share:
            drawn = draw(frame, count, seed).values()
            assert len(drawn) == count
            share[count] += sum(each.stratum == "yes" for each in drawn) / count / 20
    assert 0.25 < share[100] < share[50] < 0.5, "of one pair in ten"


def test_more_are_drawn_beside_the_first_and_their_probability_rises() -> None:
    first = draw(FRAME, 20, 0)
    second = draw(FRAME, 100, 0, first)
    assert first.keys() < second.keys()
    assert all(second[pair_id].probability > each.probability for pair_id, each in first.items())
    assert second == draw(FRAME, 100, 0), "as if drawn at once"


def test_the_weights_tell_how_many_pairs_there_are_whatever_was_drawn_before() -> None:
    """On average over draws: raised, with a teacher that says something else, in a collection that has grown."""
    before, after = collection(40, 0.4, 1, users=10), collection(55, 0.15, 2, users=10)
    told = {"yes": 0.0, "no": 0.0}
    for seed in range(100):
        drawn = draw(before, 60, seed)
        again = draw(after, 110, seed, drawn)
        both = kept_draws(again, drawn, drawn)
        for verdict in ("yes", "no"):
            told[verdict] += weighed(both, after, verdict) / 100
    for verdict, mean in told.items():
        there = sum(each.verdict == verdict for each in after.values())
        assert abs(mean - there) < 0.1 * there, (verdict, mean, there)


def test_the_seed_of_the_first_draw_stays() -> None:
    first = draw(FRAME, 20, 7)
    assert draw(FRAME, 20, 8, first) == first != draw(FRAME, 20, 8)


def test_what_nobody_answered_and_is_not_drawn_again_is_forgotten(tmp_path: Path) -> None:
    first = draw(FRAME, 60, 0)
    fewer = draw(FRAME, 20, 0, first)
    answered = sorted(first.keys() - fewer.keys())[:5]
    kept = kept_draws(fewer, first, [*answered, "p_of another run"])
    assert kept.keys() == fewer.keys() | set(answered)
    assert all(kept[pair_id].probability == first[pair_id].probability for pair_id in kept)
    write_draws(tmp_path, kept)
    assert read_draws(tmp_path) == kept and read_draws(tmp_path / "none") == {}
