"""What the stages hand over with each task, for teachers that read it as it is. Times are in seconds."""

from __future__ import annotations

from pydantic import Field

from hardcut.schemas.base import Frozen
from hardcut.schemas.records import EvidenceKind
from hardcut.teacher.replies import WrittenView


class VideoInput(Frozen):
    """Facts of the video."""

    duration_s: float


class EvidenceLine(Frozen):
    """One thing that was found in the video. Times are null where it has none."""

    id: str
    kind: EvidenceKind
    text: str
    start: float | None = None
    end: float | None = None
    confidence: float | None = None


class ClaimLine(Frozen):
    """A claim of the caption with the ids of the evidence that it cites."""

    text: str
    start: float | None = None
    end: float | None = None
    evidence: tuple[str, ...] = ()


class CaptionInputs(Frozen):
    """Inputs of `caption`."""

    video: VideoInput
    evidence: tuple[EvidenceLine, ...]
    max_words: int


class QueriesInputs(Frozen):
    """Inputs of `queries`."""

    video: VideoInput
    evidence: tuple[EvidenceLine, ...]
    caption: str
    claims: tuple[ClaimLine, ...]
    views: tuple[WrittenView, ...]
    per_view: int
    max_words: int


class JudgeInputs(Frozen):
    """Inputs of `judge`; `reasoning` is added from the sampling."""

    video: VideoInput
    evidence: tuple[EvidenceLine, ...]
    query: str
    caption: str | None = Field(description="null where the judge is not to see it")
    reasoning: bool = True
