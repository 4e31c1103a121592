"""The stages of a run, in order. To add one, write a file in `synth/` or `publish/` and an entry here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hardcut.engine.stage import Stage
from hardcut.pipeline.context import Context
from hardcut.publish.judgments import JudgmentStage
from hardcut.schemas.base import Record
from hardcut.schemas.comparisons import Comparison
from hardcut.schemas.errors import UsageError
from hardcut.schemas.judgments import Judgment, Review
from hardcut.schemas.kept import KeptPair
from hardcut.schemas.names import suggestion
from hardcut.schemas.records import Caption, Evidence, Pair, Query, TeacherLabel, Video
from hardcut.schemas.teachers import Role
from hardcut.schemas.twin import Twin
from hardcut.synth.candidates.kept_pairs import KeptFile
from hardcut.synth.captions import CaptionStage
from hardcut.synth.composed import ComposedStage
from hardcut.synth.counterfactuals import CounterfactualStage
from hardcut.synth.decompose import Decomposer
from hardcut.synth.duplicates import DuplicateStage, SignatureStage
from hardcut.synth.echoes import Examples, examples_of
from hardcut.synth.evidence.stage import EvidenceStage
from hardcut.synth.negatives import NegativeStage
from hardcut.synth.probe import ProbeStage
from hardcut.synth.queries import QueryStage
from hardcut.synth.rewrites import RewriteStage
from hardcut.synth.scores import ScoreStage
from hardcut.synth.triplet_stage import TripletStage
from hardcut.synth.twins import TwinStage
from hardcut.synth.user_queries import UserQueryStage
from hardcut.teacher.protocol import Task
from hardcut.teacher.registry import prompts_of


@dataclass(frozen=True, slots=True)
class Entry:
    """One stage. Its class says name, kind (unit or collection), and what it reads and makes.

    `make` makes it from a context, or returns None where it is no part of that run. `asks` are the tasks that this
    stage asks of teachers, `roles` the roles that it has for them. `counted` is the kind of record that the card
    of a dataset counts at this stage. With None the card names the stage only if it left something out.
    """

    stage: type[Stage]
    make: Callable[[Context], Stage | None]
    asks: tuple[Task, ...] = ()
    roles: tuple[Role, ...] = ()
    counted: type[Record] | None = None

    @property
    def name(self) -> str:
        return self.stage.name


def _user_queries(run: Context) -> Stage | None:
    queries = run.input("queries")
    if queries is None:
        return None
    if not run.settings.queries.decompose:
        return UserQueryStage(queries)
    writer = run.writer("queries")
    return UserQueryStage(queries, Decomposer(writer.teacher, writer.sampling))


def _probe(run: Context) -> Stage:
    frames = run.frames
    evidence = run.settings.evidence
    surveyed = evidence.shots or evidence.motion
    return ProbeStage(
        frames.pool, frames.root, frames.store, frames.media, frames.limit_bytes, surveyed, frames.fetched
    )


def _evidence(run: Context) -> Stage:
    options = run.settings.evidence
    pool, teachers = run.frames.pool, run.teachers
    return EvidenceStage(run.frames, options, teachers.recogniser(pool), teachers.digests, teachers.tagger(pool))


def _captions(run: Context) -> Stage:
    writer, checker = run.writer("captions"), run.writer("check")
    return CaptionStage(writer.teacher, run.frames, writer.sampling, run.settings.captions, checker)


def _queries(run: Context) -> Stage:
    writer = run.writer("queries")
    checker, examples = run.writer("check"), _examples(run, "queries")
    return QueryStage(writer.teacher, run.frames, writer.sampling, run.settings.queries, checker, examples)


def _examples(run: Context, task: Task) -> Examples:
    """The examples of the prompt that the writer of queries is sent."""
    return examples_of(prompts_of(run.settings.writer("queries")), task)


def _counterfactuals(run: Context) -> Stage:
    writer, options = run.writer("counterfactuals"), run.settings.counterfactuals
    look = run.lookup
    return CounterfactualStage(
        writer.teacher,
        run.judges,
        run.frames,
        writer.sampling,
        options,
        look.neighbours,
        look.changed,
        look.neighbours_ready,
    )


def _composed(run: Context) -> Stage:
    writer = run.writer("queries")
    examples = _examples(run, "compose")
    return ComposedStage(writer.teacher, run.frames, writer.sampling, run.settings.queries, examples)


def _triplets(run: Context) -> Stage | None:
    writer, options = run.writer("queries"), run.settings.triplets
    if not options.nuances:
        return None
    return TripletStage(writer.teacher, writer.sampling, options, run.lookup.reference)


def _rewrites(run: Context) -> Stage | None:
    reviews = run.folder / Review.FILE
    return RewriteStage(reviews) if reviews.exists() else None


def _negatives(run: Context) -> Stage:
    options = run.settings.negatives
    kept = KeptFile(run.folder / KeptPair.FILE, options.keep)
    return NegativeStage(options, run.settings.filters, run.input("first_stage"), run.input("judgments"), kept)


def _scores(run: Context) -> Stage:
    options, look = run.settings.scores, run.lookup
    return ScoreStage(run.judges, run.frames, look.query, look.reference, options.samples, options.exact_within)


def _judgments(run: Context) -> Stage:
    settings = run.settings
    own, reviews, comparisons = run.input("judgments"), run.folder / Review.FILE, run.folder / Comparison.FILE
    return JudgmentStage(settings.judgments, settings.filters, own, reviews, comparisons)


STAGES = (
    Entry(UserQueryStage, _user_queries, asks=("decompose",)),  # of the role queries, without a video
    Entry(ProbeStage, _probe, counted=Video),
    Entry(SignatureStage, lambda run: SignatureStage(run.frames, run.settings.duplicates)),
    Entry(EvidenceStage, _evidence, counted=Evidence),
    Entry(
        CaptionStage,
        _captions,
        asks=("caption", "check", "refine"),
        roles=("captions", "check"),
        counted=Caption,
    ),
    Entry(
        QueryStage,
        _queries,
        asks=("queries", "paraphrase", "translate", "same"),  # and `check`, of what is denied
        roles=("queries", "check"),
        counted=Query,
    ),
    Entry(
        CounterfactualStage,
        _counterfactuals,
        asks=("counterfactual",),  # and `judge`, the same that `scores` asks later
        roles=("counterfactuals", "judges"),
    ),
    Entry(DuplicateStage, lambda run: DuplicateStage(run.settings.duplicates)),
    Entry(TwinStage, lambda run: TwinStage(), counted=Twin),
    Entry(ComposedStage, _composed, asks=("compose",), roles=("queries",)),  # and the rewordings of `queries`
    Entry(
        TripletStage,
        _triplets,
        asks=("paraphrase", "same", "contrast"),  # the first two as `queries`, of which `prompt show` tells
        roles=("queries",),
    ),
    Entry(RewriteStage, _rewrites),
    Entry(NegativeStage, _negatives, counted=Pair),
    Entry(ScoreStage, _scores, asks=("judge",), roles=("judges",), counted=TeacherLabel),
    Entry(JudgmentStage, _judgments, counted=Judgment),
)


def stages(run: Context) -> list[Stage]:
    """The stages of the list that are part of this run."""
    return [stage for entry in STAGES if (stage := entry.make(run)) is not None]


def entry(name: str) -> Entry:
    """The stage of that name. Raises UsageError, with the nearest name, for a name that is no stage."""
    for each in STAGES:
        if each.name == name:
            return each
    raise UsageError(f"no stage is named {name!r}; {suggestion(name, [each.name for each in STAGES])}")


def roles_until(name: str | None) -> frozenset[Role]:
    """The roles that the stages up to this one have for teachers; None: all stages."""
    names = [each.name for each in STAGES]
    taken = STAGES[: names.index(name) + 1] if name is not None else STAGES
    return frozenset(role for each in taken for role in each.roles)


def card_steps() -> dict[str, type[Record]]:
    """The stages that the card of a dataset shows, each with the kind of record that is counted there."""
    return {each.name: each.counted for each in STAGES if each.counted is not None}


def asking() -> list[Entry]:
    """The stages that ask a teacher."""
    return [each for each in STAGES if each.asks]
