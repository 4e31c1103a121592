"""The settings of a run: one TOML file maps one to one onto these records.

A group's values enter the key of the stages that depend on it, so changing one re-runs those stages and nothing else.
`Resources` and `Budget` change how a run is carried out and never what comes out: they enter no key.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from hardcut.schemas.base import Frozen
from hardcut.schemas.records import Sampling, View


class MediaSettings(Frozen):
    """How videos are sampled. One sampling serves evidence, teachers and reports, so a video is decoded once."""

    fps: float = Field(default=4.0, gt=0, le=60, description="frames a second")
    max_frames: int = Field(default=240, ge=1, description="at most so many frames a video, spread evenly")
    max_pixels: int = Field(default=640 * 360, ge=32 * 32, description="pixels of a stored frame, aspect ratio kept")
    jpeg_quality: int = Field(default=90, ge=50, le=100)
    strict: bool = Field(default=False, description="a damaged video fails instead of being used in part")


class EvidenceSettings(Frozen):
    """What is looked for in a video without any teacher."""

    ocr: Literal["rapidocr", "paddle", "off"] = "rapidocr"
    paddle_det: str | None = Field(default=None, description="paddle: folder of the model that finds lines")
    paddle_rec: str | None = Field(default=None, description="paddle: folder of the model that reads them")
    ocr_min_confidence: float = Field(default=0.6, ge=0, le=1)
    ocr_fps: float = Field(
        default=2.0, gt=0, description="times a second that text is looked for, of the stored frames"
    )
    ocr_side: int = Field(default=480, ge=64, description="the detector's longer side in pixels")
    speech: str = Field(
        default="subtitles",
        description="off | subtitles | whisper:MODEL | server:MODEL@URL, the last two beside subtitles",
    )
    shots: bool = True
    motion: bool = Field(default=True, description="what moves and which way, the camera, and colours")
    shot_threshold: float = Field(default=16.0, gt=0, description="least content change of a cut (PySceneDetect)")
    metadata_fields: tuple[str, ...] = Field(
        default=("title", "description", "event", "tags", "date", "location"),
        description="fields of a sidecar or manifest that teachers may read",
    )


class TeacherSettings(Frozen):
    """Which teacher, and how it is asked."""

    spec: str = Field(default="evidence", description="evidence | openai:MODEL@URL")
    revision: str | None = None
    sampling: Sampling = Sampling()


class CaptionSettings(Frozen):
    """How captions are written."""

    max_words: int = Field(default=120, ge=10)


class QuerySettings(Frozen):
    """Which queries are written for every video."""

    views: tuple[View, ...] = ("caption", "speech", "ocr", "metadata", "all")
    per_view: int = Field(default=1, ge=1, le=10)
    max_words: int = Field(default=40, ge=5)

    @model_validator(mode="after")
    def _no_user_view(self) -> QuerySettings:
        if "user" in self.views:
            raise ValueError("the view 'user' is for queries given with --queries and cannot be written")
        return self


class NegativeSettings(Frozen):
    """How negatives are mined from a first stage (RANKVIDEO, section on synthesis)."""

    per_query: int = Field(default=8, ge=1, description="mined candidates a query beside its source")
    depth: int = Field(default=1000, ge=1, description="a positive ranked below this is dropped")
    max_ratio: float = Field(default=2.0, gt=0, description="dropped where best negative > max_ratio * positive")


class JudgmentSettings(Frozen):
    """When a teacher's verdict becomes a training label; a1 and a2 of RANKVIDEO on the raw margin."""

    trusted_below: float = Field(default=-6.0, description="a1: a 'no' with a margin of at most this is trusted")
    suspected_above: float = Field(default=8.0, description="a2: a mined 'yes' above this is a suspected positive")


class ExportSettings(Frozen):
    """How a dataset is laid out. The shares are of video groups; what is left after train and validation is test."""

    train: float = Field(default=0.8, ge=0, le=1)
    validation: float = Field(default=0.1, ge=0, le=1)
    seed: int = 0
    name: str = "hardcut-dataset"
    licence: str | None = None

    @model_validator(mode="after")
    def _shares(self) -> ExportSettings:
        if self.train + self.validation > 1:
            raise ValueError("train and validation together are more than 1")
        return self


class Budget(Frozen):
    """Hard stops, counted over all starts of a run. None: no limit."""

    calls: int | None = Field(default=None, ge=0, description="teacher calls that may be sent")


class Resources(Frozen):
    """How much of the machine and of the server is used. Never changes a result."""

    workers: int | None = Field(default=None, ge=1, description="processes that decode and read text; default: cores")
    concurrency: int = Field(default=64, ge=1, description="teacher requests in flight")
    decode_timeout_s: float = Field(default=300.0, gt=0, description="for one video in one worker")
    request_timeout_s: float = Field(default=300.0, gt=0)
    max_attempts: int = Field(default=6, ge=1, description="tries of one request, the first included")


class Inputs(Frozen):
    """What the user gave beside the videos. Their content, not their names, enters the keys of the stages."""

    manifest: str | None = Field(default=None, description="a .csv or .jsonl with path, video_id and metadata")
    queries: str | None = Field(default=None, description="queries of your own: .tsv, .csv or .jsonl")
    first_stage: str | None = Field(default=None, description="a first stage of your own, a TREC run; default: BM25")


class Settings(Frozen):
    """All settings of a run, as `run.toml` keeps them."""

    inputs: Inputs = Inputs()
    media: MediaSettings = MediaSettings()
    evidence: EvidenceSettings = EvidenceSettings()
    teacher: TeacherSettings = TeacherSettings()
    captions: CaptionSettings = CaptionSettings()
    queries: QuerySettings = QuerySettings()
    negatives: NegativeSettings = NegativeSettings()
    judgments: JudgmentSettings = JudgmentSettings()
    export: ExportSettings = ExportSettings()
    budget: Budget = Budget()
    resources: Resources = Resources()
