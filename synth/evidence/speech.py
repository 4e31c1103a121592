"""Speech by recognition: what a recogniser is, and its words as lines of evidence. Subtitles are in `subtitles.py`."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from pydantic import JsonValue

from hardcut.schemas.records import Dropped, Evidence, Span, Video
from hardcut.schemas.text.clean import clean

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Sound = NDArray[np.float32]

SEARCH_S = 5.0
"""Long sound is cut where it is quietest in so many seconds before the longest length."""
QUIET_S = 0.2
MOST_NO_SPEECH = 0.6
LEAST_LOGPROB = -1.0
MOST_COMPRESSED = 2.4
"""Whisper's own limits (`transcribe.py`, defaults): beyond them it takes a segment for silence or for a failure."""
SILENCE = 1e-3
"""Sound whose loudest 0.2 s is below this (root mean square, of 1) holds no speech; recognisers make some up."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """Something that was recognised, in seconds of the video. Without a text: sound that nobody was asked about, for
    the reason in `doubt`."""

    start: float
    end: float
    text: str
    language: str | None = None
    confidence: float | None = None
    doubt: str | None = None
    """Why it is probably no speech, in words (`doubt_of`)."""


def compression_ratio(text: str) -> float:
    """How many times shorter a text is when it is packed: what repeats itself packs well (Whisper, `utils.py`)."""
    data = text.encode("utf-8", "surrogatepass")
    return len(data) / len(zlib.compress(data))


def doubt_of(
    text: str, no_speech: float | None = None, logprob: float | None = None, compression: float | None = None
) -> str | None:
    """Why a recogniser made up what it says it heard; None where nothing says so. The measures are Whisper's:
    the probability that nobody speaks, the mean log-probability of a token, and the compression ratio, which is
    computed where it is not told. A measure that is None says nothing."""
    ratio = compression_ratio(text) if compression is None else compression
    if ratio > MOST_COMPRESSED:
        return f"it repeats itself (compression ratio {ratio:.1f}, at most {MOST_COMPRESSED:g})"
    if logprob is None or logprob >= LEAST_LOGPROB:
        return None
    if no_speech is not None and no_speech > MOST_NO_SPEECH:
        return f"nobody speaks there (probability {no_speech:.2f}, mean log-probability {logprob:.2f})"
    return f"it is a guess (mean log-probability {logprob:.2f}, at least {LEAST_LOGPROB:g})"


class Recogniser(Protocol):
    """Hears speech in a file."""

    @property
    def name(self) -> str:
        """The extractor's name in evidence."""
        ...

    @property
    def settings(self) -> JsonValue:
        """All that can change what is heard: part of the stage's key. Raises MissingDependency."""
        ...

    @property
    def former_settings(self) -> JsonValue:
        """The same as it was before version 10 of the stage: with the address of a server."""
        ...

    async def hear(self, path: Path, duration_s: float) -> list[Spoken]:
        """What is said in a file that has sound. Raises ItemError, also `no_audio` where nothing of it decodes; for a
        server also what ends the run."""
        ...

    async def close(self) -> None:
        """Lets go of connections."""
        ...


def recognised_evidence(video: Video, spoken: Sequence[Spoken], extractor: str) -> list[Evidence | Dropped]:
    """What was recognised as evidence of speech, cut at the end of the video; what is in doubt is left out by name."""
    found: list[Evidence | Dropped] = []
    for item in spoken:
        text = clean(item.text)
        start = min(max(0.0, item.start), video.duration_s)
        heard = any(character.isalnum() for character in text)
        if item.doubt and (heard or not text):
            words = f"{clean(text, 80)!r}: " if text else ""
            detail = f"{item.start:.1f}-{item.end:.1f} s: {words}{item.doubt}"
            found.append(Dropped.create(item=video.video_id, stage="evidence", reason="no_speech", detail=detail))
        elif heard:
            found.append(
                Evidence.create(
                    video_id=video.video_id,
                    kind="speech",
                    text=text,
                    span=Span(start=start, end=min(max(start, item.end), video.duration_s)),
                    language=item.language,
                    confidence=item.confidence,
                    extractor=extractor,
                )
            )
    return found


def unvoiced(start: float, length: float) -> Spoken:
    """A piece of sound in which no voice was found, so that nobody was asked about it."""
    return Spoken(round(start, 3), round(start + length, 3), "", doubt="no voice was found there")


def pieces(sound: Iterator[Sound], longest_s: float, rate: int) -> Iterator[tuple[float, Sound]]:
    """Sound of any length in pieces of at most `longest_s` seconds, each with the second it begins at; cut where it is
    quietest, so that no word is cut in two. Silent pieces are left out."""
    import numpy as np

    size, at = int(longest_s * rate), 0
    waiting: Sound = np.zeros(0, dtype=np.float32)
    for block in sound:
        waiting = np.concatenate([waiting, block])
        while len(waiting) > size:
            cut = _quietest(waiting[:size], rate)
            if _loudest(waiting[:cut], rate) >= SILENCE:
                yield at / rate, waiting[:cut]
            at, waiting = at + cut, waiting[cut:]
    if _loudest(waiting, rate) >= SILENCE:
        yield at / rate, waiting


def _quietest(sound: Sound, rate: int) -> int:
    """The sample in the middle of the quietest stretch near the end."""
    first = max(1, len(sound) - int(SEARCH_S * rate))
    levels = _levels(sound[first:], rate)
    return first + int((int(levels.argmin()) + 0.5) * QUIET_S * rate) if len(levels) else len(sound)


def _loudest(sound: Sound, rate: int) -> float:
    levels = _levels(sound, rate)
    return float(levels.max()) if len(levels) else 0.0


def _levels(sound: Sound, rate: int) -> Sound:
    """Root mean squares of stretches of 0.2 s."""
    import numpy as np

    size = int(QUIET_S * rate)
    whole = sound[: len(sound) // size * size].reshape(-1, size)
    return np.asarray(np.sqrt((whole**2).mean(axis=1)), dtype=np.float32) if len(whole) else sound[:0]
