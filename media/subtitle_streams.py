"""The subtitles inside a video's file: its text streams, on the same clock as its pictures."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple

from av.error import FFmpegError
from av.stream import Disposition

from hardcut.media.container import clock_start, open_video
from hardcut.schemas.text.languages import primary_language

_PICTURES = frozenset({"hdmv_pgs_subtitle", "pgssub", "dvd_subtitle", "dvdsub", "dvb_subtitle", "dvbsub", "xsub"})
_UNKNOWN = frozenset({"und", "mis", "mul", "zxx"})


class StreamCue(NamedTuple):
    """A line of dialogue as Advanced SubStation Alpha has it, to which FFmpeg turns all text subtitles, with its
    seconds, and the language that the stream names."""

    start: float
    end: float
    text: str
    language: str | None


class Unread(NamedTuple):
    """A stream of subtitles that is not read, by its number in the file, and why."""

    stream: int
    reason: str


def stream_cues(path: Path | str, known: Collection[str | None] = ()) -> tuple[list[StreamCue], list[Unread]]:
    """The words of one stream of each language, in the order of the file, the first that is not forced.

    Languages in `known` (short codes) are there already and are passed over. Streams of pictures are told as unread.
    Raises ItemError where the file cannot be opened.
    """
    cues: list[StreamCue] = []
    unread: list[Unread] = []
    taken = set(known)
    with open_video(path) as container:
        zero = clock_start(container)
        for stream in sorted(container.streams.subtitles, key=_is_forced):
            codec = stream.codec_context.name if stream.codec_context else "unknown"
            given = stream.metadata.get("language", "")
            language = None if given in _UNKNOWN or not given.isascii() else given or None
            if primary_language(language) in taken:
                continue
            if codec in _PICTURES or not stream.codec_context:
                unread.append(Unread(stream.index, f"subtitles as {codec}, which are pictures and not text"))
                continue
            taken.add(primary_language(language))
            try:
                cues += _cues(container, stream, zero, language)
            except FFmpegError as error:
                unread.append(Unread(stream.index, f"subtitles as {codec} break off: {error.strerror}"))
            container.seek(0)
    return cues, unread


def _cues(container: Any, stream: Any, zero: float, language: str | None) -> list[StreamCue]:
    found = []
    for packet in container.demux(stream):
        if packet.pts is None:
            continue
        start = float(packet.pts * stream.time_base) - zero
        length = float((packet.duration or 0) * stream.time_base)
        for part in packet.decode():
            text = getattr(part, "dialogue", b"").decode("utf-8", "replace").strip()
            if text and length > 0 and start + length > 0:
                found.append(StreamCue(max(0.0, start), start + length, text, language))
    return found


def _is_forced(stream: Any) -> bool:
    return bool(stream.disposition & Disposition.forced)
