"""The records of a run, one class for each of its files. Records of people's answers are in `judgments.py`, twins
in `twin.py`. Times are seconds from the start of the video."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    AfterValidator,
    Field,
    JsonValue,
    SerializerFunctionWrapHandler,
    StringConstraints,
    model_serializer,
    model_validator,
)

from hardcut.schemas.base import Frozen, Record

Seconds = Annotated[float, AfterValidator(lambda value: round(value, 3))]
"""A time, kept to the millisecond so that every machine writes the same digits."""
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Id = Annotated[str, StringConstraints(min_length=1, max_length=512)]
Text = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]
Name = Annotated[str, StringConstraints(min_length=1)]
"""What is found by it, such as a path: kept as it is, spaces at its ends too."""

EvidenceKind = Literal["ocr", "speech", "sound", "shot", "motion", "colour", "metadata"]
View = Literal["caption", "speech", "sound", "ocr", "metadata", "all", "user"]
QueryKind = Literal[
    "event", "temporal", "negation", "composed", "multi_hop", "moment", "cause", "count", "spatial", "contradiction"
]
Split = Literal["train", "validation", "test"]
Length = Literal["short", "medium", "long"]
Register = Literal["keywords", "plain", "question"]
"""Styles of a query: keywords as people type them into a search box, a phrase or sentence, a question."""
Modality = Literal["visual", "motion", "speech", "sound", "ocr", "metadata"]
Origin = Literal["source", "mined", "counterfactual", "imported"]
Verdict = Literal["yes", "no", "unparsed"]
Variant = Literal["original", "paraphrase", "reversed", "negated", "negated_absent", "facet_changed", "rewritten"]
"""What a query is to its parent. The three of `COUNTERFACTUAL` are written so that the source does not answer them;
`negated` denies what is there, and `negated_absent`, its answered side, denies in the same form what is not;
`rewritten` is a reviewer's wording."""
COUNTERFACTUAL: frozenset[Variant] = frozenset({"reversed", "negated", "facet_changed"})
TURNED: frozenset[Variant] = COUNTERFACTUAL | {"negated_absent"}
"""All that are written as a side of a block."""


class Span(Frozen):
    """A stretch of time, `0 <= start <= end`."""

    start: Seconds = Field(ge=0)
    end: Seconds = Field(ge=0)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.end < self.start:
            raise ValueError(f"span ends ({self.end}) before it starts ({self.start})")
        return self


class Subtitles(Frozen):
    """A subtitle file beside a video; `path` is relative to the root of the collection."""

    path: Name
    sha256: Sha256
    language: str | None = None


class Video(Record):
    """One video of the collection: facts of the file, and what of it decodes.

    `path` is relative to the root (POSIX separators). Width and height are as displayed, after rotation and pixel
    aspect ratio. `complete` is false if a part could not be decoded. Then `missing` says which. `looked_s` is for how
    many seconds movement was looked for; None in records of versions that did not write it down.
    """

    FILE: ClassVar[str] = "videos.jsonl"
    ID: ClassVar[str] = "video_id"

    video_id: Id
    path: Name
    sha256: Sha256
    size_bytes: int = Field(ge=0)
    duration_s: Seconds = Field(ge=0)
    fps: float = Field(ge=0)
    width: int = Field(ge=1)
    height: int = Field(ge=1)
    rotation: int = 0
    codec: str
    video_streams: int = Field(ge=1)
    has_audio: bool
    complete: bool
    missing: tuple[str, ...] = ()
    looked_s: Seconds | None = Field(default=None, ge=0)
    subtitles: tuple[Subtitles, ...] = ()
    metadata: dict[str, JsonValue] = Field(default_factory=dict)

    @model_serializer(mode="wrap")
    def _without_unknown_look(self, serialise: SerializerFunctionWrapHandler) -> dict[str, JsonValue]:
        """A record of an earlier version is written as that version wrote it, so that what rests on it stays."""
        told: dict[str, JsonValue] = serialise(self)
        if self.looked_s is None:
            told.pop("looked_s", None)
        return told


class Box(Frozen):
    """A place in the displayed picture as fractions of its width and height, origin top left."""

    left: float = Field(ge=0, le=1)
    top: float = Field(ge=0, le=1)
    right: float = Field(ge=0, le=1)
    bottom: float = Field(ge=0, le=1)


class Evidence(Record):
    """One thing that an extractor saw, read or heard in a video, or that its metadata says."""

    FILE: ClassVar[str] = "evidence.jsonl"
    ID: ClassVar[str] = "evidence_id"
    PREFIX: ClassVar[str] = "e"
    IDENTITY: ClassVar[tuple[str, ...]] = ("video_id", "kind", "text", "span", "box", "extractor")

    evidence_id: Id
    video_id: Id
    kind: EvidenceKind
    text: Text
    span: Span | None = None
    box: Box | None = None
    language: str | None = None
    confidence: float | None = Field(default=None, ge=0, le=1)
    extractor: Text
    support: dict[str, float] | None = None
    """What was measured, by name; see docs/evidence.md."""

    @model_serializer(mode="wrap")
    def _without_empty_support(self, serialise: SerializerFunctionWrapHandler) -> dict[str, JsonValue]:
        """Evidence without measures is written as before there were any, so that what rests on it stays."""
        told: dict[str, JsonValue] = serialise(self)
        if self.support is None:
            told.pop("support", None)
        return told


class Sampling(Frozen):
    """How a teacher was asked: everything besides model and prompt that can change a reply."""

    temperature: float = Field(default=0.0, ge=0)
    top_p: float = Field(default=1.0, gt=0, le=1)
    max_tokens: int = Field(default=1024, ge=1)
    seed: int = 0
    max_frames: int = Field(
        default=32, ge=0, description="of a video; half as many more of the one that a composed query starts from"
    )
    reasoning: bool = True

    @property
    def max_reference_frames(self) -> int:
        """Frames of the video that a composed query starts from, beside those of the video that is judged."""
        return (self.max_frames + 1) // 2


class TeacherRef(Frozen):
    """The teacher of a reply. `endpoint` is a server's address without user, password and query. It has no secret.
    `extra` are further fields of the requests, as JSON; a record has it only where there are some."""

    backend: Text
    model: str
    revision: str | None = None
    endpoint: str | None = None
    prompt_digest: str | None = None
    sampling: Sampling | None = None
    extra: str | None = None

    @model_serializer(mode="wrap")
    def _only_what_is_there(self, plain: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """So that what was kept before there was `extra` has the digests that it had."""
        told: dict[str, Any] = plain(self)
        if self.extra is None:
            told.pop("extra", None)
        return told


class Claim(Frozen):
    """A part of a caption that can be checked alone, with the evidence that it cites."""

    text: Text
    span: Span | None = None
    evidence_ids: tuple[Id, ...] = ()


class Support(Frozen):
    """How many claims of a caption were written, and how many a check found supported: at first (`before`), and after
    corrections (`after`). Claims that stay unsupported are not in the caption."""

    claims: int = Field(ge=0)
    before: int = Field(ge=0)
    after: int = Field(ge=0)


class Caption(Record):
    """A description of a video, with its claims. `short` is one sentence.

    `support` is `None` if the claims were not checked.
    """

    FILE: ClassVar[str] = "captions.jsonl"
    ID: ClassVar[str] = "caption_id"
    PREFIX: ClassVar[str] = "c"
    IDENTITY: ClassVar[tuple[str, ...]] = ("video_id", "text", "short", "claims", "teacher")

    caption_id: Id
    video_id: Id
    text: Text
    short: Text | None = None
    claims: tuple[Claim, ...] = ()
    support: Support | None = None
    teacher: TeacherRef


class Facet(Frozen):
    """One thing that a video must show or say to answer a query, and when."""

    text: Text
    modality: Modality
    span: Span | None = None


class Query(Record):
    """A query. `external_id` is the user's own id for it (from `--queries`), kept for qrels and runs. `split` is the
    split of a dataset that the user gave it.

    `source_video_id` is the video that it was written from (none for a user's query). A counterfactual's source is the
    video that must not answer it. `reference_video_id` is the video that a composed query starts from.
    `parent_query_id` is the query that it was made from, and `variant` says how. `length` is measured (up to 8 words,
    up to 20, more). `style` is what its writer says; None where the writer says nothing.
    """

    FILE: ClassVar[str] = "queries.jsonl"
    ID: ClassVar[str] = "query_id"
    PREFIX: ClassVar[str] = "q"
    IDENTITY: ClassVar[tuple[str, ...]] = (
        "text",
        "language",
        "view",
        "kind",
        "variant",
        "source_video_id",
        "reference_video_id",
        "external_id",
    )

    query_id: Id
    text: Text
    language: str = "und"
    view: View
    kind: QueryKind
    variant: Variant = "original"
    length: Length | None = None
    style: Register | None = None
    facets: tuple[Facet, ...] = ()
    source_video_id: Id | None = None
    parent_query_id: Id | None = None
    reference_video_id: Id | None = None
    external_id: Id | None = None
    split: Split | None = None
    teacher: TeacherRef | None = None

    @property
    def about(self) -> str:
        return self.source_video_id or ""


class FirstStage(Frozen):
    """The place of the video in a first-stage run for the query. `rank` starts at 1."""

    run: Text
    rank: int = Field(ge=1)
    score: float


class Pair(Record):
    """A query and a candidate video, the origins of the pair, and the verdict that is expected before judging.
    `reference` is a digest of what a judge is shown of the video that a composed query starts from. If it changes, the
    judge is asked again.
    """

    FILE: ClassVar[str] = "pairs.jsonl"
    ID: ClassVar[str] = "pair_id"
    PREFIX: ClassVar[str] = "p"
    IDENTITY: ClassVar[tuple[str, ...]] = ("query_id", "video_id")

    pair_id: Id
    query_id: Id
    video_id: Id
    origins: tuple[Origin, ...] = Field(min_length=1)
    expected: Literal["yes", "no", "unknown"]
    first_stage: tuple[FirstStage, ...] = ()
    reference: Sha256 | None = None


class Tokens(Frozen):
    """Tokens as the server counted them. `cached` is the part of `prompt` that it had in its cache."""

    prompt: int = Field(default=0, ge=0)
    completion: int = Field(default=0, ge=0)
    cached: int = Field(default=0, ge=0)


class TeacherLabel(Record):
    """A teacher's verdict on a pair.

    `logit_margin` = log p(yes) - log p(no) at the answer position, raw (RANKVIDEO, section on confidence);
    `p_yes` = sigmoid(logit_margin). If `exact` is false, the server did not give one of the two log-probabilities. It
    is `None`, and `logit_margin` is a bound: the true margin is at least that far from zero on the same side. Both are
    summed over all spellings of their word. `token_logprob_yes` and `token_logprob_no` are those of the canonical
    spellings alone, by which a student ranks, where the server gave them. A reply that cannot be read is `unparsed`
    and has no probabilities. `shown` is a digest of how the model was shown what it judged, with the libraries that
    made it (`schemas/shown.py`); None where nobody can say, as of a server.
    """

    FILE: ClassVar[str] = "labels.jsonl"
    ID: ClassVar[str] = "label_id"
    PREFIX: ClassVar[str] = "l"
    IDENTITY: ClassVar[tuple[str, ...]] = ("pair_id", "teacher", "sample", "input")

    label_id: Id
    pair_id: Id
    query_id: Id
    video_id: Id
    verdict: Verdict
    logit_margin: float | None = None
    p_yes: float | None = Field(default=None, ge=0, le=1)
    logprob_yes: float | None = Field(default=None, le=0)
    logprob_no: float | None = Field(default=None, le=0)
    token_logprob_yes: float | None = Field(default=None, le=0)
    token_logprob_no: float | None = Field(default=None, le=0)
    exact: bool = False
    reasoning: str = ""
    teacher: TeacherRef
    sample: int = Field(default=0, ge=0)
    input: Literal["full", "text_only"] = "full"
    tokens: Tokens = Tokens()
    shown: str | None = None

    @model_serializer(mode="wrap")
    def _only_what_was_noted(self, plain: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Labels of earlier versions, and those of servers, do not say how they were shown."""
        told: dict[str, Any] = plain(self)
        if self.shown is None:
            told.pop("shown", None)
        return told

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.verdict == "unparsed" and (self.logit_margin is not None or self.p_yes is not None):
            raise ValueError("an unparsed label carries no probability")
        if self.exact and (self.logprob_yes is None or self.logprob_no is None or self.logit_margin is None):
            raise ValueError("an exact label carries both log-probabilities and their margin")
        return self


class Dropped(Record):
    """Something left out on purpose. `item` is the id of a video, query or pair, or a line of an input file."""

    FILE: ClassVar[str] = "dropped.jsonl"
    ID: ClassVar[str] = "dropped_id"
    PREFIX: ClassVar[str] = "d"
    IDENTITY: ClassVar[tuple[str, ...]] = ("item", "stage", "reason", "detail")

    dropped_id: Id
    item: Name
    stage: Text
    reason: Text
    detail: str = ""


UNREAD_TEXT = "unread_text"
"""The reason of a place in the picture where text was seen and could not be read; the item is the video."""
