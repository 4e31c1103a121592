"""The extractors, in the order in which they look at a video. Another one is a file beside this, and a line here."""

from __future__ import annotations

from hardcut.synth.evidence.embedded import EMBEDDED
from hardcut.synth.evidence.look import Extractor
from hardcut.synth.evidence.metadata import METADATA
from hardcut.synth.evidence.ocr import OCR
from hardcut.synth.evidence.recognisers import SPEECH
from hardcut.synth.evidence.scenes import SCENES
from hardcut.synth.evidence.sounds import SOUNDS
from hardcut.synth.evidence.subtitles import SUBTITLES

EXTRACTORS: tuple[Extractor, ...] = (
    METADATA,
    SUBTITLES,
    EMBEDDED,
    SPEECH,
    SOUNDS,
    OCR,
    SCENES,
)
