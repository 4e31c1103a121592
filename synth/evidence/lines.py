"""The lines of text of a video, out of what is read in its frames. For a worker process: it imports little."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from hardcut.media.frames import Frame
from hardcut.media.holes import Hole
from hardcut.schemas.settings import EvidenceSettings
from hardcut.schemas.text.clean import clean
from hardcut.synth.evidence.frame_reader import FrameReader, upright
from hardcut.synth.evidence.paddle import paddle_engine
from hardcut.synth.evidence.pictures import load_image
from hardcut.synth.evidence.rapid import rapid_engine
from hardcut.synth.evidence.readable import believable, crops, is_faint
from hardcut.synth.evidence.readers import Engine, TwoReaders
from hardcut.synth.evidence.scrolling import whole_lines
from hardcut.synth.evidence.tracks import Line, follow
from hardcut.synth.evidence.unread import Unread, unread
from hardcut.synth.evidence.writing import Writing, writing


class TextSeen(NamedTuple):
    """The text of a video: what is evidence, what was seen and not read, and where lines stood in each picture."""

    lines: list[Line]
    unread: list[Unread]
    written: list[Writing]


def read_lines(
    frames: Sequence[Frame],
    duration_s: float,
    settings: EvidenceSettings,
    holes: Sequence[Hole] = (),
    language: str | None = None,
) -> TextSeen:
    """The lines of text of a video, each with its span, place and best reading, the text that is not read, and where
    text stood. For a worker process. `language` is the tag of what the video speaks or shows, where it is known.

    The detector sees pictures whose longer side is at most `ocr_side` pixels; lines are read at full size. Lines whose
    best reading is below `ocr_min_confidence` are not read, and so are those that other crops of the same picture do
    not confirm (`readable.py`), or that may be look-alikes of another script (`lookalikes.py`).
    """
    looked_at = thinned(frames, settings.ocr_fps)
    engine = TwoReaders(_engine(settings), settings, language)
    reader = FrameReader(engine, settings.ocr_side)
    readings = [reader.read(index, load_image(frame.path)) for index, frame in enumerate(looked_at)]
    written = writing([frame.time_s for frame in looked_at], readings, reader.aspect)
    times = [frame.time_s for frame in looked_at]
    found = follow(times, [[each for each in seen if each.text] for seen in readings], duration_s, holes)
    lines: list[Line] = []
    for line in found:
        readable = line.confidence >= settings.ocr_min_confidence and engine.can_read(line.text, line.best.reader)
        if readable and believable(line, _read_again(engine, line, looked_at[line.best.frame]), lines):
            lines.append(line)
    told = whole_lines(lines)
    return TextSeen(told, unread(times, readings, told, duration_s), written)


def _read_again(engine: TwoReaders, line: Line, frame: Frame) -> Iterator[str]:
    """What other crops of a line are read as, each when it is asked for; nothing of one that is hardly seen."""
    import numpy as np

    image = load_image(frame.path)
    height, width = image.shape[:2]
    corners = np.array(line.best.corners, dtype=np.float32) * np.array([width, height], dtype=np.float32)
    cut = upright(image, corners.astype(np.float32))
    for crop in () if is_faint(cut) else crops(cut):
        yield clean(engine.again(crop, line.best.reader).text)


def thinned(frames: Sequence[Frame], fps: float) -> list[Frame]:
    """At most about `fps` frames a second, and the last one: there a text is whole that came in until then."""
    kept: list[Frame] = []
    for frame in frames:
        if not kept or frame.time_s - kept[-1].time_s > 0.9 / fps or frame is frames[-1]:
            kept.append(frame)
    return kept


def _engine(settings: EvidenceSettings) -> Engine:
    if settings.ocr == "paddle" and settings.paddle_det and settings.paddle_rec:
        return paddle_engine(settings.paddle_det, settings.paddle_rec)
    return rapid_engine()
