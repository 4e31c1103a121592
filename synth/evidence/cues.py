"""Cues of subtitles: those of .ass files, and captions that roll, each line taken once. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from hardcut.schemas.text.clean import clean
from hardcut.synth.evidence.encodings import lines_of

_ASS_TIME = re.compile(r"\s*(\d{1,4}):([0-5]?\d):([0-5]?\d)(?:\.(\d{1,3}))?\s*")
_ASS_TAG = re.compile(r"\{[^}]*\}")
_ASS_BREAK = re.compile(r"\\[Nnh]")
_DRAWING = re.compile(r"\\p[1-9]")
_AT_ONCE_S = 0.1
_FIELDS = ("layer", "start", "end", "style", "name", "marginl", "marginr", "marginv", "effect", "text")
"""The columns of an event where a file does not name them (version 4.00+)."""


@dataclass(frozen=True, slots=True)
class Cue:
    """Some lines of speech, a line break between them. `line` is where its times stand in the file, counted from 1."""

    start: float
    end: float
    text: str
    line: int


@dataclass(frozen=True, slots=True)
class Fault:
    """A place in a subtitle file that could not be read; line 1 stands for the file as a whole."""

    line: int
    detail: str


def ass_cues(text: str) -> tuple[list[Cue], list[Fault]]:
    """The spoken lines of an Advanced SubStation Alpha file, sorted by time. Comments and drawings are no speech."""
    cues: list[Cue] = []
    faults: list[Fault] = []
    section, fields = "", list(_FIELDS)
    for number, line in enumerate(lines_of(text), 1):
        name, colon, rest = line.partition(":")
        if line.startswith("["):
            section = line.strip().lower()
        elif section != "[events]" or not colon:
            continue
        elif name.strip().lower() == "format":
            fields = [field.strip().lower() for field in rest.split(",")]
        elif name.strip().lower() == "dialogue":
            found = _ass_cue(rest, fields, number)
            if isinstance(found, Fault):
                faults.append(found)
            elif found is not None:
                cues.append(found)
    if not cues and not faults and text.strip():
        faults.append(Fault(1, "no line of dialogue in the whole file"))
    return sorted(cues, key=lambda cue: (cue.start, cue.end, cue.line)), faults


def _ass_cue(rest: str, fields: Sequence[str], number: int) -> Cue | Fault | None:
    """None where the line says nothing."""
    values = dict(zip(fields, rest.split(",", len(fields) - 1), strict=False))
    start, end = (_ass_time(values.get(name, "")) for name in ("start", "end"))
    if start is None or end is None:
        return Fault(number, f"these are no times: {clean(rest, 80)!r}")
    if end < start:
        return Fault(number, f"the cue ends ({end:g} s) before it starts ({start:g} s)")
    said = values.get("text", "")
    text = spoken(said)
    return Cue(start, end, text, number) if text else None


def spoken(dialogue: str) -> str:
    """The words of a line of dialogue of Advanced SubStation Alpha; empty where it is a drawing."""
    return "" if _DRAWING.search(dialogue) else clean(_ASS_BREAK.sub(" ", _ASS_TAG.sub("", dialogue)))


def _ass_time(text: str) -> float | None:
    match = _ASS_TIME.fullmatch(text)
    if match is None:
        return None
    hours, minutes, seconds, fraction = match.groups()
    return int(hours) * 3600 + int(minutes) * 60 + int(seconds) + float(f"0.{fraction or 0}")


def unrolled(cues: Sequence[Cue]) -> list[Cue]:
    """The cues sorted by time. Where captions roll, a cue repeats lines of the one before it: only its new lines are
    kept, up to where the next new ones begin. A cue without a new line is left out.

    Captions roll where at least half of the cues begin at once, with the line that the one before ended with.
    """
    ordered = sorted(cues, key=lambda cue: (cue.start, cue.end, cue.line))
    lines = [cue.text.split("\n") for cue in ordered]
    repeats = sum(
        here[0] == before[-1] and cue.start - earlier.end < _AT_ONCE_S
        for (earlier, before), (cue, here) in pairwise(zip(ordered, lines, strict=True))
    )
    if repeats < 2 or 2 * repeats < len(ordered) - 1:
        return [replace(cue, text=" ".join(said)) for cue, said in zip(ordered, lines, strict=True)]
    kept: list[Cue] = []
    shown: list[str] = []
    for cue, said in zip(ordered, lines, strict=True):
        new = [line for line in said if line not in shown]
        shown = said
        if new:
            if kept and kept[-1].end > cue.start:
                kept[-1] = replace(kept[-1], end=cue.start)
            kept.append(replace(cue, text=" ".join(new)))
    return kept
