"""Who says what about a pair, and what of it training may see: people before teachers, and no guess becomes a label."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import JsonValue

from hardcut.engine.files import sha256_of
from hardcut.engine.stage import Output, Reader
from hardcut.publish._scratch import Merge, Scratch
from hardcut.publish.filters import Tally, is_filtered
from hardcut.schemas.base import Record
from hardcut.schemas.comparisons import Agreed, Comparison, agreed_orders, applies, contradictions
from hardcut.schemas.copies import Group
from hardcut.schemas.flags import NOTHING_FLAGGED, Flagged, Withheld, flagged
from hardcut.schemas.guards import Answer, Unchecked
from hardcut.schemas.ids import digest
from hardcut.schemas.jsonl import format_record, parse_record, read_records
from hardcut.schemas.judgments import ANSWERS, Judgment, Review
from hardcut.schemas.records import Dropped, Evidence, Pair, Query, TeacherLabel, Video
from hardcut.schemas.reviews import consensus, of_content, reviews_in_force
from hardcut.schemas.settings import FilterSettings, JudgmentSettings
from hardcut.schemas.user_judgments import read_judgments, read_moments

STAGE = "judgments"
Negative = Literal["trusted", "hard", "none"]
_WITHHELD: Mapping[Withheld, str] = {
    "flagged_unsafe": "a reviewer says that its video or its query is unsafe or personal",
    "flagged_broken": "reviewers say that its video is broken",
}


def judge(
    pair: Pair,
    query: Query,
    labels: Sequence[TeacherLabel],
    reviews: Sequence[Review],
    settings: JudgmentSettings,
    imported: int | None = None,
    trust_source: bool = False,
) -> Judgment | Dropped:
    """The judgment on one pair, or why it has none.

    A judgment of the user's own file (`imported`) stands as it is, with its grade: shown to reviewers it is gold that
    they are measured by, not a question. One below 0, as some qrels have for spam, is not relevant.

    People outrank teachers: who adjudicated decides, else more than half of the reviewers, and where no grade has more
    than half the pair is left out (`reviewers_disagree`), whatever the teachers say.

    Teachers (RANKVIDEO, section on synthesis), over all labels that saw the video and could be read:

    * expected yes (the query was written from this video): yes is the grade `ANSWERS`; no is
      `misjudged_source`, left out, unless with `trust_source` the writer is believed.
    * expected no (a mined candidate, a counterfactual): left out as `suspected_positive` with a margin above a2,
      whatever the verdict, since a2 may lie below 0; else no is grade 0 and yes is left out as `uncertain_positive`: a
      positive that the query was not written for is never a label without a person.
    * expected unknown (the user's own query; a twin of what a reversed query was written from): yes is `ANSWERS`, no
      is 0, but a yes with a margin below `positive_above` is left out as `weak_positive`: there is no writer who says
      the same.

    With `promoted_by`, a mined candidate that so many different judges take for relevant, each with a margin of at
    least `positive_above`, is `ANSWERS`.

    Labels that disagree leave the pair out (`teachers_disagree`), and so does a margin nearer to 0 than
    `undecided_within` (`uncertain`): that is for people. With no label it is `unlabelled` or `unparsed`.
    """
    if imported is not None:
        return _judgment(pair, max(imported, 0), "imported", ())

    people = reviews_in_force(query, reviews)
    return _by_people(pair, people) if people else _by_teachers(pair, labels, settings, trust_source)


def _by_people(pair: Pair, reviews: Sequence[Review]) -> Judgment | Dropped:
    """What reviewers come to; nothing where no grade has more than half of them."""
    found = consensus(reviews)
    if found is None:
        votes = Counter(review.relevance for review in reviews)
        return _left_out(
            pair, "reviewers_disagree", ", ".join(f"{n} x {value}" for value, n in sorted(votes.items(), key=str))
        )
    return _judgment(pair, found.relevance, found.source, [review.review_id for review in found.reviews])


def _by_teachers(
    pair: Pair, labels: Sequence[TeacherLabel], settings: JudgmentSettings, trust_source: bool
) -> Judgment | Dropped:
    """What the labels come to that saw the video and could be read."""
    full = [label for label in labels if label.input == "full"]
    readable = [label for label in full if label.verdict != "unparsed"]
    if not readable:
        reason = "unparsed" if full else "unlabelled"
        return _left_out(pair, reason, f"of {len(full)} teacher labels none could be read")
    verdicts = {label.verdict for label in readable}
    if len(verdicts) > 1:
        return _left_out(pair, "teachers_disagree", f"{len(readable)} teacher labels")
    yes = verdicts == {"yes"}
    margin = upper_margin(readable)
    known = "margin not known" if margin is None else f"margin {margin:.2f}"
    support = sorted(label.label_id for label in readable)
    if yes and _is_promoted(pair, readable, settings):
        return _judgment(pair, ANSWERS, "teacher", support)
    if pair.expected == "no" and margin is not None and margin > settings.suspected_above:
        return _left_out(pair, "suspected_positive", known)
    if margin is not None and abs(margin) < settings.undecided_within:
        return _left_out(pair, "uncertain", known)
    if pair.expected == "no" and yes:
        return _left_out(pair, "uncertain_positive", known)
    least = min((label.logit_margin for label in readable if label.logit_margin is not None), default=None)
    if pair.expected == "unknown" and yes and least is not None and least < settings.positive_above:
        return _left_out(pair, "weak_positive", f"margin {least:.2f}")
    if pair.expected == "yes" and not yes and not trust_source:
        return _left_out(pair, "misjudged_source", known)
    yes = yes or pair.expected == "yes"
    return _judgment(pair, ANSWERS if yes else 0, "teacher", support)


def _is_promoted(pair: Pair, agreeing: Sequence[TeacherLabel], settings: JudgmentSettings) -> bool:
    """Whether enough judges, which all say yes, are sure enough to make a positive of what was taken for none. What was
    written so that its video does not answer it was verified once, and is not."""
    if not settings.promoted_by or pair.expected != "no" or "counterfactual" in pair.origins:
        return False
    judges = {(label.teacher.backend, label.teacher.model, label.teacher.revision) for label in agreeing}
    sure = all(label.logit_margin is not None and label.logit_margin >= settings.positive_above for label in agreeing)
    return sure and len(judges) >= settings.promoted_by


def negative_kind(judgment: Judgment, labels: Iterable[TeacherLabel], settings: JudgmentSettings) -> Negative:
    """How sure a negative is: `trusted` where a person (or the user's qrels) said no or every margin is at most a1,
    `hard` where only a teacher did with less; `none` for a positive."""
    if judgment.grade > 0:
        return "none"
    if judgment.source != "teacher":
        return "trusted"
    read = [label for label in labels if label.label_id in judgment.support]
    margin = upper_margin(read)
    return "trusted" if margin is not None and margin <= settings.trusted_below else "hard"


def deciding_label(judgment: Judgment, labels: Iterable[TeacherLabel]) -> TeacherLabel | None:
    """The teacher's label that stands beside a judgment: of those that it rests on (where a person judged: of all that
    saw the video and could be read) the one with the highest margin.
    """
    read = [label for label in labels if label.input == "full" and label.verdict != "unparsed"]
    support = [label for label in read if label.label_id in judgment.support]
    known = sorted(support or read, key=lambda label: label.label_id)
    return max(known, key=lambda label: -math.inf if label.logit_margin is None else label.logit_margin, default=None)


def upper_margin(labels: Sequence[TeacherLabel]) -> float | None:
    """The highest margin of labels that agree; `None` where one has none.

    The highest is the cautious one on both sides: a no is trusted only if all are low enough, a yes is suspected as
    soon as one is high. A bound (`exact` false) can be used as it is for a no, whose true margin is lower still.
    """
    margins = [label.logit_margin for label in labels]
    known = [margin for margin in margins if margin is not None]
    return max(known) if known and len(known) == len(margins) else None


class JudgmentStage:
    """Compiles the judgments of a run; its units are pairs, and each gets a judgment or a reason."""

    kind: ClassVar[Literal["collection"]] = "collection"
    name: ClassVar[str] = STAGE
    version: ClassVar[int] = 5
    reads: ClassVar[tuple[type[Record], ...]] = (Video, Evidence, Query, Pair, TeacherLabel, Group)
    makes: ClassVar[tuple[type[Record], ...]] = (Judgment, Unchecked)

    def __init__(
        self,
        settings: JudgmentSettings,
        filters: FilterSettings | None = None,
        own: Path | None = None,
        reviews: Path | None = None,
        comparisons: Path | None = None,
    ) -> None:
        """`own`: the user's judgments, TREC qrels or the judgments.jsonl of an import, by the user's ids of queries.
        `reviews` and `comparisons`: the files of what people answered, which need not be there yet."""
        self._settings = settings
        self._filters = filters or FilterSettings()
        self._own = own
        self._reviews = reviews
        self._comparisons = comparisons

    @property
    def settings(self) -> Mapping[str, JsonValue]:
        values: dict[str, JsonValue] = self._settings.model_dump(mode="json")
        used = {"misjudged_source", "unspecific", "max_answers", "without_watching"}
        values["filters"] = self._filters.model_dump(mode="json", include=used)
        if self._own is not None:
            values["own"] = digest(read_judgments(self._own))
            if moments := read_moments(self._own):
                spans = {query: {video: [*map(str, of)] for video, of in by.items()} for query, by in moments.items()}
                values["moments"] = digest(spans)
        if self._reviews is not None and self._reviews.exists():
            values["reviews"] = sha256_of(self._reviews)
        if self._comparisons is not None and self._comparisons.exists():
            values["comparisons"] = sha256_of(self._comparisons)
        return values

    def run(self, records: Reader) -> Iterable[tuple[str, Output]]:
        """Every pair, sorted by id. Labels, reviews and verdicts go through tables on disk; memory holds a tally for
        each query, since the filters look at all pairs of one at once."""
        own = read_judgments(self._own) if self._own is not None else {}
        used: set[tuple[str, str]] = set()
        tallies: dict[str, Tally] = {}
        agreed = self._agreed(records)
        compared = {id for each in agreed for id in (each.left, each.right)}
        judged: dict[str, Judgment] = {}
        with Scratch() as labels, Scratch() as reviews, Scratch() as verdicts:
            labels.fill((label.pair_id, format_record(label)) for label in records.all(TeacherLabel))
            reviews.fill((review.pair_id, format_record(review)) for review in self._answers())
            told = self._judged(records, own, used, tallies, Merge(labels.groups()), Merge(reviews.groups()))
            verdicts.fill((_pair_of(each), format_record(each)) for each in _noted(told, compared, judged))
            against = contradictions(agreed, judged)
            answers = {id: list(tally.answers_of(self._filters)) for id, tally in tallies.items()}
            found = Merge(verdicts.groups())
            for pair in records.all(Pair):
                [body] = found(pair.pair_id) or [""]
                yield pair.pair_id, self._output(pair, body, answers, against.get(pair.pair_id))
        for query_id in sorted(own):
            for video_id in sorted(set(own[query_id]) - {video for id, video in used if id == query_id}):
                item = f"judgment {query_id} {video_id}"
                detail = "of your own file: the run has no such query or no such video"
                yield item, Output(drop=Dropped.create(item=item, stage=STAGE, reason="no_pair", detail=detail))

    def _judged(
        self,
        records: Reader,
        own: Mapping[str, Mapping[str, int]],
        used: set[tuple[str, str]],
        tallies: dict[str, Tally],
        labels_of: Merge[list[str]],
        reviews_of: Merge[list[str]],
    ) -> Iterator[Judgment | Dropped]:
        """What each pair by itself comes to; notes in `used` which of the user's judgments have a pair."""
        metadata = {record.video_id for record in records.all(Evidence) if record.kind == "metadata"}
        flags = self._flags(records)
        moments = read_moments(self._own) if self._own is not None else {}
        for pair in records.all(Pair):
            query = records.get(Query, pair.query_id)
            if query is None:
                yield _left_out(pair, "no_query", f"query {pair.query_id} is no longer part of the run")
                continue
            key = next((id for id in (query.external_id, query.query_id) if id is not None and id in own), "")
            used.add((key, pair.video_id))
            withheld = flags.withheld(pair.query_id, pair.video_id)
            if withheld is not None:
                yield _left_out(pair, withheld, _WITHHELD[withheld])
                continue
            labels = [parse_record(TeacherLabel, body) for body in labels_of(pair.pair_id) or ()]
            reviews = [parse_record(Review, body) for body in reviews_of(pair.pair_id) or ()]
            if reviews and (video := records.get(Video, pair.video_id)):
                reviews = of_content(reviews, video.sha256)
            imported = own.get(key, {}).get(pair.video_id)
            trusting = not self._filters.misjudged_source
            told = judge(pair, query, labels, reviews, self._settings, imported, trusting)
            if isinstance(told, Judgment) and (spans := moments.get(key, {}).get(pair.video_id)):
                told = told.model_copy(update={"spans": spans})
            if is_filtered(query):
                tally = tallies.setdefault(pair.query_id, Tally(query.view, query.source_video_id in metadata))
                grade = told.grade if isinstance(told, Judgment) else None
                tally.add(pair, query, labels, grade, pair.video_id in metadata)
            yield told

    def _output(
        self, pair: Pair, body: str, answers: dict[str, list[tuple[str, Answer]]], against: str | None
    ) -> Output:
        """A pair's judgment, unless a filter left its query out or it contradicts people (`against` says how); what
        people or the user said stays. What a filter could not tell of a query goes along with the first of its pairs
        that stays for a teacher's sake."""
        if "dropped_id" in json.loads(body):
            return Output(drop=parse_record(Dropped, body))
        judgment = parse_record(Judgment, body)
        if judgment.source != "teacher":
            return Output(records=(judgment,))
        told = answers.get(pair.query_id, [])
        for guard, answer in told:
            if answer.state == "found":
                return Output(drop=_left_out(pair, guard, f"query {pair.query_id}: {answer.detail}"))
        if against is not None:
            return Output(drop=_left_out(pair, "contradicts_people", against))
        answers.pop(pair.query_id, None)
        unchecked = [
            Unchecked.from_answer(guard, pair.query_id, answer) for guard, answer in told if answer.state == "unknown"
        ]
        return Output(records=(judgment, *unchecked))

    def _flags(self, records: Reader) -> Flagged:
        """What reviewers' flags take out; without an answer nothing is read."""
        reviews = list(self._answers())
        if not any(review.flags for review in reviews):
            return NOTHING_FLAGGED
        contents = {video.video_id: video.sha256 for video in records.all(Video)}
        from hardcut.media.duplicates import families

        return flagged(reviews, records.all(Query), contents, families(records.all(Group)))

    def _agreed(self, records: Reader) -> list[Agreed]:
        """What people agree on who compared two videos that the run still has, with the words that they read."""
        if self._comparisons is None or not self._comparisons.exists():
            return []
        contents = {video.video_id: video.sha256 for video in records.all(Video)}
        compared = read_records(self._comparisons, Comparison)
        return agreed_orders(each for each in compared if applies(each, records.get(Query, each.query_id), contents))

    def _answers(self) -> Iterator[Review]:
        return read_records(self._reviews, Review) if self._reviews and self._reviews.exists() else iter(())


def _pair_of(told: Judgment | Dropped) -> str:
    return told.pair_id if isinstance(told, Judgment) else told.item


def _noted(
    told: Iterable[Judgment | Dropped], wanted: Collection[str], judged: dict[str, Judgment]
) -> Iterator[Judgment | Dropped]:
    """The same again; notes the judgments of the wanted pairs in `judged`."""
    for each in told:
        if isinstance(each, Judgment) and each.pair_id in wanted:
            judged[each.pair_id] = each
        yield each


def _judgment(
    pair: Pair, grade: int, source: Literal["human", "adjudicated", "imported", "teacher"], support: Sequence[str]
) -> Judgment:
    return Judgment(
        pair_id=pair.pair_id,
        query_id=pair.query_id,
        video_id=pair.video_id,
        grade=grade,
        source=source,
        support=tuple(support),
    )


def _left_out(pair: Pair, reason: str, detail: str) -> Dropped:
    return Dropped.create(item=pair.pair_id, stage=STAGE, reason=reason, detail=detail)
