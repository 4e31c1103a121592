"""Text in the picture with RapidOCR or PaddleOCR, and Tesseract for what they cannot read. Workers do `lines.py`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import JsonValue

from hardcut.schemas.dependencies import installed
from hardcut.schemas.records import Box, Dropped, Evidence, Span, Video
from hardcut.schemas.text.clean import script_of
from hardcut.synth.evidence.lines import read_lines
from hardcut.synth.evidence.look import Extractor, Look, Setup
from hardcut.synth.evidence.paddle import paddle_settings
from hardcut.synth.evidence.tesseract import language_settings
from hardcut.synth.evidence.tracks import Line
from hardcut.synth.evidence.unread import Unread


def ocr_evidence(video: Video, lines: Sequence[Line], extractor: str) -> list[Evidence]:
    """One line of evidence for each line of text."""
    return [
        Evidence.create(
            video_id=video.video_id,
            kind="ocr",
            text=line.text,
            span=Span(start=line.start, end=line.end),
            box=Box(left=line.box[0], top=line.box[1], right=line.box[2], bottom=line.box[3]),
            language=script_of(line.text),
            confidence=line.confidence,
            extractor=line.best.reader or extractor,
        )
        for line in lines
    ]


def unread_text(video: Video, found: Sequence[Unread]) -> list[Dropped]:
    """One record for each place where text was seen and not read."""
    return [
        Dropped.create(item=video.video_id, stage="evidence", reason="unread_text", detail=each.told) for each in found
    ]


async def _ocr(look: Look) -> list[Evidence | Dropped]:
    options, video = look.setup.options, look.video
    holes = await look.holes()
    told = video.metadata.get("language")
    language = told if isinstance(told, str) else None
    lines, not_read, written = await look.pool.call(read_lines, look.frames, video.duration_s, options, holes, language)
    look.written.extend(written)
    return [*ocr_evidence(video, lines, options.ocr), *unread_text(video, not_read)]


def _on(setup: Setup) -> bool:
    return setup.options.ocr != "off"


def _libraries(setup: Setup) -> Mapping[str, JsonValue]:
    options = setup.options
    second = {"languages": language_settings(options, setup.digests)} if options.ocr_languages else {}
    if options.ocr == "paddle":
        return {"paddle": paddle_settings(options, setup.digests), **second}
    first = {package: installed(package, "ocr", 'evidence.ocr = "off"') for package in ("rapidocr", "onnxruntime")}
    return {**first, **second}


OCR = Extractor("ocr", None, _ocr, on=_on, libraries=_libraries)
