"""Speech out of subtitle files (.srt, .vtt, .ass): the source that needs no model.

The parser is our own because a file that is broken in one place must give the rest and name the line; the libraries
looked at either stop at the first fault (srt, webvtt-py) or guess past it in silence (pysubs2, which also takes a
number that ends a cue for the next cue's and leaves notes and names of WebVTT cues in the text).
"""

from __future__ import annotations

import asyncio
import hashlib
import html
import re
from collections.abc import Iterator
from pathlib import Path

from hardcut.schemas.errors import ItemError
from hardcut.schemas.records import Dropped, Evidence, Span, Subtitles, Video
from hardcut.schemas.text.clean import clean
from hardcut.synth.evidence.cues import Cue, Fault, ass_cues, unrolled
from hardcut.synth.evidence.encodings import code_page, decode, lines_of
from hardcut.synth.evidence.look import Extractor, Look, Setup

MAX_BYTES = 16 * 2**20

_TIME = r"(?:(\d{1,4}):)?([0-5]?\d):([0-5]?\d)(?:[.,](\d{1,3}))?"
_TIMING = re.compile(rf"\s*{_TIME}\s*-->\s*{_TIME}(?:\s.*)?")
_NUMBER = re.compile(r"\s*\d+\s*")
_TAG = re.compile(r"</?[A-Za-z][^<>]*>|<[\d:.]+>|\{\\[^{}]*\}")
_BLOCKS_WITHOUT_TEXT = ("WEBVTT", "NOTE", "STYLE", "REGION")


def subtitle_evidence(video: Video, root: Path) -> tuple[list[Evidence], list[Dropped]]:
    """Every cue of the video's subtitle files as evidence of speech; what cannot be read is dropped with file and line.

    Raises ItemError where a file leaves the root or is another one than was probed.
    """
    found: dict[str, Evidence] = {}
    dropped: list[Dropped] = []

    def drop(line: int, reason: str, detail: str) -> None:
        dropped.append(Dropped.create(item=f"{sidecar.path}:{line}", stage="evidence", reason=reason, detail=detail))

    for sidecar in video.subtitles:
        extractor = Path(sidecar.path).suffix.lower().lstrip(".")
        language = sidecar.language or _language_of(video)
        cues, faults = parse(_read(sidecar, root), extractor, language)
        for fault in faults:
            drop(fault.line, "subtitle_unreadable", fault.detail)
        for cue in cues:
            if cue.start >= video.duration_s:
                drop(
                    cue.line,
                    "span_outside",
                    f"starts at {cue.start:g} s, after the video's end ({video.duration_s:g} s)",
                )
                continue
            item = Evidence.create(
                video_id=video.video_id,
                kind="speech",
                text=cue.text,
                span=Span(start=cue.start, end=min(cue.end, video.duration_s)),
                language=sidecar.language,
                extractor=extractor,
            )
            found.setdefault(item.evidence_id, item)
    return list(found.values()), dropped


def parse(data: bytes, form: str = "srt", language: str | None = None) -> tuple[list[Cue], list[Fault]]:
    """The cues of a subtitle file sorted by time, and what in it could not be read. `form` is `srt`, `vtt`, `ass` or
    `ssa`.

    Taken as they come: byte order marks, UTF-8, UTF-16, else the code page that `language` was written in; any line
    ends; cues without numbers, out of order or overlapping; times without hours; comma or point. Tags are taken out and
    entities resolved. In .srt a cue reaches to the next one, blank lines or not; in .vtt to the next empty line.
    Captions that roll, as downloaders bring them, repeat each line: it is taken once.
    """
    if len(data) > MAX_BYTES:
        return [], [Fault(1, f"{len(data)} bytes are more than {MAX_BYTES}: not a subtitle file")]
    try:
        text = decode(data, language)
    except UnicodeDecodeError as error:
        page = code_page(language)
        why = f"nor {page}, the code page of {language}" if page else "and no language says which code page it is"
        told = f"neither UTF-8 nor UTF-16, {why}: save it as UTF-8, or name it with its language, such as talk.ru.srt"
        return [], [Fault(data[: error.start].count(b"\n") + 1, told)]
    if form in ("ass", "ssa"):
        return ass_cues(text)
    cues, faults = _timed_cues(lines_of(text), vtt=form == "vtt")
    return [cue for cue in unrolled(cues) if cue.text], faults


def _timed_cues(lines: list[str], *, vtt: bool) -> tuple[list[Cue], list[Fault]]:
    """The cues of .srt and .vtt."""
    cues: list[Cue] = []
    faults: list[Fault] = []
    for at, body in _blocks(lines, vtt):
        line = at + 1
        timing = _TIMING.fullmatch(lines[at])
        if timing is None:
            faults.append(Fault(line, f"these are no times: {clean(lines[at], 80)!r}"))
            continue
        start, end = _seconds(timing.groups()[:4]), _seconds(timing.groups()[4:])
        if end < start:
            faults.append(Fault(line, f"the cue ends ({end:g} s) before it starts ({start:g} s)"))
        elif text := "\n".join(filter(None, (clean(html.unescape(_TAG.sub("", each))) for each in body))):
            cues.append(Cue(start, end, text, line))
    if not cues and not faults and any(line.strip() for line in lines if not line.startswith(_BLOCKS_WITHOUT_TEXT)):
        faults.append(Fault(1, "no cue with times and text in the whole file"))
    return sorted(cues, key=lambda cue: (cue.start, cue.end, cue.line)), faults


def _blocks(lines: list[str], vtt: bool) -> Iterator[tuple[int, list[str]]]:
    """The index of every line of times with the lines of text that follow it."""
    timings = [index for index, line in enumerate(lines) if "-->" in line]
    for position, index in enumerate(timings):
        last = position + 1 == len(timings)
        body = lines[index + 1 : len(lines) if last else timings[position + 1]]
        if vtt:
            yield index, _until_blank(body)
        elif not last and body and _NUMBER.fullmatch(body[-1]):
            yield index, body[:-1]
        else:
            yield index, body


def _until_blank(body: list[str]) -> list[str]:
    """Up to the first empty line. A line of white space is none: cues of downloaders begin with one."""
    blank = next((index for index, line in enumerate(body) if not line), len(body))
    return body[:blank]


def _seconds(groups: tuple[str | None, ...]) -> float:
    hours, minutes, seconds, fraction = groups
    return int(hours or 0) * 3600 + int(minutes or 0) * 60 + int(seconds or 0) + float(f"0.{fraction or 0}")


def _language_of(video: Video) -> str | None:
    told = video.metadata.get("language")
    return told if isinstance(told, str) else None


def _read(sidecar: Subtitles, root: Path) -> bytes:
    path = (root / sidecar.path).resolve()
    if not path.is_relative_to(root.resolve()):
        raise ItemError("outside_root", f"subtitles {sidecar.path} leave the collection's folder: move them into it")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ItemError("unreadable", f"subtitles {sidecar.path}: {error.strerror}") from error
    if hashlib.sha256(data).hexdigest() != sidecar.sha256:
        raise ItemError("changed", f"subtitles {sidecar.path} changed during the run: start the run again")
    return data


async def _subtitles(look: Look) -> list[Evidence | Dropped]:
    if not look.video.subtitles:
        return []
    found, dropped = await asyncio.to_thread(subtitle_evidence, look.video, look.source.root)
    return [*found, *dropped]


def _on(setup: Setup) -> bool:
    return setup.options.speech != "off"


SUBTITLES = Extractor("subtitles", None, _subtitles, on=_on, frames=False)
