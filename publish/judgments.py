"""Who says what about a pair, and what of it training may see: people before teachers, and no guess becomes a label."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

from pydantic import JsonValue

from hardcut.engine.files import sha256_of
from hardcut.engine.stage import Output, Reader
from hardcut.publish._scratch import Merge, Scratch
from hardcut.schemas.base import Record
from hardcut.schemas.errors import UsageError
from hardcut.schemas.ids import digest
from hardcut.schemas.jsonl import format_record, parse_record, read_objects, read_records
from hardcut.schemas.records import Dropped, Judgment, Pair, Query, Review, TeacherLabel
from hardcut.schemas.reviews import applicable, verdict
from hardcut.schemas.settings import JudgmentSettings
from hardcut.schemas.trec import read_qrels

STAGE = "judgments"
Negative = Literal["trusted", "hard", "none"]


def judge(
    pair: Pair,
    query: Query,
    labels: Sequence[TeacherLabel],
    reviews: Sequence[Review],
    settings: JudgmentSettings,
    imported: int | None = None,
) -> Judgment | Dropped:
    """The judgment on one pair, or why it has none.

    A judgment of the user's own file (`imported`) stands as it is, with its grade: shown to reviewers it is gold that
    they are measured by, not a question. One below 0, as some qrels have for spam, is not relevant.

    People outrank teachers: who adjudicated decides, else more than half of the reviewers, and where no grade has more
    than half the pair is left out (`reviewers_disagree`), whatever the teachers say.

    Teachers (RANKVIDEO, section on synthesis), over all labels that saw the video and could be read:

    * expected yes (the query was written from this video): yes is grade 1; no is `misjudged_source`, left out.
    * expected no (a mined candidate): no is grade 0; yes is left out, as `suspected_positive` with a margin above
      a2, else as `uncertain_positive`: a mined positive is never a label without a person.
    * expected unknown (the user's own query): the verdict is the grade.

    Labels that disagree leave the pair out (`teachers_disagree`); with none it is `unlabelled` or `unparsed`.
    """
    if imported is not None:
        return _judgment(pair, max(imported, 0), "imported", ())

    people = applicable(query, reviews)
    if people:
        told = verdict(people)
        if told is None:
            votes = Counter(review.relevance for review in people)
            said = ", ".join(f"{count} x {value}" for value, count in sorted(votes.items(), key=str))
            return _left_out(pair, "reviewers_disagree", said)
        return _judgment(pair, told.relevance, told.source, [review.review_id for review in told.reviews])

    seen = [label for label in labels if label.input == "full"]
    read = [label for label in seen if label.verdict != "unparsed"]
    if not read:
        return _left_out(
            pair, "unparsed" if seen else "unlabelled", f"of {len(seen)} teacher labels none could be read"
        )
    verdicts = {label.verdict for label in read}
    if len(verdicts) > 1:
        return _left_out(pair, "teachers_disagree", f"{len(read)} teacher labels")
    yes = verdicts == {"yes"}
    margin = upper_margin(read)
    known = "margin not known" if margin is None else f"margin {margin:.2f}"
    if pair.expected == "yes" and not yes:
        return _left_out(pair, "misjudged_source", known)
    if pair.expected == "no" and yes:
        suspected = margin is not None and margin > settings.suspected_above
        return _left_out(pair, "suspected_positive" if suspected else "uncertain_positive", known)
    return _judgment(pair, int(yes), "teacher", sorted(label.label_id for label in read))


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


def read_judgments(path: Path) -> dict[str, dict[str, int]]:
    """Grades by video by query: TREC qrels, or an import's judgments.jsonl. Raises UsageError naming file and line."""
    if path.suffix != ".jsonl":
        return read_qrels(path)
    found: dict[str, dict[str, int]] = {}
    for line, row in read_objects(path):
        query, video, grade = row.get("query_id"), row.get("video_id"), row.get("grade")
        if not isinstance(query, str) or not isinstance(video, str) or type(grade) is not int:
            raise UsageError(f"{path}, line {line}: expected query_id, video_id and a whole number as grade")
        if video in found.setdefault(query, {}):
            raise UsageError(f"{path}, line {line}: query {query} judges video {video} a second time")
        found[query][video] = grade
    return found


class JudgmentStage:
    """Compiles the judgments of a run; its units are pairs, and each gets a judgment or a reason."""

    name = STAGE
    version = 1
    reads: tuple[type[Record], ...] = (Query, Pair, TeacherLabel)
    makes: tuple[type[Record], ...] = (Judgment,)

    def __init__(self, settings: JudgmentSettings, own: Path | None = None, reviews: Path | None = None) -> None:
        """`own`: the user's judgments, TREC qrels or the judgments.jsonl of an import, by the user's ids of queries.
        `reviews`: the file of what people answered, which need not be there yet."""
        self._settings = settings
        self._own = own
        self._reviews = reviews

    @property
    def settings(self) -> Mapping[str, JsonValue]:
        values: dict[str, JsonValue] = self._settings.model_dump(mode="json")
        if self._own is not None:
            values["own"] = digest(read_judgments(self._own))
        if self._reviews is not None and self._reviews.exists():
            values["reviews"] = sha256_of(self._reviews)
        return values

    def run(self, records: Reader) -> Iterable[tuple[str, Output]]:
        """Every pair, sorted by id. Labels and reviews, sorted by ids of their own, go through a table on disk."""
        own = read_judgments(self._own) if self._own is not None else {}
        used: set[tuple[str, str]] = set()
        with Scratch() as labels, Scratch() as reviews:
            labels.fill((label.pair_id, format_record(label)) for label in records.all(TeacherLabel))
            reviews.fill((review.pair_id, format_record(review)) for review in self._answers())
            labels_of, reviews_of = Merge(labels.groups()), Merge(reviews.groups())
            for pair in records.all(Pair):
                query = records.get(Query, pair.query_id)
                if query is None:
                    dropped = _left_out(pair, "no_query", f"query {pair.query_id} is no longer part of the run")
                    yield pair.pair_id, Output(drop=dropped)
                    continue
                key = next((id for id in (query.external_id, query.query_id) if id is not None and id in own), "")
                used.add((key, pair.video_id))
                told = judge(
                    pair,
                    query,
                    [parse_record(TeacherLabel, body) for body in labels_of(pair.pair_id) or ()],
                    [parse_record(Review, body) for body in reviews_of(pair.pair_id) or ()],
                    self._settings,
                    own.get(key, {}).get(pair.video_id),
                )
                yield pair.pair_id, Output(drop=told) if isinstance(told, Dropped) else Output(records=(told,))
        for query_id in sorted(own):
            for video_id in sorted(set(own[query_id]) - {video for id, video in used if id == query_id}):
                item = f"judgment {query_id} {video_id}"
                detail = (
                    "of your own file: no first stage put the video forward for the query, so there is no such pair"
                )
                yield item, Output(drop=Dropped.create(item=item, stage=STAGE, reason="no_pair", detail=detail))

    def _answers(self) -> Iterator[Review]:
        return read_records(self._reviews, Review) if self._reviews and self._reviews.exists() else iter(())


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
