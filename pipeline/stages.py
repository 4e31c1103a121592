"""The stages of a run, in their order. Another stage is a file in `synth/` or `publish/`, and an entry here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hardcut.engine.stage import Stage
from hardcut.pipeline.context import Context
from hardcut.publish.judgments import JudgmentStage
from hardcut.schemas.base import Record
from hardcut.schemas.errors import UsageError
from hardcut.schemas.judgments import Judgment, Review
from hardcut.schemas.names import suggestion
from hardcut.schemas.records import Caption, Evidence, Pair, Query, TeacherLabel, Twin, Video
from hardcut.synth.captions import CaptionStage
from hardcut.synth.counterfactuals import CounterfactualStage
from hardcut.synth.duplicates import DuplicateStage, SignatureStage
from hardcut.synth.evidence.stage import EvidenceStage
from hardcut.synth.negatives import NegativeStage
from hardcut.synth.probe import ProbeStage
from hardcut.synth.queries import QueryStage
from hardcut.synth.rewrites import RewriteStage
from hardcut.synth.scores import ScoreStage
from hardcut.synth.twins import TwinStage
from hardcut.synth.user_queries import UserQueryStage
from hardcut.teacher.protocol import Task


@dataclass(frozen=True, slots=True)
class Entry:
    """One stage. Its class says name, kind (unit or collection), and what it reads and makes.

    `make` makes it out of a context, or gives None where it is no part of that run. `asks` are the tasks that it alone
    puts to teachers. `counted` is the kind of record that the card of a dataset counts at this stage; None where the
    card names the stage only if it left something out.
    """

    stage: type[Stage]
    make: Callable[[Context], Stage | None]
    asks: tuple[Task, ...] = ()
    counted: type[Record] | None = None

    @property
    def name(self) -> str:
        return self.stage.name


def _user_queries(run: Context) -> Stage | None:
    queries = run.input("queries")
    return UserQueryStage(queries) if queries else None


def _probe(run: Context) -> Stage:
    frames = run.frames
    evidence = run.settings.evidence
    surveyed = evidence.shots or evidence.motion
    return ProbeStage(frames.pool, frames.root, frames.store, frames.media, frames.limit_bytes, surveyed)


def _evidence(run: Context) -> Stage:
    options = run.settings.evidence
    return EvidenceStage(run.frames, options, run.teachers.recogniser(run.frames.pool), run.teachers.digests)


def _rewrites(run: Context) -> Stage | None:
    reviews = run.folder / Review.FILE
    return RewriteStage(reviews) if reviews.exists() else None


def _negatives(run: Context) -> Stage:
    return NegativeStage(run.settings.negatives, run.settings.filters, run.input("first_stage"), run.input("judgments"))


def _scores(run: Context) -> Stage:
    return ScoreStage(run.judges, run.frames, run.lookup.query, run.lookup.reference, run.settings.scores.samples)


def _judgments(run: Context) -> Stage:
    settings = run.settings
    return JudgmentStage(settings.judgments, settings.filters, run.input("judgments"), run.folder / Review.FILE)


STAGES = (
    Entry(UserQueryStage, _user_queries),
    Entry(ProbeStage, _probe, counted=Video),
    Entry(SignatureStage, lambda run: SignatureStage(run.frames, run.settings.duplicates)),
    Entry(DuplicateStage, lambda run: DuplicateStage(run.settings.duplicates)),
    Entry(EvidenceStage, _evidence, counted=Evidence),
    Entry(
        CaptionStage,
        lambda run: CaptionStage(run.teacher, run.frames, run.sampling, run.settings.captions),
        asks=("caption", "check", "refine"),
        counted=Caption,
    ),
    Entry(TwinStage, lambda run: TwinStage(), counted=Twin),
    Entry(
        QueryStage,
        lambda run: QueryStage(run.teacher, run.frames, run.sampling, run.settings.queries),
        asks=("queries", "compose", "paraphrase", "translate", "same"),
        counted=Query,
    ),
    Entry(
        CounterfactualStage,
        lambda run: CounterfactualStage(
            run.teacher, run.judges, run.frames, run.sampling, run.settings.counterfactuals
        ),
        asks=("counterfactual",),  # and `judge`, the same that `scores` asks later
    ),
    Entry(RewriteStage, _rewrites),
    Entry(NegativeStage, _negatives, counted=Pair),
    Entry(ScoreStage, _scores, asks=("judge",), counted=TeacherLabel),
    Entry(JudgmentStage, _judgments, counted=Judgment),
)


def stages(run: Context) -> list[Stage]:
    """The stages of one run: all of the list that are part of it."""
    return [stage for entry in STAGES if (stage := entry.make(run)) is not None]


def entry(name: str) -> Entry:
    """The stage of that name. Raises UsageError, with the nearest name, for one that is none."""
    for each in STAGES:
        if each.name == name:
            return each
    raise UsageError(f"no stage is named {name!r}; {suggestion(name, [each.name for each in STAGES])}")


def card_steps() -> dict[str, type[Record]]:
    """The stages that the card of a dataset shows, each with the kind of record that is counted there."""
    return {each.name: each.counted for each in STAGES if each.counted is not None}


def asking() -> list[Entry]:
    """The stages that ask a teacher."""
    return [each for each in STAGES if each.asks]
