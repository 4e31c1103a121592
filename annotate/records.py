"""What the review loop reads of a run's folder."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from hardcut.annotate.comparing import Couple, choose_couples
from hardcut.annotate.draws import Drawn, read_draws
from hardcut.annotate.policy import ReviewCandidate, ReviewPlan, pairs_in_conflict, plan_review, readable_labels
from hardcut.annotate.review_content import ReviewSubject
from hardcut.engine.run_files import RunFiles
from hardcut.schemas.comparisons import Comparison, applies
from hardcut.schemas.errors import UsageError
from hardcut.schemas.flags import WITHHELD
from hardcut.schemas.judgments import Judgment, Review
from hardcut.schemas.records import Dropped, Evidence, Pair, Query, TeacherLabel, Video
from hardcut.schemas.reviews import is_answer, of_content, query_digest, reviews_in_force
from hardcut.schemas.settings import ReviewSettings

JUDGMENTS = "judgments"
Orphaned = Literal["changed_query", "replaced_video", "pair_gone"]
"""Why an answer is applied to nothing: the run has not the wording that was judged any more, or not the file, or has
both and no pair of them."""


@dataclass(frozen=True, slots=True)
class RunRecords:
    """The records of a run that reviewing is about, without the long texts. `known` are the grades that the user's own
    judgments give, by pair; `drawn` is what the audit drew up to now; `reviews` all that was ever pulled, by pair, but
    for `replaced`: those of another file than the pair's video has now. `comparisons` are all that were ever pulled,
    `contents` the digests of the videos' files."""

    folder: Path
    pairs: Mapping[str, Pair]
    queries: Mapping[str, Query]
    labels: Mapping[str, tuple[TeacherLabel, ...]]
    reasons: Mapping[str, str]
    known: Mapping[str, int]
    reviews: Mapping[str, tuple[Review, ...]]
    replaced: Sequence[Review] = ()
    drawn: Mapping[str, Drawn] = field(default_factory=dict)
    comparisons: Sequence[Comparison] = ()
    contents: Mapping[str, str] = field(default_factory=dict)

    def candidates(self) -> list[ReviewCandidate]:
        """Every pair with what decides whether a person is asked about it, sorted by id; none that flags withhold, so
        that nobody is shown it again."""
        return [
            ReviewCandidate(
                pair=pair,
                query=self.queries[pair.query_id],
                labels=self.labels.get(pair_id, ()),
                reason=self.reasons.get(pair_id),
                known=pair_id in self.known,
                answered_in=next(
                    (each.stratum for each in self.reviews.get(pair_id, ()) if not each.adjudicates), None
                ),
                drawn=self.drawn.get(pair_id),
            )
            for pair_id, pair in self.pairs.items()
            if not self._is_withheld(pair_id)
        ]

    def plan(self, settings: ReviewSettings) -> ReviewPlan:
        """What is asked under these settings."""
        both = ((pair, self.queries[pair.query_id]) for id, pair in self.pairs.items() if self._may_conflict(id))
        return plan_review(self.candidates(), pairs_in_conflict(both, self.reviews), settings)

    def couples(self, settings: ReviewSettings) -> list[Couple]:
        """The pairs that people compare under these settings."""
        compared = {Couple(each.left.pair_id, each.right.pair_id) for each in self.compared()}
        return choose_couples(self.candidates(), self.contents, compared, settings)

    def compared(self) -> list[Comparison]:
        """The comparisons that the run still has the words, the files and the pairs of."""
        stale = {each.id for _, each in self.orphans()}
        return [each for each in self.comparisons if each.id not in stale]

    def _is_withheld(self, pair_id: str) -> bool:
        return self.reasons.get(pair_id) in WITHHELD

    def _may_conflict(self, pair_id: str) -> bool:
        return pair_id not in self.known and not self._is_withheld(pair_id)

    def people(self) -> set[str]:
        """All who have answered anything of this run."""
        return {review.reviewer for reviews in self.reviews.values() for review in reviews if is_answer(review)}

    def orphans(self) -> list[tuple[Orphaned, Review | Comparison]]:
        """Answers that are kept and applied to nothing, each with the reason."""
        found: list[tuple[Orphaned, Review | Comparison]] = [("replaced_video", review) for review in self.replaced]
        for pair_id, reviews in self.reviews.items():
            for review in reviews:
                query = self.queries.get(review.query_id)
                if query is None or review.query_digest != query_digest(query):
                    found.append(("changed_query", review))
                elif pair_id not in self.pairs:
                    found.append(("pair_gone", review))
        for each in self.comparisons:
            query = self.queries.get(each.query_id)
            if query is None or each.query_digest != query_digest(query):
                found.append(("changed_query", each))
            elif not applies(each, query, self.contents):
                found.append(("replaced_video", each))
            elif any(side.pair_id not in self.pairs for side in each.sides):
                found.append(("pair_gone", each))
        return found

    def subjects(self, pair_ids: Collection[str]) -> dict[str, ReviewSubject]:
        """All that is known about these pairs, as far as their videos are part of the run."""
        wanted = {self.pairs[pair_id].video_id for pair_id in pair_ids}
        starts = {self.queries[self.pairs[pair_id].query_id].reference_video_id for pair_id in pair_ids}
        files = RunFiles(self.folder)
        videos = {video.video_id: video for video in files.read(Video) if video.video_id in wanted | starts}
        people = self.people()
        evidence = files.grouped(Evidence, lambda line: line.video_id, wanted)
        labels = files.grouped(TeacherLabel, lambda label: label.pair_id, pair_ids)
        found = {}
        for pair_id in pair_ids:
            pair = self.pairs[pair_id]
            query = self.queries[pair.query_id]
            if pair.video_id in videos:
                found[pair_id] = ReviewSubject(
                    pair,
                    query,
                    videos[pair.video_id],
                    evidence[pair.video_id],
                    readable_labels(labels[pair_id]),
                    said := reviews_in_force(query, self.reviews.get(pair_id, ())),
                    videos.get(query.reference_video_id or ""),
                    people <= {review.reviewer for review in said},
                )
        return found


def read_run(run: Path) -> RunRecords:
    """Reads the files of a run. Raises UsageError where there are no judgments yet: reviewing comes after them."""
    files = RunFiles(run)
    if not files.has(Judgment):
        raise UsageError(f"{run}: there is nothing to review yet: `hardcut run` up to its judgments first")
    queries = files.by_id(Query)
    pairs = {pair.pair_id: pair for pair in files.read(Pair) if pair.query_id in queries}
    labels = files.grouped(TeacherLabel, lambda label: label.pair_id, pairs)
    contents = {video.video_id: video.sha256 for video in files.read(Video)}
    given = files.grouped(Review, lambda review: review.pair_id)
    reviews = {id: tuple(of_content(said, contents.get(said[0].video_id))) for id, said in given.items()}
    known = {each.pair_id: each.grade for each in files.read(Judgment) if each.source == "imported"}
    return RunRecords(
        folder=run,
        pairs=dict(sorted(pairs.items())),
        queries=queries,
        labels={
            id: readable_labels(label.model_copy(update={"reasoning": ""}) for label in found)
            for id, found in labels.items()
        },
        reasons={each.item: each.reason for each in files.read(Dropped) if each.stage == JUDGMENTS},
        known=known,
        reviews={id: said for id, said in reviews.items() if said},
        replaced=tuple(review for id, said in given.items() for review in said if review not in reviews[id]),
        drawn=read_draws(run),
        comparisons=tuple(files.read(Comparison)),
        contents=contents,
    )
