"""Text in the picture with RapidOCR or PaddleOCR, and Tesseract for what they cannot read.

Only what changed since the last frame is looked at again.

The detector costs ten times what reading a line does and grows with the area it is given, so a frame is compared with
what was last read, block by block, and detection runs on the changed part alone. Lines none of whose pixels changed are
carried over unread.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import JsonValue

from hardcut.media.frames import Frame
from hardcut.media.holes import Hole
from hardcut.schemas.dependencies import installed
from hardcut.schemas.records import Box, Dropped, Evidence, Span, Video
from hardcut.schemas.settings import EvidenceSettings
from hardcut.schemas.text.clean import clean, script_of
from hardcut.synth.evidence.look import Extractor, Look, Setup
from hardcut.synth.evidence.paddle import paddle_engine, paddle_settings
from hardcut.synth.evidence.pictures import load_image
from hardcut.synth.evidence.readable import believable, crops
from hardcut.synth.evidence.readers import Engine, TwoReaders
from hardcut.synth.evidence.scrolling import put_together
from hardcut.synth.evidence.tesseract import Told, language_settings
from hardcut.synth.evidence.tracks import Line, Reading, Rect, follow
from hardcut.synth.evidence.unread import Unread, unread
from hardcut.synth.evidence.writing import Writing, writing

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Image = NDArray[np.uint8]
    Mask = NDArray[np.bool_]
    Quad = NDArray[np.float32]

BLOCK = 8
"""Side of a block in pixels of the detector's picture: a letter of the smallest legible text fills one."""
BLOCK_CHANGE = 6.0
"""Mean change of grey (0..255) in a block that counts: codecs' noise is below 4, a faint small letter above 10."""
MARGIN = 3
"""Blocks around a changed part that the detector sees too, so that no letter touches the edge."""
WHOLE = 0.6
"""Changed parts that cover more than this of the picture are not worth cutting out."""
WORTH_FOLLOWING = 0.3
"""Readings below this confidence are noise even where a line was seen before."""
SAME_PLACE = 0.7
"""Share of a box inside another from which on both are the same line."""


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
    looked_at = _thinned(frames, settings.ocr_fps)
    engine = TwoReaders(_engine(settings), settings, language)
    reader = _Reader(engine, settings.ocr_side)
    readings = [reader.read(index, load_image(frame.path)) for index, frame in enumerate(looked_at)]
    written = writing([frame.time_s for frame in looked_at], readings, reader.aspect)
    times = [frame.time_s for frame in looked_at]
    found = follow(times, [[each for each in seen if each.text] for seen in readings], duration_s, holes)
    lines: list[Line] = []
    for line in found:
        readable = line.confidence >= settings.ocr_min_confidence and engine.can_read(line.text, line.best.reader)
        if readable and believable(line, _read_again(engine, line, looked_at[line.best.frame]), lines):
            lines.append(line)
    return TextSeen([_whole(line) for line in lines], unread(times, readings, lines, duration_s), written)


def _whole(line: Line) -> Line:
    """A line that scrolls with all of its text, over all of its way."""
    text = put_together(line.seen)
    if text is None:
        return line
    left, top, right, bottom = zip(*(reading.box for reading in line.seen), strict=True)
    return replace(line, text=text, box=(min(left), min(top), max(right), max(bottom)))


def _read_again(engine: TwoReaders, line: Line, frame: Frame) -> Iterator[str]:
    """What other crops of a line are read as, each when it is asked for."""
    import numpy as np

    image = load_image(frame.path)
    height, width = image.shape[:2]
    corners = np.array(line.best.corners, dtype=np.float32) * np.array([width, height], dtype=np.float32)
    cut = _upright(image, corners.astype(np.float32))
    for crop in crops(cut):
        yield clean(engine.again(crop, line.best.reader).text)


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


def _thinned(frames: Sequence[Frame], fps: float) -> list[Frame]:
    """At most about `fps` frames a second, and the last one: there a text is whole that came in until then."""
    kept: list[Frame] = []
    for frame in frames:
        if not kept or frame.time_s - kept[-1].time_s > 0.9 / fps or frame is frames[-1]:
            kept.append(frame)
    return kept


class RapidEngine:
    """RapidOCR with the models of its wheel: one thread, nothing written or fetched.

    Its sessions keep the memory of a call for the next one: otherwise a quarter of the detector's time goes into asking
    for it.
    """

    def __init__(self) -> None:
        from rapidocr import RapidOCR

        self._rapid: Any = RapidOCR(
            params={
                "Global.log_level": "critical",
                "Global.use_cls": False,
                "Global.use_preprocess_img": False,
                "Global.text_score": 0.0,
                "EngineConfig.onnxruntime.intra_op_num_threads": 1,
                "EngineConfig.onnxruntime.inter_op_num_threads": 1,
                "EngineConfig.onnxruntime.enable_cpu_mem_arena": True,
                "Det.limit_type": "max",
                "Det.limit_side_len": 4096,
                "Det.use_dilation": False,
                "Rec.rec_img_shape": [3, 48, 64],
            }
        )

    def detect(self, picture: Image) -> Sequence[Quad]:
        import numpy as np

        found = self._rapid(picture, use_det=True, use_cls=False, use_rec=False)
        return [] if found.boxes is None else [np.asarray(box, dtype=np.float32) for box in found.boxes]

    def recognise(self, line: Image) -> Told:
        found = self._rapid(line, use_det=False, use_cls=False, use_rec=True)
        return Told(found.txts[0], float(found.scores[0])) if found.txts else Told("", 0.0)


@cache
def _rapid_engine() -> Engine:
    """One a process."""
    return RapidEngine()


def _engine(settings: EvidenceSettings) -> Engine:
    if settings.ocr == "paddle" and settings.paddle_det and settings.paddle_rec:
        return paddle_engine(settings.paddle_det, settings.paddle_rec)
    return _rapid_engine()


class _Reader:
    """Reads the frames of one video in order and remembers what it has seen."""

    def __init__(self, engine: Engine, side: int) -> None:
        self._engine = engine
        self._side = side
        self._seen: NDArray[np.uint8] | None = None
        self._lines: list[Reading] = []
        self.aspect = 1.0
        """Width over height of the pictures."""

    def read(self, index: int, image: Image) -> list[Reading]:
        """The readings that hold in this frame: those that still stand, and what is new."""
        self.aspect = image.shape[1] / image.shape[0]
        small = _shrink(image, self._side)
        changed = self._changes(small)
        if not changed.any():
            return self._lines
        kept = [line for line in self._lines if not changed[_blocks(line.box, changed)].any()]
        parts = _parts(changed, [line.box for line in self._lines])
        found = [(quad, _rect(quad)) for part in parts for quad in _detect(self._engine, small, part)]
        new = [(quad, box) for quad, box in found if not any(_share(box, line.box) > SAME_PLACE for line in kept)]
        kept = [line for line in kept if not any(_share(line.box, box) > SAME_PLACE for _, box in new)]
        read = [_recognise(self._engine, index, image, quad, box) for quad, box in new]
        self._lines = kept + [reading for reading in read if reading is not None]
        return self._lines

    def _changes(self, small: Image) -> Mask:
        """Which blocks differ from what was last read there. Those are remembered as they are now."""
        import cv2
        import numpy as np

        grey = np.asarray(cv2.cvtColor(small, cv2.COLOR_BGR2GRAY), dtype=np.uint8)
        height, width = grey.shape
        rows, columns = -(-height // BLOCK), -(-width // BLOCK)
        if self._seen is None or self._seen.shape != grey.shape:
            self._seen, self._lines = grey, []
            return np.ones((rows, columns), dtype=np.bool_)
        difference = np.zeros((rows * BLOCK, columns * BLOCK), dtype=np.uint8)
        difference[:height, :width] = cv2.absdiff(grey, self._seen)
        changed: Mask = difference.reshape(rows, BLOCK, columns, BLOCK).mean(axis=(1, 3)) > BLOCK_CHANGE
        pixels = changed.repeat(BLOCK, axis=0).repeat(BLOCK, axis=1)[:height, :width]
        self._seen[pixels] = grey[pixels]
        return changed


def _shrink(image: Image, side: int) -> Image:
    import cv2
    import numpy as np

    height, width = image.shape[:2]
    scale = side / max(height, width)
    if scale >= 1:
        return image
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _blocks(box: Rect, mask: Mask, margin: int = 0) -> tuple[slice, slice]:
    """The blocks of the mask that the box lies on."""
    rows, columns = mask.shape
    top, bottom = int(box[1] * rows) - margin, int(box[3] * rows) + 1 + margin
    left, right = int(box[0] * columns) - margin, int(box[2] * columns) + 1 + margin
    return slice(max(0, top), bottom), slice(max(0, left), right)


def _parts(changed: Mask, known: Sequence[Rect]) -> list[tuple[slice, slice]]:
    """The changed parts of the picture in pixels (rows, columns): disjoint, with margin, no known line cut."""
    import cv2
    import numpy as np

    mask = cv2.dilate(changed.astype(np.uint8), np.ones((2 * MARGIN + 1, 2 * MARGIN + 1), np.uint8)).astype(np.bool_)
    parts: list[tuple[slice, slice]] = []
    before = None
    while before is None or (mask != before).any():
        before = mask.copy()
        for box in known:
            line = _blocks(box, mask, margin=1)
            if mask[line].any():
                mask[line] = True
        parts = _components(mask)
        for part in parts:
            mask[part] = True
    if mask.mean() > WHOLE:
        parts = [(slice(0, mask.shape[0]), slice(0, mask.shape[1]))]
    return [
        (slice(rows.start * BLOCK, rows.stop * BLOCK), slice(columns.start * BLOCK, columns.stop * BLOCK))
        for rows, columns in parts
    ]


def _components(mask: Mask) -> list[tuple[slice, slice]]:
    import cv2
    import numpy as np

    count, _, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    return [
        (slice(int(top), int(top + height)), slice(int(left), int(left + width)))
        for left, top, width, height, _ in stats[1:count]
    ]


def _detect(engine: Engine, small: Image, part: tuple[slice, slice]) -> list[Quad]:
    """Four corners, as fractions of the picture, of every line of text in a part of it."""
    import numpy as np

    height, width = small.shape[:2]
    corner = np.array([part[1].start, part[0].start], dtype=np.float32)
    size = np.array([width, height], dtype=np.float32)
    return [((box + corner) / size).clip(0.0, 1.0) for box in engine.detect(np.ascontiguousarray(small[part]))]


def _recognise(engine: Engine, index: int, image: Image, quad: Quad, box: Rect) -> Reading | None:
    """Reads one line at full size, with an empty text where it cannot be read; None where it is too small."""
    import numpy as np

    height, width = image.shape[:2]
    corners = (quad * np.array([width, height], dtype=np.float32)).astype(np.float32)
    if np.ptp(corners[:, 0]) < 2 or np.ptp(corners[:, 1]) < 2:
        return None
    told = engine.recognise(_upright(image, corners))
    text, confidence = clean(told.text), round(min(1.0, told.confidence), 4)
    is_text = any(character.isalnum() for character in text)  # round things are read as bullets
    if not is_text or confidence < WORTH_FOLLOWING:
        text, confidence = "", 0.0
    return Reading(index, text, confidence, box, tuple((float(x), float(y)) for x, y in quad), told.reader)


def _upright(image: Image, corners: Quad) -> Image:
    """The part of a picture between four corners, clockwise from the upper left, as a rectangle; text that runs down
    is laid on its side."""
    import cv2
    import numpy as np

    def side(one: int, other: int) -> float:
        return float(np.linalg.norm(corners[one] - corners[other]))

    width, height = max(1, int(max(side(0, 1), side(2, 3)))), max(1, int(max(side(0, 3), side(1, 2))))
    target = np.array([[0, 0], [width, 0], [width, height], [0, height]], dtype=np.float32)
    matrix = cv2.getPerspectiveTransform(corners, target)
    line = cv2.warpPerspective(image, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(np.rot90(line) if height >= 1.5 * width else line, dtype=np.uint8)


def _rect(quad: Quad) -> Rect:
    left, top = (round(float(value), 4) for value in quad.min(axis=0))
    right, bottom = (round(float(value), 4) for value in quad.max(axis=0))
    return left, top, right, bottom


def _share(box: Rect, of: Rect) -> float:
    """The part of `box` that lies inside `of`, 0..1."""
    width = min(box[2], of[2]) - max(box[0], of[0])
    height = min(box[3], of[3]) - max(box[1], of[1])
    area = (box[2] - box[0]) * (box[3] - box[1])
    return width * height / area if width > 0 and height > 0 and area > 0 else 0.0


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
