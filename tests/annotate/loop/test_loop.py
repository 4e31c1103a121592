"""The whole loop against a real server: three people with known habits, and numbers that can be checked by hand."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Collection
from itertools import combinations
from pathlib import Path
from typing import Any

import krippendorff
import pytest
from sklearn.metrics import cohen_kappa_score

from hardcut.annotate.draws import Drawn
from hardcut.annotate.sets import RELEVANCE
from hardcut.pipeline.run_export import export_run
from hardcut.publish.dataset import Dataset
from hardcut.schemas.jsonl import read_records
from hardcut.schemas.judgments import Judgment
from hardcut.schemas.records import COUNTERFACTUAL, Dropped, Pair, Query, TeacherLabel

Review_ = Callable[..., dict[str, Any]]
NAMES = {value: name for name, (value, _) in RELEVANCE.items()}


def truth_of(pair_id: str) -> int:
    """What the video truly is to the query, in this made-up world: some answer, some do in part, most do not."""
    return random.Random(pair_id).choice((2, 2, 1, 0, 0, 0))


def habit(name: str, pair_id: str) -> int:
    """The careful one is right but for one in ten, the hasty one says yes half of the time without looking, the
    contrary one turns yes and no round."""
    truth, dice = truth_of(pair_id), random.Random(f"{name} {pair_id}")
    if name == "alice":
        return truth if dice.random() < 0.9 else 1
    if name == "bob":
        return 2 if dice.random() < 0.5 else truth
    return 2 - truth


def test_three_people_with_known_habits(sample: Any, review: Review_, people: Any) -> None:
    """The story of a run: asked, answered, measured, settled, adjudicated, and gone on with."""
    planned = {item["pair_id"]: item["stratum"] for item in review("plan")["items"]}
    pushed = review("push")["sets"]
    assert {each["set"]: each["pushed"] for each in pushed} == {"blind": 16, "assisted": 12, "adjudication": 0}
    assert not any(each["without_preview"] for each in pushed)
    blind, assisted = (people["owner"].records(f"{sample.run.name}-{name}") for name in ("blind", "assisted"))
    assert {record["external_id"]: record["metadata"]["stratum"] for record in blind + assisted} == planned
    assert all(not record["suggestions"] for record in blind) and all(record["suggestions"] for record in assisted)
    check_blind(blind, sample.run)

    said = answer_blind(blind, people)
    reworded = answer_assisted(assisted, people["alice"])
    pulled = review("pull")
    assert (pulled["new"], pulled["changed"], pulled["withdrawn"]) == (60, 0, 0)
    found = review("report")
    check_agreement(found, said, sample.run)
    check_reviewers(found, said, sample.run)
    assert (found["suggestions_changed"]["count"], found["suggestions_changed"]["of"]) == (4, 12)
    assert found["flags"] == {"ambiguous": 4} and found["rewrites"] == 4

    audit = {pair_id: answers for pair_id, answers in said.items() if planned[pair_id] == "audit"}
    most = {pair_id: Counter(answers.values()).most_common(1)[0] for pair_id, answers in audit.items()}
    settled = {pair_id: grade for pair_id, (grade, count) in most.items() if count >= 2}
    torn = audit.keys() - settled.keys()
    assert len(torn) >= 2
    check_teacher(found, audit, sample.run)
    check_judgments(settled, torn, [record["external_id"] for record in assisted], sample.run)
    assert torn == set(found["conflicts"])
    assert 'id="review"' in (sample.run / "report.html").read_text()

    # A third person looks at the conflicts; who has answered before is none.
    again = {each["set"]: each["pushed"] for each in review("push")["sets"]}
    assert again == {"blind": 0, "assisted": 0, "adjudication": len(torn)}
    for record in people["owner"].records(f"{sample.run.name}-adjudication"):
        people["alice"].answer(record, "answers")
        people["owner"].answer(record, "in_part")
    review("pull")
    judgments = judgments_of(sample.run)
    assert {(judgments[pair_id].source, judgments[pair_id].grade) for pair_id in torn} == {("adjudicated", 1)}
    assert review("report")["conflicts"] == []

    # The next run scores the rewrites and keeps what people said.
    sample.again()
    queries = {query.query_id: query for query in read_records(sample.run / Query.FILE, Query)}
    rewritten = [query for query in queries.values() if query.variant == "rewritten"]
    assert {query.text for query in rewritten} == reworded
    assert all(query.parent_query_id in queries for query in rewritten)
    now = judgments_of(sample.run)
    assert all(now[pair_id] == judgment for pair_id, judgment in judgments.items())
    asked = {label.query_id for label in read_records(sample.run / TeacherLabel.FILE, TeacherLabel)}
    left_out = {each.item for each in read_records(sample.run / Dropped.FILE, Dropped)}
    assert all(query.query_id in asked | left_out for query in rewritten) and asked & {q.query_id for q in rewritten}


def check_blind(records: list[dict[str, Any]], run: Path) -> None:
    """A page shows its query and what is the same on every page of its video, so that no predictor does better."""
    pairs = {pair.pair_id: pair for pair in read_records(run / Pair.FILE, Pair)}
    queries = {query.query_id: query for query in read_records(run / Query.FILE, Query)}
    own = dict[str, set[bool]]()
    shown = dict[str, set[str]]()
    for record in records:
        pair, page = pairs[record["external_id"]], page_of(record)
        query = queries[pair.query_id]
        assert (page.pop("query"), page.pop("language")) == (query.text, query.language)
        shown.setdefault(pair.video_id, set()).add(json.dumps(page, sort_keys=True))
        own.setdefault(pair.video_id, set()).add(query.source_video_id == pair.video_id)
    assert all(len(pages) == 1 for pages in shown.values())
    assert any(len(met) == 2 for met in own.values()), "a video of both kinds is among them"


def answer_blind(records: list[dict[str, Any]], people: Any) -> dict[str, dict[str, int]]:
    """All three answer all, two of them each differently; what each said of each pair."""
    said: dict[str, dict[str, int]] = {}
    torn = [record["id"] for record in records if record["metadata"]["stratum"] == "audit"][:2]
    for record in records:
        for at, name in enumerate(("alice", "bob", "carol")):
            answer = at if record["id"] in torn else habit(name, record["external_id"])
            people[name].answer(record, NAMES[answer])
            said.setdefault(record["external_id"], {})[name] = answer
    return said


def answer_assisted(records: list[dict[str, Any]], person: Any) -> set[str]:
    """One person takes over 8 suggestions and changes 4, for which she proposes other words; those words."""
    for record in records[:8]:
        person.answer(record, record["suggestions"][0]["value"])
    for record in records[8:]:
        other = "does_not" if record["suggestions"][0]["value"] == "answers" else "answers"
        text = f"{page_of(record)['query']}, in other words {record['external_id']}"
        person.answer(record, other, moment="0:01-0:02.5", flags=["ambiguous"], rewrite=text)
    return {f"{page_of(record)['query']}, in other words {record['external_id']}" for record in records[8:]}


def check_agreement(found: dict[str, Any], said: dict[str, dict[str, int]], run: Path) -> None:
    """By hand (counting over what was sent) and by published libraries."""
    rows = [[answers[name] for name in ("alice", "bob", "carol")] for answers in said.values()]
    same = sum((a == b) + (a == c) + (b == c) for a, b, c in rows)
    told = found["agreement"]
    assert told["raw"] == pytest.approx(same / (3 * len(rows)))
    columns = list(zip(*rows, strict=True))
    for name, level in (("alpha", "nominal"), ("alpha_ordinal", "ordinal")):
        assert told[name] == pytest.approx(krippendorff.alpha(columns, level_of_measurement=level))
    inter_rater = pytest.importorskip("statsmodels.stats.inter_rater")
    table, _ = inter_rater.aggregate_raters(rows)
    assert told["fleiss"] == pytest.approx(inter_rater.fleiss_kappa(table))
    kappas = {tuple(each["reviewers"]): each["kappa"] for each in found["kappas"]}
    for (first, a), (second, b) in combinations(zip(("alice", "bob", "carol"), columns, strict=True), 2):
        assert kappas[first, second] == pytest.approx(cohen_kappa_score(a, b))
    kinds = {query.query_id: query.kind for query in read_records(run / Query.FILE, Query)}
    pairs = {pair.pair_id: pair for pair in read_records(run / Pair.FILE, Pair)}
    counted = Counter(kinds[pairs[pair_id].query_id] for pair_id in said)
    assert {kind: each["pairs"] for kind, each in found["by_kind"].items()} == counted


def check_reviewers(found: dict[str, Any], said: dict[str, dict[str, int]], run: Path) -> None:
    """Each against what is known, and against the others."""
    gold = {id: judgment.grade > 0 for id, judgment in judgments_of(run).items() if judgment.source == "imported"}
    people = {each["name"]: each for each in found["reviewers"]}
    for name, each in people.items():
        known = [(answers[name] > 0) == gold[pair_id] for pair_id, answers in said.items() if pair_id in gold]
        assert (each["gold"]["count"], each["gold"]["of"]) == (sum(known), 4) and len(known) == 4
        same = sum(answers[name] == answers[other] for answers in said.values() for other in people if other != name)
        assert (each["with_others"]["count"], each["with_others"]["of"]) == (same, 32)
        assert each["seconds"] > 0
    assert people["carol"]["with_others"]["count"] < people["alice"]["with_others"]["count"]


def check_teacher(found: dict[str, Any], audit: dict[str, dict[str, int]], run: Path) -> None:
    """Precision and recall from the audit, by hand: of three people two say whether it is relevant. Each pair counts by
    one over its probability, among the pairs of the same verdict that are alike in being a query's own."""
    known = {id for id, judgment in judgments_of(run).items() if judgment.source == "imported"}
    found_labels = read_records(run / TeacherLabel.FILE, TeacherLabel)
    labels = {each.pair_id: each.verdict for each in found_labels if each.input == "full" and each.pair_id not in known}
    queries = {query.query_id: query for query in read_records(run / Query.FILE, Query)}
    pairs = {pair.pair_id: pair for pair in read_records(run / Pair.FILE, Pair)}
    own = {id: queries[pair.query_id].source_video_id == pair.video_id for id, pair in pairs.items()}
    size = Counter(
        (verdict, own[pair_id])
        for pair_id, verdict in labels.items()
        if queries[pairs[pair_id].query_id].variant not in COUNTERFACTUAL
    )
    right: Counter[tuple[str, bool]] = Counter()
    whole: Counter[tuple[str, bool]] = Counter()
    for drawn in read_records(run / Drawn.FILE, Drawn):
        cell = (labels[drawn.pair_id], own[drawn.pair_id])
        whole[cell] += 1 / drawn.probability
        right[cell] += (sum(grade > 0 for grade in audit[drawn.pair_id].values()) >= 2) / drawn.probability
    share = {
        verdict: sum(right[cell] for cell in whole if cell[0] == verdict)
        / sum(whole[cell] for cell in whole if cell[0] == verdict)
        for verdict in ("yes", "no")
    }
    answered = {
        verdict: sum(
            count * (right[cell] / whole[cell] if cell in whole else share[verdict])
            for cell, count in size.items()
            if cell[0] == verdict
        )
        for verdict in ("yes", "no")
    }
    (teacher,) = found["teachers"]
    assert teacher["audited"] == len(audit) and teacher["pairs"] == size.total()
    precision = answered["yes"] / sum(count for cell, count in size.items() if cell[0] == "yes")
    assert teacher["precision"] == pytest.approx(precision)
    assert teacher["recall"] == pytest.approx(answered["yes"] / sum(answered.values()))
    assert teacher["precision_interval"][0] <= precision <= teacher["precision_interval"][1]


def check_judgments(settled: dict[str, int], torn: Collection[str], assisted: list[str], run: Path) -> None:
    """People outrank teachers, in the judgments and in what is exported."""
    judgments = judgments_of(run)
    for pair_id, grade in settled.items():
        assert (judgments[pair_id].source, judgments[pair_id].grade) == ("human", grade)
    assert {judgments[pair_id].source for pair_id in assisted} == {"human"}
    reasons = {each.item: each.reason for each in read_records(run / Dropped.FILE, Dropped)}
    assert {reasons[pair_id] for pair_id in torn} == {"reviewers_disagree"}
    out = run.parent / "dataset"
    export_run(run, out)
    by_people = [row for _, row in Dataset(out).rows("pairs") if row["label_source"] == "human"]
    assert by_people and all(row["label"] == judgments[row["pair_id"]].grade for row in by_people)
    assert "blind to the teacher" in (out / "README.md").read_text()


def page_of(record: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(record["fields"]["page"]["page"])
    return found


def judgments_of(run: Path) -> dict[str, Judgment]:
    return {each.pair_id: each for each in read_records(run / Judgment.FILE, Judgment)}


def test_twice_changes_nothing(sample: Any, review: Review_, people: Any) -> None:
    review("push", "--budget", "12")
    (record, *_) = people["owner"].records(f"{sample.run.name}-blind")
    people["bob"].answer(record, "answers")
    review("pull")
    files = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in sample.run.glob("*.jsonl")}
    records = [people["owner"].records(f"{sample.run.name}-{name}") for name in ("blind", "assisted")]
    told = review("pull")
    assert (told["new"], told["changed"], told["withdrawn"], told["reviews"]) == (0, 0, 0, 1)
    again = review("push", "--budget", "12")
    assert sum(each["pushed"] + each["removed"] for each in again["sets"]) == 0
    assert {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in sample.run.glob("*.jsonl")} == files
    assert [people["owner"].records(f"{sample.run.name}-{name}") for name in ("blind", "assisted")] == records


def test_a_larger_budget_adds_and_a_smaller_one_takes_away_what_nobody_answered(
    sample: Any, review: Review_, people: Any
) -> None:
    review("push", "--budget", "12")
    first = people["owner"].records(f"{sample.run.name}-blind")
    review("push", "--budget", "24")
    second = people["owner"].records(f"{sample.run.name}-blind")
    assert {each["id"] for each in first} < {each["id"] for each in second}
    dropped = next(each for each in second if each["id"] not in {one["id"] for one in first})
    people["bob"].answer(dropped, "answers")
    review("push", "--budget", "12")
    third = {each["id"] for each in people["owner"].records(f"{sample.run.name}-blind")}
    assert third == {each["id"] for each in first} | {dropped["id"]}, "what was answered stays"
