"""Sounds named by a server: any that answers a WAV with labels and scores, as those of Hugging Face's task
`audio-classification` do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Protocol

from pydantic import BaseModel, Field, JsonValue, TypeAdapter

from hardcut.engine.budget import CallBudget
from hardcut.engine.pool import Pool
from hardcut.engine.reply_cache import ReplyCache
from hardcut.schemas.addresses import model_and_address
from hardcut.schemas.errors import UsageError
from hardcut.schemas.ids import digest
from hardcut.schemas.resources import Resources
from hardcut.schemas.settings import EvidenceSettings
from hardcut.schemas.teachers import TeacherSettings
from hardcut.schemas.text.clean import clean
from hardcut.synth.evidence.sound_server import SoundServer, as_wav
from hardcut.synth.evidence.speech import pieces
from hardcut.teacher.registry import key_of
from hardcut.teacher.server.keys import KeySource

PIECE_S = 10.0
"""Longest sound of one request: what models that name sounds are trained on (AudioSet)."""
VERSION = 1
"""Counted up when the form of a request changes: part of every reply's key."""
_LONGEST_LABEL = 80

_Seconds = Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)]


class _Tag(BaseModel):
    """Numbers come from outside: what is no time and no probability makes a reply unreadable. Without times the label
    is of the whole piece."""

    label: Annotated[str, Field(min_length=1, max_length=1000)]
    score: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
    start: _Seconds | None = None
    end: _Seconds | None = None


_TAGS = TypeAdapter(list[_Tag])


@dataclass(frozen=True, slots=True)
class Tagged:
    """A label in seconds of the video, and the server's score of it there."""

    label: str
    start: float
    end: float
    score: float


class Tagger(Protocol):
    """Names the sounds in a file."""

    @property
    def settings(self) -> JsonValue:
        """Who names them: part of the stage's key."""
        ...

    async def tags(self, path: Path) -> list[Tagged]:
        """All labels of a file that has sound, piece by piece. Raises ItemError, also `no_audio` where nothing of it
        decodes, and what ends the run."""
        ...

    async def close(self) -> None:
        """Lets go of connections."""
        ...


def open_tagger(
    options: EvidenceSettings,
    pool: Pool,
    resources: Resources,
    *,
    main: TeacherSettings | None = None,
    replies: Callable[[], ReplyCache | None] = lambda: None,
    budget: CallBudget | None = None,
) -> Tagger | None:
    """Who `evidence.sounds` names: `server:MODEL@URL`; None where it is no server.

    Its key is in `sounds_key_variable`; without one, that of the `main` teacher is sent where both are at one host.
    Raises UsageError for an address that is none. Connects to nothing yet.
    """
    kind, _, rest = options.sounds.partition(":")
    if kind != "server":
        return None
    found = model_and_address(rest)
    try:
        if found is None:
            raise UsageError(f"{options.sounds!r} is no server:MODEL@URL, such as server:ast@http://127.0.0.1:8000/tag")
        main = main or TeacherSettings(spec=f"openai:{rest}")  # alone, it has the default key
        key = key_of(found[1], options.sounds_key_variable, "evidence.sounds_key_variable", main)
        return Server(*found, pool, resources, key=key, replies=replies(), budget=budget, minute=options.sounds_price)
    except UsageError as error:
        raise UsageError(f"evidence.sounds: {error}") from error


class Server:
    """A server that names sounds. Each piece is posted to `url` itself; replies are kept by model and sound: who
    answers is not where it answers."""

    def __init__(
        self,
        model: str,
        url: str,
        pool: Pool,
        resources: Resources,
        *,
        key: KeySource | None = None,
        replies: ReplyCache | None = None,
        budget: CallBudget | None = None,
        minute: float = 0.0,
    ) -> None:
        self._model = model
        self._pool = pool
        self._server = SoundServer(
            model,
            url,
            resources,
            reads=_TAGS.validate_json,
            wanted='a list of {"label": TEXT, "score": 0..1}',
            about="sounds",
            key=key,
            replies=replies,
            budget=budget,
            minute=minute,
        )

    @property
    def settings(self) -> JsonValue:
        return {"model": self._model, "version": VERSION}

    async def tags(self, path: Path) -> list[Tagged]:
        sounds = await self._pool.call(short_pieces, str(path))
        calls = [_Call(self._model, start, length, sound) for start, length, sound in sounds]
        told = await self._server.answers(calls)
        return [tag for call, one in zip(calls, told, strict=True) for tag in call.tagged(one)]

    async def close(self) -> None:
        await self._server.close()


@dataclass(slots=True)
class _Call:
    """One piece of sound (WAV) of `length` seconds that begins at `start` seconds of its video."""

    model: str
    start: float
    length: float
    sound: bytes
    key: str = field(init=False)
    former: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self.key = digest("sounds", VERSION, self.model, sha256(self.sound).hexdigest())

    @property
    def path(self) -> str:
        return ""

    @property
    def kind(self) -> str:
        return "sounds"

    def body(self) -> tuple[bytes, str]:
        return self.sound, "audio/wav"

    def tagged(self, told: Sequence[_Tag]) -> Iterator[Tagged]:
        for tag in told:
            start = min(tag.start or 0.0, self.length)
            end = self.length if tag.end is None else min(max(start, tag.end), self.length)
            label = clean(tag.label, _LONGEST_LABEL)
            if label:
                yield Tagged(label, round(self.start + start, 3), round(self.start + end, 3), round(tag.score, 4))


def short_pieces(path: str) -> list[tuple[float, float, bytes]]:
    """All sound of a file that is not silence as WAV of 16 kHz in pieces, each with the second that it begins at and
    its length. For a worker process. Raises ItemError (no_audio, unreadable)."""
    from hardcut.media.audio import RATE, audio_blocks

    found = pieces(audio_blocks(path), PIECE_S, RATE)
    return [(round(start, 3), round(len(sound) / RATE, 3), as_wav(sound)) for start, sound in found]
