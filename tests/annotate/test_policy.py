"""What a budget buys: the audit is always there, nothing is asked twice, and answers do not change the plan."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from hardcut.annotate.policy import REASONS, ReviewCandidate, ReviewItem, ReviewPlan, further_change, plan_review
from hardcut.schemas.judgments import Stratum
from hardcut.schemas.records import Pair, Query, TeacherLabel, TeacherRef
from hardcut.schemas.settings import ReviewSettings

TEACHER = TeacherRef(backend="test", model="m")


def candidate(number: int, margin: float | None = -9.0, reason: str | None = None, **fields: object) -> ReviewCandidate:
    known = bool(fields.pop("known", False))
    asked: Stratum | None = fields.pop("asked", None)  # type: ignore[assignment]
    query = Query.create(text=f"query {number}", view="all", kind="event", **fields)
    pair = Pair.create(query_id=query.query_id, video_id="v", origins=("mined",), expected="unknown")
    labels = ()
    if margin is not None:
        verdict = "yes" if margin > 0 else "no"
        names = {"pair_id": pair.pair_id, "query_id": query.query_id, "video_id": "v", "teacher": TEACHER}
        labels = (TeacherLabel.create(**names, verdict=verdict, logit_margin=margin),)
    return ReviewCandidate(pair, query, labels, reason, known, asked)


def strata(found: ReviewPlan) -> dict[str, Stratum]:
    return {item.pair_id: item.stratum for item in found.items}


def world() -> list[ReviewCandidate]:
    reasons = [None, "suspected_positive", "misjudged_source", "teachers_disagree", None]
    some = [candidate(n, (-1) ** (n % 3) * (n % 23) / 2, reasons[n % 5]) for n in range(300)]
    some += [candidate(1000 + n, known=True) for n in range(30)]
    return some + [candidate(2000 + n, -3.0, variant="negated") for n in range(60)]


def test_a_budget_is_kept_and_shared() -> None:
    settings = ReviewSettings(budget=200, overlap=2, audit=0.4, gold=0.1)
    found = plan_review(world(), [], settings)
    shares = {share.stratum: share for share in found.shares}
    assert sum(share.answers for share in found.shares) == 200
    assert (shares["audit"].records, shares["audit"].answers, shares["gold"].records) == (40, 80, 10)
    told = [shares[each].records for each in ("disagreement", "suspected", "margin", "counterfactual")]
    assert sum(told) == 100 and told[3] == 0 and max(told[:3]) - min(told[:3]) <= 1
    assert len(strata(found)) == len(found.items), "no pair is asked twice"
    assert {item.set for item in found.items if item.stratum in ("audit", "gold")} == {"blind"}


def test_the_audit_is_never_left_out() -> None:
    some = [candidate(n, 5.0 if n < 30 else -9.0) for n in range(600)]
    found = plan_review(some, [], ReviewSettings(budget=100, overlap=1, audit=0.4, gold=0))
    assert len([item.pair_id for item in found.items if item.stratum == "audit"]) == 40
    least = plan_review(some, [], ReviewSettings(budget=1, overlap=3, audit=0.01, gold=0.5))
    assert [item.stratum for item in least.items] == ["audit"]


def test_the_order_of_blind_pages_tells_nothing() -> None:
    """Of 20 queries the own pair and one of four others are asked: in the order that they are drawn in, most own pairs
    come before the others."""
    some = []
    for n in range(20):
        one = candidate(n, 5.0, source_video_id="v")
        rest = [
            Pair.create(query_id=one.query.query_id, video_id=f"v{at}", origins=("mined",), expected="no")
            for at in range(4)
        ]
        some += [one, *(ReviewCandidate(pair, one.query, one.labels) for pair in rest)]
    own = {each.pair.pair_id for each in some if each.is_own}
    aucs = []
    for seed in range(20):
        found = plan_review(some, [], ReviewSettings(budget=40, overlap=1, audit=1, gold=0, seed=seed))
        order = [item.pair_id in own for item in found.items]
        before = sum(order[:place].count(False) for place, said in enumerate(order) if said)
        aucs.append(before / (order.count(True) * order.count(False)))
    assert 0.4 < sum(aucs) / len(aucs) < 0.6


def test_counterfactuals_are_not_in_the_audit() -> None:
    """Each meets one video alone: by its words a page would tell what is expected."""
    found = plan_review(world(), [], ReviewSettings(budget=2000, overlap=1, audit=1, gold=0))
    changed = {each.pair.pair_id for each in world() if each.query.variant == "negated"}
    audit = {item.pair_id for item in found.items if item.stratum == "audit"}
    assert len(audit) == 300 and not audit & changed


def test_the_most_urgent_come_first() -> None:
    some = [candidate(n, n / 10 + 0.1, "suspected_positive") for n in range(60)]
    some += [candidate(100 + n, -n / 10 - 0.1) for n in range(60)]
    found = plan_review(some, [], ReviewSettings(budget=20, overlap=1, audit=0.1, gold=0, near_margin=1))
    margins = {each.pair.pair_id: each.margin or 0 for each in some}
    audit = {item.pair_id for item in found.items if item.stratum == "audit"}
    suspected = sorted(margins[item.pair_id] for item in found.items if item.stratum == "suspected")
    rest = sorted(
        (each.margin for each in some if each.reason and each.pair.pair_id not in audit), key=lambda m: m or 0
    )
    assert suspected == rest[-len(suspected) :], "of the suspected the teacher's surest"
    near = [abs(margins[item.pair_id]) for item in found.items if item.stratum == "margin"]
    assert near and max(near) <= 1


def test_pairs_without_a_label_come_before_counterfactuals_and_certain_ones_never() -> None:
    some = [candidate(n, 9.0, "suspected_positive") for n in range(10)]
    some += [candidate(100 + n, -3.0, variant="negated") for n in range(10)]
    some += [candidate(200 + n, -9.0, variant="negated") for n in range(40)]
    found = plan_review(some, [], ReviewSettings(budget=60, overlap=1, audit=0.05, gold=0))
    audit = {item.pair_id for item in found.items if item.stratum == "audit"}
    asked = {each.pair.pair_id: each for each in some if each.pair.pair_id in strata(found).keys() - audit}
    assert not any(each.margin == -9.0 for each in asked.values())
    assert {item.stratum for item in found.items} == {"audit", "suspected", "counterfactual"}
    few = plan_review(some, [], ReviewSettings(budget=8, overlap=1, audit=0.05, gold=0))
    assert {item.stratum for item in few.items} == {"audit", "suspected"}


def test_every_query_has_one_pair_asked_before_any_has_its_second() -> None:
    one = candidate(0, 9.0, "suspected_positive")
    pairs = [
        Pair.create(query_id=one.query.query_id, video_id=f"v{n}", origins=("mined",), expected="no") for n in range(9)
    ]
    many = [ReviewCandidate(pair, one.query, one.labels, one.reason) for pair in pairs]
    rest = [candidate(100 + n, 3.0, "suspected_positive") for n in range(9)]
    found = plan_review([*many, *rest], [], ReviewSettings(budget=8, overlap=1, audit=0.1, gold=0))
    queries = {each.pair.pair_id: each.query.query_id for each in [*many, *rest]}
    asked = [queries[item.pair_id] for item in found.items if item.stratum == "suspected"]
    assert len(asked) == len(set(asked)) == 7


def test_what_further_answers_bring() -> None:
    some = [candidate(n, 9.0, "suspected_positive") for n in range(30)]
    some += [candidate(100 + n, -1.0) for n in range(300)]
    settings = ReviewSettings(budget=10, overlap=1, audit=0.1, gold=0)
    missing, changed = further_change(some, settings)
    assert 20 <= missing <= 30 and changed == pytest.approx((100 - 10 - missing) / (1 + math.exp(1.0)), rel=0.3)


@pytest.mark.parametrize("reason", sorted(REASONS))
def test_every_reason_of_the_table_is_asked(reason: str) -> None:
    some = [candidate(n, 9.0 if n % 2 else -9.0, reason if n % 2 else None) for n in range(20)]
    found = plan_review(some, [], ReviewSettings(budget=8, overlap=1, audit=0.25, gold=0))
    assert list(strata(found).values()).count(REASONS[reason]) == 6


@examples(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 150), st.integers(1, 4))
def test_answers_change_nothing_in_the_plan(seed: int, budget: int, overlap: int) -> None:
    """Some are answered and judged: their reason is gone, the plan is the same."""
    settings = ReviewSettings(budget=budget, overlap=overlap, seed=seed)
    before = plan_review(world(), [], settings)
    told = strata(before)
    after = [
        ReviewCandidate(each.pair, each.query, each.labels, None, each.known, told[each.pair.pair_id])
        if told.get(each.pair.pair_id) and hash((seed, each.pair.pair_id)) % 2
        else each
        for each in world()
    ]
    found = plan_review(after, [], settings)
    assert found == ReviewPlan(before.items, found.shares, before.drawn)
    assert plan_review(list(reversed(world())), [], settings).items == before.items


def test_conflicts_come_on_top() -> None:
    settings = ReviewSettings(budget=10, overlap=1)
    found = plan_review(world(), ["p_1", "p_2"], settings)
    assert [item for item in found.items if item.set == "adjudication"] == sorted(
        (ReviewItem("p_1", "conflict"), ReviewItem("p_2", "conflict")), key=lambda item: found.items.index(item)
    )
    assert sum(share.answers for share in found.shares if share.stratum != "conflict") == 10
