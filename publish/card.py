"""The dataset's card: front matter for the Hub, and what a stranger needs to know, out of the export's counts."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from hardcut.publish._parquet import SplitSize, info
from hardcut.publish.blocks import RULE
from hardcut.publish.card_facts import CardFacts
from hardcut.publish.changes import FIRST_VERSION, Changes
from hardcut.publish.checks.result import COULD_NOT_LOOK, CheckResult, State
from hardcut.publish.citation import bibtex
from hardcut.publish.licences import front_matter
from hardcut.publish.recipe import changed_settings
from hardcut.publish.splits import SPLITS
from hardcut.report.statistics.agreement import share_interval
from hardcut.report.statistics.audit import TeacherEstimate
from hardcut.report.templates import markdown_template
from hardcut.schemas.settings import Settings

_CONFIG_TOLD = {
    "pairs": "a query with a video, the label and all that belongs to it",
    "groups": "one positive and its hard negatives, at least one of them trusted: a step of training;"
    " `counterfactuals` are blocks about the positive's video",
    "diagnostic": "a block: two queries of one form of which the video answers one (`change`: reversed, negated,"
    " facet_changed)",
    "triplets": "three texts for an embedding model: `hard_negative` differs from `anchor` and `positive` in its"
    " `nuance`; texts of one `set_id` are each a positive and a negative",
    "media": "a video itself, as it was; frames take `torchcodec`, a column of `Video(decode=False)` is bytes",
    "captions": "what happens in a video, in full and in one sentence (for the first stage of training), with claims"
    " that can be checked one by one",
    "queries": "a query with what must be seen or heard to answer it",
    "corpus": "a video of the collection; `group` is what its split went by, `look` a few numbers of its pictures, by"
    " which the check `look_prior` goes",
    "qrels": "the labels alone, as in TREC; `external_id` is the query's id in its owner's own files",
}
_COLUMN_TOLD = {
    "query, view, kind, language": "the query, what its writer saw, what it asks for, its language (`und`: unknown)",
    "variant": "`original`, `paraphrase`, `rewritten`, or how the query was turned against its source",
    "length, style": "`short` (up to 8 words), `medium` (up to 20) or `long`; `keywords`, `plain` or `question`, as its"
    " writer says",
    "video_id, video_path, sha256": "the candidate",
    "label, label_source": "the grade (0: does not answer, 1: in part, 2: all that is asked for is there;"
    " `imported` ones as in their own file) and who gave it",
    "negative": "`trusted`, `hard`, or `none` for a positive",
    "logit_margin, p_yes, exact": "the teacher's raw log p(yes) - log p(no), its sigmoid, whether both are known",
    "shown": "a digest of how the teacher was shown the pair (prompt, frames, pixels), with the libraries that made it;"
    " null where nobody can say, as of a server",
    "p_calibrated": "the probability after calibration on people's labels; null where no fit is applied",
    "teachers, agreement": "what every teacher said, each time that it was asked; the share of pairs of their labels"
    " with one verdict",
    "reasoning": "the teacher's reasons for its verdict, where it gave any",
    "difficulty": "of the query, as measured: the first stage's rank of its positive, least margin of a positive minus"
    " greatest of a negative, whether metadata alone solves it, modalities and moments that must be seen; `score`: the"
    " mean of these as parts from 0 (easy) to 1",
    "text_only": "what the teacher said of the pair by metadata alone, where it was asked",
    "facets": "what must be seen or heard for an answer, with modality; in its source video the span in seconds",
    "flags, well_formed, moment": "what people said of the pair beside the grade: flags, whether the query is well"
    " formed, the moment in this video (of several the longest); empty where nobody did",
    "reviews": "each person's answer that counts: who (a number of this dataset), the grade, why the pair was asked"
    " (`asked`: `audit` is drawn by chance), whether without the teacher's verdict, whether the label rests on it",
    "first_stage": "where first-stage runs ranked the video for the query",
    "origins": "how query and video met: source (written from this video), mined, counterfactual, imported",
    "reference_video_id": "the video that a composed query starts from",
    "caption": "the candidate's caption",
}
_STATES: Mapping[State, str] = {
    "passed": "passed", "failed": "failed", "unknown": "could not look", "allowed": "allowed by name", "off": "off",
}  # fmt: skip
_CREATORS = {
    "teacher": "machine-generated",
    "human": "expert-generated",
    "adjudicated": "expert-generated",
    "gold": "expert-generated",
    "imported": "found",
}
_COUNTED = 12
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*")


@dataclass(frozen=True, slots=True)
class FunnelStep:
    """One stage of the run: how many records it made (`None` where not known), and what it left out, by reason."""

    name: str
    records: int | None
    dropped: Mapping[str, int]


class Agreement(Protocol):
    """How far reviewers agree who were blind to the teacher. `report/statistics/agreement.py` has such a record."""

    @property
    def reviewers(self) -> int: ...
    @property
    def pairs(self) -> int: ...
    @property
    def raw(self) -> float: ...
    @property
    def raw_interval(self) -> tuple[float, float]: ...
    @property
    def alpha(self) -> float | None: ...
    @property
    def alpha_interval(self) -> tuple[float, float] | None: ...


@dataclass(frozen=True, slots=True)
class CardInputs:
    """What the card tells beside the export's own counts: `failed` are the units that failed, by step (`None` where not
    known), `plots` names of files, `gate` what the checks said, `agreement` that of the reviewers, `teachers` how good
    each is by the people's audit, `changes` those since the version before, `unread` how many places with text could
    not be read, by video."""

    funnel: Sequence[FunnelStep]
    failed: Mapping[str, int] | None
    plots: Sequence[str]
    gate: Sequence[CheckResult]
    agreement: Agreement | None
    changes: Changes | None = None
    teachers: Sequence[TeacherEstimate] = ()
    version: str = FIRST_VERSION
    unread: Mapping[str, int] = field(default_factory=dict)


def card(sizes: Mapping[str, dict[str, SplitSize]], facts: CardFacts, inputs: CardInputs, settings: Settings) -> str:
    """The text of README.md. `sizes` are by config and split."""
    rows = {config: {split: size.rows for split, size in sizes[config].items()} for config in sizes}
    total = {config: sum(rows[config].values()) for config in sizes}
    template = markdown_template(
        "hardcut.publish", "card.md.jinja", counted=_counted, share=_share, interval=_interval,
        number=lambda value: f"{value:.2f}",
    )  # fmt: skip
    version = inputs.changes.version if inputs.changes else inputs.version
    text = template.render(
        changed=changed_settings(settings),
        name=settings.export.name,
        licence=settings.export.licence,
        media=settings.media,
        scripts=_scripts(settings),
        export=settings.export,
        judgments=settings.judgments,
        facts=facts,
        inputs=inputs,
        trusted=settings.export.trusted_per_group,
        stopped=[result for result in inputs.gate if result.stops],
        allowed=[one for result in inputs.gate for one in result.allowed],
        unlooked=[result for result in inputs.gate if result.message.startswith(COULD_NOT_LOOK)],
        states=_STATES,
        rows=rows,
        total=total,
        rule=RULE,
        splits=[split for split in SPLITS if any(split in of_config for of_config in rows.values())],
        configs={config: _CONFIG_TOLD[config] for config in sizes},
        columns=_COLUMN_TOLD,
        citation=bibtex(settings.export.name, settings.export.authors, version),
        version=version,
    )
    return f"---\n{_front(sizes, total['pairs'], facts, settings)}\n---\n\n{text}"


def _front(sizes: Mapping[str, dict[str, SplitSize]], pairs: int, facts: CardFacts, settings: Settings) -> str:
    """What the Hub reads of the card, as YAML."""
    from datasets.info import DatasetInfosDict
    from huggingface_hub import DatasetCardData

    front = DatasetCardData(
        pretty_name=settings.export.name,
        annotations_creators=sorted({_CREATORS[source] for source in facts.sources}) or None,
        language=languages(facts.languages) or None,
        task_categories=["text-ranking", "video-text-to-text"],
        size_categories=[size_category(pairs)],
        tags=["hardcut", "video", "video-retrieval", "reranking", "hard-negatives", "distillation"],
        configs=[
            {
                "config_name": config,
                **({"default": True} if config == "pairs" else {}),
                "data_files": [{"split": split, "path": f"data/{config}/{split}-*.parquet"} for split in sizes[config]],
            }
            for config in sizes
        ],
        **front_matter(settings.export.licence),
    )
    DatasetInfosDict({config: info(config, sizes[config]) for config in sizes}).to_dataset_card_data(front)
    text: str = front.to_yaml()
    return text


def languages(codes: Iterable[str]) -> list[str]:
    """Languages as the Hub takes them: two or three small letters, without script or region. `und` says nothing."""
    bare = {code.split("-")[0].lower() for code in codes if _LANGUAGE.fullmatch(code)}
    return sorted(bare - {"und"})


def size_category(rows: int) -> str:
    """The Hub's name for a number of rows."""
    steps = ((1_000, "1K"), (10_000, "10K"), (100_000, "100K"), (1_000_000, "1M"), (10_000_000, "10M"))
    below = "n"
    for limit, name in steps:
        if rows < limit:
            return f"n<{name}" if below == "n" else f"{below}<n<{name}"
        below = name
    return "n>10M"


def _counted(counts: Mapping[str, int]) -> str:
    """All by name, or where there are many the most frequent."""
    kept = sorted(Counter(counts).most_common(_COUNTED))
    more = [f"{len(counts) - _COUNTED:,} others"] if len(counts) > _COUNTED else []
    return ", ".join([*(f"{name} {count:,}" for name, count in kept), *more]) or "none"


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.0f} %" if whole else "none"


def _interval(part: int, whole: int) -> str:
    """A share with its 95 % interval."""
    low, high = share_interval(part, whole)
    return f"{_share(part, whole)} ({100 * low:.0f} to {100 * high:.0f} %)" if whole else "none"


def _scripts(settings: Settings) -> str | None:
    """What scripts text in the picture was read in; None where none was read."""
    evidence = settings.evidence
    if evidence.ocr == "off":
        return None
    if evidence.ocr == "paddle":
        return "the scripts of a model of its maker's own"
    others = f", and the languages {', '.join(evidence.ocr_languages)}" if evidence.ocr_languages else ""
    return f"Latin, Chinese and Japanese letters{others}"
