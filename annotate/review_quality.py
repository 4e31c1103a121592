"""What reviewing has shown: how far people agree, how good each is, how good the teachers are, what is still open."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from statistics import median

from pydantic import Field

from hardcut.annotate.policy import readable_labels
from hardcut.annotate.records import RunRecords
from hardcut.report.statistics.agreement import (
    Agreement,
    Answers,
    Interval,
    Kappa,
    agreement,
    blind_answers,
    cohen_kappas,
    share_interval,
)
from hardcut.report.statistics.audit import Cell, Judged, TeacherEstimate, estimate
from hardcut.schemas.base import Frozen
from hardcut.schemas.comparisons import agreed_orders, is_compared
from hardcut.schemas.judgments import Flag, Review
from hardcut.schemas.records import COUNTERFACTUAL, TeacherLabel
from hardcut.schemas.reviews import Consensus, consensus, is_answer, reviews_in_force
from hardcut.teacher.names import book_name

REPORT_FILE = "review.json"
"""Where a run's folder keeps the report, for its page."""
TOGETHER = "all together"


class Proportion(Frozen):
    """A count out of a total, with the 95 % interval of the share."""

    count: int
    total: int = Field(serialization_alias="of")
    interval: Interval

    @property
    def value(self) -> float | None:
        return self.count / self.total if self.total else None


class Reviewer(Frozen):
    """One person's work. `gold`: right where the answer is known (relevant or not); `with_others`: of the answers that
    others gave blind to the same pairs, the same ones; `changed`: of the suggestions shown, those not taken over.
    Seconds are known only between two answers without a pause."""

    name: str
    answers: int
    blind: int
    discarded: int
    seconds: float
    seconds_each: float | None
    gold: Proportion
    with_others: Proportion
    changed: Proportion


class GoldDispute(Frozen):
    """A pair where most reviewers say the opposite of what is known: one of both is wrong, and worth a look."""

    pair_id: str
    query: str
    video_id: str
    known: int
    said: tuple[int, ...]


class Compared(Frozen):
    """What people say who compared two videos: the answers that apply, the couples that they are about, and those on
    which people agree. `margins_follow`: of the couples of which people put one first, those where the teachers' mean
    margin does so too. They lie near the threshold, where order is hardest."""

    answers: int
    couples: int
    agreed: int
    margins_follow: Proportion


class ReviewReport(Frozen):
    """All of it. `by_kind` is agreement by the query's kind; `decided` counts pairs by who settled them; `orphans` are
    answers to a wording or a pair that the run no longer has; `nobody_left` are the conflicts on which everybody has
    voted who ever answered."""

    answers: int
    pairs: int
    drafts: int
    discarded: int
    orphans: int
    conflicts: tuple[str, ...]
    nobody_left: tuple[str, ...]
    decided: dict[str, int]
    flags: dict[Flag, int]
    rewrites: int
    suggestions_changed: Proportion
    agreement: Agreement | None
    by_kind: dict[str, Agreement]
    kappas: tuple[Kappa, ...]
    reviewers: tuple[Reviewer, ...]
    gold_disputes: tuple[GoldDispute, ...]
    teachers: tuple[TeacherEstimate, ...]
    compared: Compared | None = None


def assess_reviews(run: RunRecords) -> ReviewReport:
    """Over all reviews of a run. The same files give the same report."""
    reviews = [*(review for group in run.reviews.values() for review in group), *run.replaced]
    answered = [review for review in reviews if is_answer(review)]
    answers = blind_answers(reviews)
    orphans = {each.id for _, each in run.orphans()}
    judged = {review.pair_id for review in answered if review.review_id not in orphans}
    found = _consensus_by_pair(run)
    conflicts = tuple(sorted(id for id, each in found.items() if each is None and id in judged))
    return ReviewReport(
        answers=len(answered),
        pairs=len({review.pair_id for review in answered}),
        drafts=sum(review.status == "draft" for review in reviews),
        discarded=sum(review.status == "discarded" for review in reviews),
        orphans=len(orphans),
        conflicts=conflicts,
        nobody_left=tuple(id for id in conflicts if _nobody_left(run, id)),
        decided=dict(sorted(Counter(each.source for each in found.values() if each is not None).items())),
        flags=dict(sorted(Counter(flag for review in answered for flag in review.flags).items())),
        rewrites=len({(review.query_id, review.rewritten_query) for review in answered if review.rewritten_query}),
        suggestions_changed=_share(review.changed for review in answered if review.changed is not None),
        agreement=agreement(answers),
        by_kind=_by_kind(run, answers),
        kappas=tuple(cohen_kappas(answers)),
        reviewers=tuple(_reviewer(name, reviews, answers, run.known) for name in sorted({r.reviewer for r in reviews})),
        gold_disputes=tuple(_disputes(run)),
        teachers=tuple(_teachers(run)),
        compared=_compared(run),
    )


def _compared(run: RunRecords) -> Compared | None:
    """None where nobody was ever asked to compare."""
    if not run.comparisons:
        return None
    answers = [each for each in run.compared() if is_compared(each)]
    agreed = agreed_orders(answers)
    margins = {each.pair.pair_id: each.margin for each in run.candidates()}
    follow = []
    for each in agreed:
        if each.order is not None:
            better, worse = (margins.get(pair_id) for pair_id in each.order)
            if better is not None and worse is not None:
                follow.append(better > worse)
    return Compared(
        answers=len(answers),
        couples=len({(each.left.pair_id, each.right.pair_id) for each in answers}),
        agreed=len(agreed),
        margins_follow=_share(follow),
    )


def _consensus_by_pair(run: RunRecords) -> dict[str, Consensus | None]:
    """What people come to on every pair that was reviewed and that the user's own judgments do not know."""
    return {
        pair_id: consensus(reviews_in_force(run.queries[pair.query_id], run.reviews[pair_id]))
        for pair_id, pair in run.pairs.items()
        if pair_id in run.reviews and pair_id not in run.known
    }


def _nobody_left(run: RunRecords, pair_id: str) -> bool:
    """Whether everybody who ever answered has voted on a pair."""
    said = reviews_in_force(run.queries[run.pairs[pair_id].query_id], run.reviews[pair_id])
    return run.people() <= {review.reviewer for review in said}


def blind_truth(run: RunRecords) -> dict[str, bool]:
    """Whether a pair's video answers its query, by people who saw no teacher's verdict, and by the user's own
    judgments; pairs without a majority are left out."""
    truth = {pair_id: grade > 0 for pair_id, grade in run.known.items()}
    for pair_id, reviews in run.reviews.items():
        if pair_id in run.pairs and pair_id not in truth:
            query = run.queries[run.pairs[pair_id].query_id]
            found = consensus(reviews_in_force(query, [review for review in reviews if review.blind]))
            if found is not None:
                truth[pair_id] = found.relevance > 0
    return truth


def _share(values: Iterable[bool | None]) -> Proportion:
    found = list(values)
    count = sum(bool(value) for value in found)
    return Proportion(count=count, total=len(found), interval=share_interval(count, len(found)))


def _by_kind(run: RunRecords, answers: Answers) -> dict[str, Agreement]:
    kinds: defaultdict[str, dict[tuple[str, str], Mapping[str, int]]] = defaultdict(dict)
    for (pair_id, query_digest), given in answers.items():
        if pair_id in run.pairs:
            kinds[run.queries[run.pairs[pair_id].query_id].kind][pair_id, query_digest] = given
    found = {kind: agreement(given) for kind, given in sorted(kinds.items())}
    return {kind: each for kind, each in found.items() if each is not None}


def _reviewer(name: str, reviews: Sequence[Review], answers: Answers, known: Mapping[str, int]) -> Reviewer:
    mine = [review for review in reviews if review.reviewer == name]
    answered = [review for review in mine if is_answer(review)]
    seconds = [review.seconds for review in answered if review.seconds is not None]
    gold = [
        (relevance > 0) == (known[pair_id] > 0)
        for (pair_id, _), given in answers.items()
        for reviewer, relevance in given.items()
        if reviewer == name and pair_id in known
    ]
    same = [
        given[name] == other
        for given in answers.values()
        if name in given
        for reviewer, other in sorted(given.items())
        if reviewer != name
    ]
    return Reviewer(
        name=name,
        answers=len(answered),
        blind=sum(review.blind and not review.adjudicates for review in answered),
        discarded=sum(review.status == "discarded" for review in mine),
        seconds=round(sum(seconds), 3),
        seconds_each=round(median(seconds), 3) if seconds else None,
        gold=_share(gold),
        with_others=_share(same),
        changed=_share(review.changed for review in answered if review.changed is not None),
    )


def _disputes(run: RunRecords) -> Iterable[GoldDispute]:
    for pair_id, grade in sorted(run.known.items()):
        if pair_id not in run.pairs or pair_id not in run.reviews:
            continue
        pair = run.pairs[pair_id]
        query = run.queries[pair.query_id]
        people = reviews_in_force(query, run.reviews[pair_id])
        against = [review for review in people if (review.relevance or 0) > 0 and grade <= 0]
        against += [review for review in people if review.relevance == 0 and grade > 0]
        if 2 * len(against) > len(people):
            said = tuple(sorted(review.relevance or 0 for review in people))
            yield GoldDispute(pair_id=pair_id, query=query.text, video_id=pair.video_id, known=grade, said=said)


def _teachers(run: RunRecords) -> list[TeacherEstimate]:
    """Each teacher, and all together where there are several, over the pairs that the audit is drawn from: not those of
    counterfactuals."""
    said: defaultdict[str, dict[str, bool]] = defaultdict(dict)
    for pair_id, labels in run.labels.items():
        if pair_id in run.known or run.queries[run.pairs[pair_id].query_id].variant in COUNTERFACTUAL:
            continue
        by_teacher: defaultdict[str, list[TeacherLabel]] = defaultdict(list)
        for label in readable_labels(labels):
            by_teacher[book_name(label.teacher)].append(label)
            by_teacher[TOGETHER].append(label)
        for teacher, theirs in by_teacher.items():
            said[teacher][pair_id] = 2 * sum(label.verdict == "yes" for label in theirs) >= len(theirs)
    names = [name for name in sorted(said) if name != TOGETHER]
    drawn = _drawn(run, said[TOGETHER])
    if not names or all(each.relevant is None for each in drawn.values()):
        return []
    return [_estimate(run, name, said[name], drawn) for name in ([*names, TOGETHER] if names[1:] else names)]


def _estimate(run: RunRecords, teacher: str, said: Mapping[str, bool], drawn: Mapping[str, Judged]) -> TeacherEstimate:
    cells: defaultdict[tuple[bool, bool], list[str]] = defaultdict(list)
    for pair_id, verdict in said.items():
        pair = run.pairs[pair_id]
        cells[verdict, run.queries[pair.query_id].source_video_id == pair.video_id].append(pair_id)
    told = [
        Cell(yes, len(pairs), [drawn[pair_id] for pair_id in pairs if pair_id in drawn], own)
        for (yes, own), pairs in sorted(cells.items())
    ]
    return estimate(teacher, told)


def _drawn(run: RunRecords, together: Mapping[str, bool]) -> dict[str, Judged]:
    """The pairs of the audit with their probabilities, and what people say of them blind. Early versions noted no
    probability: there it is the share of the pairs of its verdict that were drawn."""
    audited = {
        pair_id
        for pair_id, reviews in run.reviews.items()
        if any(review.stratum == "audit" and not review.adjudicates for review in reviews)
    }
    sizes, counts = Counter(together.values()), Counter(together[id] for id in audited if id in together)
    found = {}
    for pair_id in sorted((audited | run.drawn.keys()) & together.keys()):
        noted, verdict = run.drawn.get(pair_id), together[pair_id]
        probability = noted.probability if noted is not None else counts[verdict] / sizes[verdict]
        found[pair_id] = Judged(probability, _relevant(run, pair_id))
    return found


def _relevant(run: RunRecords, pair_id: str) -> bool | None:
    """Whether people who saw no verdict take a pair for relevant; None where nobody answered, and in a tie, which a
    further person settles. (Most ties are one error beside a right answer. Where few pairs are relevant, to count them
    half would find more than there are.)"""
    query = run.queries[run.pairs[pair_id].query_id]
    blind = reviews_in_force(query, [review for review in run.reviews.get(pair_id, ()) if review.blind])
    people = [review for review in blind if review.adjudicates] or blind
    if not people:
        return None
    yes = sum((review.relevance or 0) > 0 for review in people)
    return None if 2 * yes == len(people) else 2 * yes > len(people)
