"""People outrank teachers, no guess becomes a label, and every pair is accounted for."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from hardcut.publish.judgments import JudgmentStage, judge, negative_kind
from hardcut.schemas.base import Record
from hardcut.schemas.copies import Group
from hardcut.schemas.jsonl import write_records
from hardcut.schemas.judgments import Judgment, Review
from hardcut.schemas.records import Dropped, Evidence, Pair, Query, TeacherLabel, TeacherRef, Video
from hardcut.schemas.reviews import query_digest
from hardcut.schemas.settings import FilterSettings, JudgmentSettings

SETTINGS = JudgmentSettings(trusted_below=-6, suspected_above=8)
R = TypeVar("R", bound=Record)


class Records:
    """All records of a run in memory, sorted by id."""

    def __init__(self, records: list[Record]) -> None:
        self._records = sorted(records, key=lambda record: record.id)

    def all(self, kind: type[R]) -> Iterator[R]:
        return (record for record in self._records if isinstance(record, kind))

    def get(self, kind: type[R], id: str) -> R | None:
        return next((record for record in self.all(kind) if record.id == id), None)

    def about(self, kind: type[R], subject: str) -> list[R]:
        return [record for record in self.all(kind) if record.about == subject]


@pytest.fixture
def query(make: Any) -> Query:
    found: Query = make.query("a ball rolls left", "v1")
    return found


def outcome(told: Judgment | Dropped) -> tuple[int, str] | str:
    return told.reason if isinstance(told, Dropped) else (told.grade, told.source)


@pytest.mark.parametrize(
    "video, verdict, margin, expected",
    [
        ("v1", "yes", 3.0, (2, "teacher")),
        ("v1", "yes", 30.0, (2, "teacher")),
        ("v1", "yes", None, (2, "teacher")),
        ("v1", "no", -1.0, "misjudged_source"),
        ("v1", "yes", 0.49, "uncertain"),
        ("v2", "no", -0.49, "uncertain"),
        ("v2", "no", -0.5, (0, "teacher")),
        ("v2", "no", -6.0, (0, "teacher")),
        ("v2", "no", None, (0, "teacher")),
        ("v2", "yes", 8.0, "uncertain_positive"),
        ("v2", "yes", 8.01, "suspected_positive"),
        ("v2", "yes", None, "uncertain_positive"),
        ("v1", "unparsed", None, "unparsed"),
        ("v2", "unparsed", None, "unparsed"),
    ],
)
def test_what_a_teacher_says(
    make: Any, query: Query, video: str, verdict: str, margin: float | None, expected: tuple[int, str] | str
) -> None:
    pair = make.pair(query, video)
    assert outcome(judge(pair, query, [make.label(pair, verdict, margin)], [], SETTINGS)) == expected


@pytest.mark.parametrize("verdict, grade", [("yes", 2), ("no", 0)])
def test_a_users_query_takes_the_verdict(make: Any, verdict: str, grade: int) -> None:
    query = make.query("what the user asks")
    pair = make.pair(query, "v2")
    assert pair.expected == "unknown"
    told = judge(pair, query, [make.label(pair, verdict, 12 if grade else -1)], [], SETTINGS)
    assert outcome(told) == (grade, "teacher")


@pytest.mark.parametrize(
    "margin, expected", [(5.9, "weak_positive"), (6.0, (2, "teacher")), (0.2, "uncertain"), (None, (2, "teacher"))]
)
def test_a_yes_that_no_writer_shares_has_a_floor_of_its_own(make: Any, margin: float | None, expected: Any) -> None:
    query = make.query("what the user asks")
    pair = make.pair(query, "v2")
    floor = JudgmentSettings(positive_above=6)
    assert outcome(judge(pair, query, [make.label(pair, "yes", margin)], [], floor)) == expected
    assert outcome(judge(pair, query, [make.label(pair, "yes", 5.9)], [], SETTINGS)) == (2, "teacher")


def test_several_judges_can_promote_a_suspected_positive_where_they_agree(make: Any, query: Query) -> None:
    pair, source = make.pair(query, "v2"), make.pair(query, "v1")
    settings = JudgmentSettings(promoted_by=2, positive_above=6)

    def told(*labels: TeacherLabel, of: Pair = pair, by: JudgmentSettings = settings) -> Any:
        return outcome(judge(of, query, labels, [], by))

    def label(margin: float | None, model: str, verdict: str = "yes", sample: int = 0) -> TeacherLabel:
        teacher = TeacherRef(backend="openai", model=model)
        found: TeacherLabel = make.label(pair, verdict, margin, sample=sample, teacher=teacher)
        return found

    assert told(label(9, "a"), label(7, "b")) == (2, "teacher")
    assert told(label(9, "a"), label(7, "b"), by=SETTINGS) == "suspected_positive", "only where it is asked for"
    assert told(label(9, "a"), label(9, "a", sample=1)) == "suspected_positive", "one judge asked twice is one judge"
    assert told(label(9, "a"), label(5, "b")) == "suspected_positive", "each has to be sure"
    assert told(label(9, "a"), label(None, "b")) == "uncertain_positive"
    assert told(label(9, "a"), label(-3, "b", "no")) == "teachers_disagree"
    assert told(label(9, "a"), label(7, "b"), of=source) == (2, "teacher")
    written = pair.model_copy(update={"origins": ("counterfactual",)})
    assert told(label(9, "a"), label(7, "b"), of=written) == "suspected_positive", "it was verified to be none"
    with pytest.raises(ValueError, match="2 judges or more"):
        JudgmentSettings(promoted_by=1)


def test_several_labels_agree_or_leave_the_pair_out(make: Any, query: Query) -> None:
    pair = make.pair(query, "v2")
    low, high = make.label(pair, "no", -9, sample=0), make.label(pair, "no", -2, sample=1)
    agreed = judge(pair, query, [low, high], [], SETTINGS)
    assert isinstance(agreed, Judgment) and agreed.support == tuple(sorted((low.label_id, high.label_id)))
    assert negative_kind(agreed, [low, high], SETTINGS) == "hard"
    other = make.label(pair, "yes", 1, sample=2)
    assert outcome(judge(pair, query, [low, other], [], SETTINGS)) == "teachers_disagree"
    unread = make.label(pair, "unparsed", sample=3)
    assert outcome(judge(pair, query, [low, unread], [], SETTINGS)) == (0, "teacher")


def test_a_judge_that_saw_only_text_does_not_count(make: Any, query: Query) -> None:
    pair = make.pair(query, "v1")
    assert outcome(judge(pair, query, [make.label(pair, "yes", 5, input="text_only")], [], SETTINGS)) == "unlabelled"


@pytest.mark.parametrize(
    "margin, exact, expected",
    [(-6.0, True, "trusted"), (-5.99, True, "hard"), (-7.0, False, "trusted"), (None, False, "hard")],
)
def test_how_sure_a_negative_is(make: Any, query: Query, margin: float | None, exact: bool, expected: str) -> None:
    pair = make.pair(query, "v2")
    given = {"exact": True, "logprob_yes": -9.0, "logprob_no": -0.1} if exact else {}
    label = make.label(pair, "no", margin, **given)
    judgment = judge(pair, query, [label], [], SETTINGS)
    assert isinstance(judgment, Judgment)
    assert negative_kind(judgment, [label], SETTINGS) == expected


def test_a_persons_no_is_a_trusted_negative_and_a_yes_is_none(make: Any, query: Query) -> None:
    pair = make.pair(query, "v2")
    assert negative_kind(make.judgment(pair, 0), [], SETTINGS) == "trusted"
    assert negative_kind(make.judgment(pair, 2), [], SETTINGS) == "none"


@pytest.mark.parametrize("votes", list(itertools.product([0, 1, 2], repeat=3)))
def test_the_majority_of_people_outranks_the_teacher(make: Any, query: Query, votes: tuple[int, ...]) -> None:
    pair = make.pair(query, "v2")
    reviews = [make.review(pair, query, vote, name) for vote, name in zip(votes, "abc", strict=True)]
    told = judge(pair, query, [make.label(pair, "yes", 20)], reviews, SETTINGS)
    winners = [vote for vote in set(votes) if votes.count(vote) >= 2]
    assert outcome(told) == ((winners[0], "human") if winners else "reviewers_disagree")
    if isinstance(told, Judgment):
        assert set(told.support) == {review.review_id for review in reviews}


@pytest.mark.parametrize(
    "change",
    [{"status": "draft"}, {"status": "discarded"}, {"relevance": None}, {"query_digest": "0" * 64}],
    ids=["draft", "discarded", "no answer", "another wording"],
)
def test_answers_that_do_not_count(make: Any, query: Query, change: dict[str, Any]) -> None:
    pair = make.pair(query, "v1")
    relevance = change.pop("relevance", 0)
    review = make.review(pair, query, relevance, **change)
    assert outcome(judge(pair, query, [make.label(pair, "yes", 3)], [review], SETTINGS)) == (2, "teacher")


def test_a_reviewer_has_one_vote_and_the_blind_answer_is_it(make: Any, query: Query) -> None:
    pair = make.pair(query, "v1")
    blind, assisted = make.review(pair, query, 0, "ada"), make.review(pair, query, 2, "ada", blind=False)
    told = judge(pair, query, [], [assisted, blind], SETTINGS)
    assert isinstance(told, Judgment) and told.grade == 0 and told.support == (blind.review_id,)


def test_a_third_persons_adjudication_decides_and_nobody_elses(make: Any, query: Query) -> None:
    pair = make.pair(query, "v1")
    two = [make.review(pair, query, 0, "ada"), make.review(pair, query, 2, "ben")]
    assert outcome(judge(pair, query, [], two, SETTINGS)) == "reviewers_disagree"
    third = make.review(pair, query, 1, "eve", adjudicates=True, stratum="conflict")
    told = judge(pair, query, [], [*two, third], SETTINGS)
    assert outcome(told) == (1, "adjudicated") and isinstance(told, Judgment) and told.support == (third.review_id,)
    again = make.review(pair, query, 2, "ben", adjudicates=True, stratum="conflict")
    assert outcome(judge(pair, query, [], [*two, again], SETTINGS)) == "reviewers_disagree"


def test_what_the_user_knows_is_gold_and_is_not_outvoted(make: Any, query: Query) -> None:
    pair = make.pair(query, "v1")
    reviews = [make.review(pair, query, 0, name) for name in "abc"]
    assert outcome(judge(pair, query, [make.label(pair, "no", -9)], reviews, SETTINGS, imported=2)) == (2, "imported")


def test_a_query_that_changes_orphans_its_reviews(make: Any, query: Query) -> None:
    assert query_digest(query) != query_digest(make.query("a ball rolls right", "v1"))
    assert query_digest(query) == query_digest(make.query("a ball rolls left", "v9"))


def test_the_stage_accounts_for_every_pair(make: Any, query: Query, tmp_path: Path) -> None:
    pairs = [make.pair(query, f"v{i}") for i in range(1, 8)]
    orphan = Pair.create(query_id="q_gone", video_id="v1", origins=("mined",), expected="no")
    labels = [make.label(pairs[0], "yes", 4), make.label(pairs[1], "no", -8), make.label(pairs[2], "unparsed")]
    labels.append(make.label(pairs[3], "yes", 9))
    reviews: list[Review] = [make.review(pairs[3], query, 2), make.review(pairs[4], query, 0)]
    with (tmp_path / Review.FILE).open("w") as file:
        write_records(file, sorted(reviews, key=lambda review: review.review_id))
    stage = JudgmentStage(SETTINGS, reviews=tmp_path / Review.FILE)
    assert stage.kind == "collection"
    found = dict(stage.run(Records([query, *pairs, orphan, *labels])))
    assert list(found) == sorted([pair.pair_id for pair in pairs] + [orphan.pair_id])
    told = {
        unit: (output.drop.reason if output.drop else output.records[0].grade)  # type: ignore[attr-defined]
        for unit, output in found.items()
    }
    assert [told[pair.pair_id] for pair in pairs] == [2, 0, "unparsed", 2, 0, "unlabelled", "unlabelled"]
    assert told[orphan.pair_id] == "no_query"
    for unit, output in found.items():
        assert output.drop is None or (output.drop.item == unit and output.drop.stage == "judgments")


def test_the_stage_reads_what_it_joins() -> None:
    assert set(JudgmentStage(SETTINGS).reads) == {Video, Evidence, Query, Pair, TeacherLabel, Group}
    settings = JudgmentStage(SETTINGS).settings
    assert {"trusted_below": -6.0, "suspected_above": 8.0}.items() <= settings.items()
    assert settings != JudgmentStage(SETTINGS, FilterSettings(max_answers=1)).settings


def test_other_answers_are_another_key(make: Any, query: Query, tmp_path: Path) -> None:
    path = tmp_path / Review.FILE
    stage = JudgmentStage(SETTINGS, reviews=path)
    keys = [stage.settings]
    for relevance in (0, 2):
        path.write_text(make.review(make.pair(query, "v1"), query, relevance).model_dump_json() + "\n")
        keys.append(stage.settings)
    assert len({str(key) for key in keys}) == 3
