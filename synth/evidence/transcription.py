"""Speech recognised by a server that speaks OpenAI's `/audio/transcriptions` (vLLM, speaches, whisper.cpp, OpenAI)."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from math import exp
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, Field, JsonValue

from hardcut.engine.budget import CallBudget
from hardcut.engine.pool import Pool
from hardcut.engine.reply_cache import ReplyCache
from hardcut.schemas.ids import digest
from hardcut.schemas.resources import Resources
from hardcut.synth.evidence.sound_server import SoundServer, as_wav
from hardcut.synth.evidence.sounds import voice_in
from hardcut.synth.evidence.speech import Spoken, doubt_of, pieces, unvoiced
from hardcut.teacher.server.keys import KeySource

PIECE_S = 300.0
"""Longest sound of one request: 9.6 MB, less than half of what servers take."""
VOICED_S = 30.0
"""Where only sound with a voice is asked about: short, so that little without one is sent along."""
VERSION = 2
"""Counted up when the form of a request changes, or what its key covers: part of every reply's key. That of version 1
had the server's address."""

_Seconds = Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)]


class _Segment(BaseModel):
    """Numbers come from outside: what is no time and no probability makes a reply unreadable."""

    start: _Seconds
    end: _Seconds
    text: str
    avg_logprob: Annotated[float, Field(ge=-1e3, le=1e-3, allow_inf_nan=False)] | None = None
    no_speech_prob: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] | None = None
    compression_ratio: Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)] | None = None


class _Transcript(BaseModel):
    """A `verbose_json` reply."""

    language: str | None = None
    segments: list[_Segment]


class Server:
    """A server of transcriptions. Replies are kept by model and sound (`sound_server.py`): who answers is not where it
    answers."""

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
        voiced: bool = False,
    ) -> None:
        self.model = model
        self.url = url
        self._pool = pool
        self._voiced = voiced
        self._server = SoundServer(
            model,
            url,
            resources,
            reads=_Transcript.model_validate_json,
            wanted="verbose_json and its segments",
            about="speech",
            key=key,
            replies=replies,
            budget=budget,
            minute=minute,
        )

    @property
    def name(self) -> str:
        return "transcription"

    @property
    def settings(self) -> JsonValue:
        return {"model": self.model}

    @property
    def former_settings(self) -> JsonValue:
        return {"model": self.model, "url": self.url}

    async def hear(self, path: Path, duration_s: float) -> list[Spoken]:
        """What is said in a file that has sound. Raises ItemError, and what ends the run."""
        sounds, silent = await self._pool.call(wav_pieces, str(path), self._voiced)
        calls = [_Call(self.model, self._server.url, start, sound) for start, sound in sounds]
        told = await self._server.answers(calls)
        return [*silent, *(spoken for call, one in zip(calls, told, strict=True) for spoken in call.spoken(one))]

    async def close(self) -> None:
        """Closes all connections, and hands back the calls that were reserved and not made."""
        await self._server.close()


@dataclass(slots=True)
class _Call:
    """One piece of sound (WAV) that begins at `start` seconds of its video."""

    model: str
    address: str
    start: float
    sound: bytes
    key: str = field(init=False)
    former: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        """The key covers all that can change the reply; where the model is served is no part of it."""
        sound = sha256(self.sound).hexdigest()
        self.key = digest("transcription", VERSION, self.model, sound)
        self.former = (digest("transcription", 1, self.model, self.address, sound),)

    @property
    def path(self) -> str:
        return "/audio/transcriptions"

    @property
    def kind(self) -> str:
        return "speech"

    def body(self) -> tuple[bytes, str]:
        fields = {"model": self.model, "response_format": "verbose_json", "temperature": "0"}
        content_type, body = _form(fields, self.sound)
        return body, content_type

    def spoken(self, told: _Transcript) -> list[Spoken]:
        """The segments in seconds of the video."""
        return [
            Spoken(
                round(self.start + segment.start, 3),
                round(self.start + max(segment.start, segment.end), 3),
                segment.text,
                told.language,
                None if segment.avg_logprob is None else round(min(1.0, exp(segment.avg_logprob)), 4),
                doubt_of(segment.text, segment.no_speech_prob, segment.avg_logprob, segment.compression_ratio),
            )
            for segment in told.segments
        ]


def wav_pieces(path: str, voiced: bool = False) -> tuple[list[tuple[float, bytes]], list[Spoken]]:
    """All sound of a file as WAV of 16 kHz in pieces, each with the second it begins at; where only `voiced` ones are
    wanted, those without a voice are told apart. For a worker process."""
    from hardcut.media.audio import RATE, audio_blocks

    found, silent = [], []
    for start, sound in pieces(audio_blocks(path), PIECE_S if not voiced else VOICED_S, RATE):
        if voiced and not voice_in(sound):
            silent.append(unvoiced(start, len(sound) / RATE))
            continue
        found.append((start, as_wav(sound)))
    return found, silent


def _form(fields: dict[str, str], sound: bytes) -> tuple[str, bytes]:
    """Content type and body of a form (RFC 7578); the boundary follows from the content, so equal calls are equal."""
    boundary = f"hardcut-{digest(fields, len(sound))[:32]}"
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    ]
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="sound.wav"\r\n'
    parts += [f"{head}Content-Type: audio/wav\r\n\r\n".encode(), sound, f"\r\n--{boundary}--\r\n".encode()]
    return f"multipart/form-data; boundary={boundary}", b"".join(parts)
