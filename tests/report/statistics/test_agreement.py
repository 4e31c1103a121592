"""Agreement beside published libraries and published examples."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from hardcut.report.statistics.agreement import (
    _alpha_parts,
    _student,
    agreement,
    alpha,
    blind_answers,
    cohen,
    cohen_kappas,
    fleiss,
    share_interval,
)
from hardcut.schemas.judgments import Review

COLUMNS = st.lists(st.lists(st.integers(0, 2), min_size=3, max_size=3), min_size=2, max_size=40)


def table(rows: list[list[int]]) -> np.ndarray:
    return np.array([np.bincount(row, minlength=3) for row in rows])


def answers(rows: list[list[int]]) -> dict[tuple[str, str], dict[str, int]]:
    return {(f"p{n}", ""): dict(zip("abc", row, strict=False)) for n, row in enumerate(rows)}


@examples(max_examples=60, deadline=None)
@given(COLUMNS)
def test_fleiss_is_statsmodels(rows: list[list[int]]) -> None:
    inter_rater = pytest.importorskip("statsmodels.stats.inter_rater")
    found = fleiss(table(rows))
    if found is not None:
        assert found == pytest.approx(inter_rater.fleiss_kappa(table(rows)))
    else:
        assert len({value for row in rows for value in row}) == 1


@examples(max_examples=60, deadline=None)
@given(COLUMNS)
def test_cohen_is_scikit_learns(rows: list[list[int]]) -> None:
    from sklearn.metrics import cohen_kappa_score

    first, second = [row[0] for row in rows], [row[1] for row in rows]
    assume(len(set(first + second)) > 1)
    found = cohen(np.array([first, second]).T)
    assert found == pytest.approx(cohen_kappa_score(first, second))


def test_fleiss_of_a_published_example() -> None:
    """Fleiss (1971), table 1, as it is in every textbook: 14 raters, 10 subjects, 5 categories, kappa 0.21."""
    counts = [
        [0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1],
        [7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7],
    ]  # fmt: skip
    assert fleiss(np.array(counts)) == pytest.approx(0.210, abs=5e-4)


def test_alpha_of_a_published_example() -> None:
    """Krippendorff (2011), Computing Krippendorff's Alpha-Reliability, section B: binary data, two observers."""
    first, second = [0, 1, 0, 0, 0, 0, 0, 0, 1, 0], [1, 1, 1, 0, 0, 1, 0, 0, 0, 0]
    assert alpha(table([list(unit) for unit in zip(first, second, strict=True)])) == pytest.approx(0.095, abs=5e-4)


def test_all_of_it_with_intervals_around_it() -> None:
    dice = random.Random(3)
    truth = [dice.randrange(3) for _ in range(80)]
    rows = [[value if dice.random() < 0.8 else dice.randrange(3) for _ in range(3)] for value in truth]
    found = agreement(answers(rows))
    assert found is not None and (found.reviewers, found.pairs) == (3, 80)
    assert found.raw_interval[0] < found.raw < found.raw_interval[1] < 1
    for value, interval in ((found.alpha, found.alpha_interval), (found.fleiss, found.fleiss_interval)):
        assert value is not None and interval is not None and interval[0] < value < interval[1]
    assert found == agreement(answers(rows)), "the same each time"
    same = sum(
        first == second for row in rows for first, second in ((row[0], row[1]), (row[0], row[2]), (row[1], row[2]))
    )
    assert found.raw == pytest.approx(same / 240)
    assert [kappa.reviewers for kappa in cohen_kappas(answers(rows))] == [("a", "b"), ("a", "c"), ("b", "c")]


def test_where_nothing_can_be_said() -> None:
    assert agreement(answers([[1]])) is None
    same = agreement(answers([[1, 1], [1, 1]]))
    assert same is not None and (same.raw, same.alpha, same.fleiss) == (1.0, None, None)
    assert cohen_kappas(answers([[1]])) == []


def test_only_blind_answers_count() -> None:
    def review(reviewer: str, **fields: object) -> Review:
        given = {"blind": True, "status": "submitted", "relevance": 1, "query_digest": "0" * 64}
        return Review.create(
            **{"pair_id": "p", "query_id": "q", "video_id": "v", "reviewer": reviewer, **given, **fields}
        )

    found = blind_answers(
        [
            review("ada"),
            review("ben", blind=False),
            review("eve", status="draft"),
            review("joe", adjudicates=True),
            review("kim", relevance=None),
            review("zoe", query_digest="1" * 64),
        ]
    )
    assert found == {("p", "0" * 64): {"ada": 1}, ("p", "1" * 64): {"zoe": 1}}


def test_the_interval_of_a_share_is_wilsons() -> None:
    proportion = pytest.importorskip("statsmodels.stats.proportion")
    for right, of in ((0, 5), (3, 7), (50, 50), (1, 100)):
        assert share_interval(right, of) == pytest.approx(proportion.proportion_confint(right, of, method="wilson"))
    assert share_interval(0, 0) == (0.0, 1.0)


@examples(max_examples=40, deadline=None)
@given(COLUMNS)
def test_alpha_is_one_minus_its_two_parts(rows: list[list[int]]) -> None:
    """The interval is made of these."""
    expected = alpha(table(rows))
    if expected is not None:
        disagree, by_chance = _alpha_parts(table(rows))
        assert 1 - disagree / by_chance == pytest.approx(expected)


def test_where_all_agree_little_is_still_not_certain() -> None:
    """10 of 10: Wilson's lower end for a share of 10."""
    found = agreement(answers([[value, value] for value in (0, 1, 2, 0, 1, 2, 0, 1, 0, 0)]))
    assert found is not None and found.raw == 1 == found.raw_interval[1]
    assert found.raw_interval[0] == pytest.approx(10 / (10 + 1.96**2), abs=1e-3)
    assert found.fleiss_interval is not None and found.fleiss_interval[0] < 0.6
    assert _student(9) == pytest.approx(2.262, abs=1e-3) and _student(3) == pytest.approx(3.182, abs=0.03)


def test_many_pairs_do_not_take_long() -> None:
    dice = random.Random(4)
    found = agreement(answers([[dice.randrange(3), 0] for _ in range(4000)]))
    assert found is not None and found.raw_interval[1] - found.raw_interval[0] == pytest.approx(0.029, abs=0.003)
