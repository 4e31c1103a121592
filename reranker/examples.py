"""What a dataset gives to training, read and checked before anything is loaded: no torch here.

Every group names its own query, candidates and labels, so nothing is put together by position. What cannot be used is
in `LeftOut`, by name and with the reason.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, field, replace

from hardcut.reranker.facts import NuanceBlock
from hardcut.schemas.trec import Qrels

UNKNOWN_QUERY, MISSING_VIDEO, COMPOSED_QUERY, HALF_BLOCK, UNSEEN_CLAIMS, TOO_LONG, NO_REFERENCE = (
    *("unknown_query", "missing_video", "composed_query", "half_block", "unseen_claims", "too_long", "no_reference"),
)
"""Why something is left out."""


@dataclass(frozen=True, slots=True)
class ClipRef:
    """A video that is trained on: where its file is under the root, and the digest of its bytes."""

    video_id: str
    path: str
    sha256: str


@dataclass(frozen=True, slots=True)
class TrainingCandidate:
    """A video of a group with the teacher's probability, `None` where there is none that can be used, and its grade.
    `reasoning` is the teacher's, where it is learned."""

    video: ClipRef
    soft: float | None
    grade: int = 0
    reasoning: str | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """A query that is asked of a group's positive video, with the teacher's probability that it is answered.
    `reasoning` is the teacher's, where it is learned."""

    query: str
    soft: float | None
    reasoning: str | None = None


@dataclass(frozen=True, slots=True)
class Block:
    """Two queries of one form. The positive video answers the first and not the second."""

    answered: Question
    unanswered: Question


@dataclass(frozen=True, slots=True)
class Group:
    """One query with its positive and negatives, and blocks of counterfactuals on the positive's video. `reference` is
    the video that a composed query starts from; the queries of blocks start from none."""

    group_id: str
    query: str
    positive: TrainingCandidate
    negatives: tuple[TrainingCandidate, ...]
    blocks: tuple[Block, ...] = ()
    reference: ClipRef | None = None

    @property
    def candidates(self) -> tuple[TrainingCandidate, ...]:
        """The positive first."""
        return self.positive, *self.negatives

    @property
    def questions(self) -> tuple[str, ...]:
        """Every query that is asked of the positive's video, once: the group's own first."""
        return tuple(dict.fromkeys((self.query, *self.sides)))

    @property
    def sides(self) -> tuple[str, ...]:
        """The queries of blocks, each once."""
        sides = (side.query for block in self.blocks for side in (block.answered, block.unanswered))
        return tuple(dict.fromkeys(sides))


@dataclass(frozen=True, slots=True)
class CaptionExample:
    """A video with the caption that stage 1 learns."""

    video: ClipRef
    caption: str


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Something that training does not use."""

    item: str
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Validation:
    """Judged pairs to rank, and blocks to tell apart: texts by query id, videos by id, grades. `references` are the
    videos that composed queries start from, by query."""

    queries: Mapping[str, str]
    videos: Mapping[str, ClipRef]
    qrels: Qrels
    blocks: tuple[NuanceBlock, ...] = ()
    references: Mapping[str, ClipRef] = field(default_factory=dict)

    @property
    def pairs(self) -> set[tuple[str, str]]:
        """(query, video) of all that is to be scored."""
        judged = {(query, video) for query, grades in self.qrels.items() for video in grades}
        return judged | {(side, block.video_id) for block in self.blocks for side in (block.answered, block.unanswered)}

    def without(self, missing: Container[str]) -> Validation:
        """The pairs and blocks whose video is there, and the one that their query starts from."""
        references = {query: of for query, of in self.references.items() if of.video_id not in missing}
        kept = {
            query: {video: grade for video, grade in grades.items() if video not in missing}
            for query, grades in self.qrels.items()
            if query not in self.references or query in references
        }
        blocks = tuple(block for block in self.blocks if block.video_id not in missing)
        qrels = {query: grades for query, grades in kept.items() if grades}
        return Validation(self.queries, self.videos, qrels, blocks, references)


@dataclass(frozen=True, slots=True)
class PerceptionData:
    """What stage 1 trains on, and the captions that its checkpoints are measured on; both by video."""

    examples: tuple[CaptionExample, ...]
    validation: tuple[CaptionExample, ...]
    left_out: tuple[LeftOut, ...] = ()

    @property
    def videos(self) -> dict[str, ClipRef]:
        """Every video that is asked for, by id."""
        return {each.video.video_id: each.video for each in (*self.examples, *self.validation)}

    def without(self, missing: Mapping[str, str]) -> PerceptionData:
        """What is left where videos are missing (why, by id)."""
        examples, validation = (
            tuple(each for each in captions if each.video.video_id not in missing)
            for captions in (self.examples, self.validation)
        )
        return PerceptionData(examples, validation, (*self.left_out, *_missing(missing)))


@dataclass(frozen=True, slots=True)
class RankingData:
    """What stage 2 trains on, the groups by id, what its checkpoints are measured on, and what cannot be used."""

    examples: tuple[Group, ...]
    validation: Validation
    left_out: tuple[LeftOut, ...] = ()
    mixed: str | None = None
    """What is to be said of the teachers' margins, where they were made in different ways (`margins.py`)."""
    mixed_groups: tuple[str, ...] = ()
    """The groups that have margins of one teacher that were made in different ways."""

    @property
    def videos(self) -> dict[str, ClipRef]:
        """Every video that is asked for, by id."""
        found = {each.video.video_id: each.video for group in self.examples for each in group.candidates}
        references = [group.reference for group in self.examples if group.reference is not None]
        references += self.validation.references.values()
        return found | {each.video_id: each for each in references} | dict(self.validation.videos)

    def without(self, missing: Mapping[str, str]) -> RankingData:
        """What is left where videos are missing (why, by id). A negative leaves its group. The positive, the last
        negative, or the video that the query starts from takes the group with it."""
        groups = []
        for group in self.examples:
            negatives = tuple(each for each in group.negatives if each.video.video_id not in missing)
            needed = {group.positive.video.video_id} | ({group.reference.video_id} if group.reference else set())
            if not needed & missing.keys() and negatives:
                groups.append(replace(group, negatives=negatives))
        gone = {group.group_id for group in self.examples} - {group.group_id for group in groups}
        left_out = (
            LeftOut(group, MISSING_VIDEO, "its positive, its reference or all of its negatives are missing")
            for group in sorted(gone)
        )
        return replace(
            self,
            examples=tuple(groups),
            validation=self.validation.without(missing),
            left_out=(*self.left_out, *_missing(missing), *left_out),
        )


Given = PerceptionData | RankingData
"""What a stage is given of a dataset."""


def _missing(missing: Mapping[str, str]) -> Iterator[LeftOut]:
    for video in sorted(missing):
        yield LeftOut(video, MISSING_VIDEO, missing[video])
