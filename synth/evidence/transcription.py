"""Speech recognised by a server that speaks OpenAI's `/audio/transcriptions` (vLLM, speaches, whisper.cpp, OpenAI)."""

from __future__ import annotations

import asyncio
import io
import wave
from dataclasses import dataclass, field
from math import exp
from pathlib import Path

from pydantic import BaseModel, JsonValue, ValidationError

from hardcut.engine.pool import WorkerPool
from hardcut.engine.retry import with_retries
from hardcut.schemas.errors import ItemError, UsageError
from hardcut.schemas.ids import digest
from hardcut.schemas.settings import Resources
from hardcut.synth.evidence.speech import Spoken, pieces
from hardcut.teacher.server.faults import RequestFailed, RequestRejected
from hardcut.teacher.server.http import Endpoint

PIECE_S = 300.0
"""Longest sound of one request: 9.6 MB, less than half of what servers take."""


class _Segment(BaseModel):
    start: float
    end: float
    text: str
    avg_logprob: float | None = None


class _Transcript(BaseModel):
    """A `verbose_json` reply."""

    language: str | None = None
    segments: list[_Segment]


@dataclass(frozen=True, slots=True)
class Server:
    """The API key, if one is needed, is read from the environment as for teachers."""

    model: str
    url: str
    pool: WorkerPool
    resources: Resources
    _slots: asyncio.Semaphore = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_slots", asyncio.Semaphore(self.resources.concurrency))
        try:
            self._endpoint()
        except UsageError as error:
            raise UsageError(f"evidence.speech: {error}") from error

    @property
    def name(self) -> str:
        return "transcription"

    @property
    def settings(self) -> JsonValue:
        return {"model": self.model, "url": self.url}

    async def hear(self, path: Path, duration_s: float) -> list[Spoken]:
        sounds = await self.pool.call(wav_pieces, str(path))
        endpoint = self._endpoint()
        try:
            heard = await asyncio.gather(*(self._transcribe(endpoint, start, data) for start, data in sounds))
        finally:
            await endpoint.close()
        return [item for piece in heard for item in piece]

    def _endpoint(self) -> Endpoint:
        return Endpoint(
            self.url, concurrency=self.resources.concurrency, timeout_s=self.resources.request_timeout_s
        )  # fmt: skip

    async def _transcribe(self, endpoint: Endpoint, start: float, data: bytes) -> list[Spoken]:
        content_type, body = _form({"model": self.model, "response_format": "verbose_json", "temperature": "0"}, data)

        async def post() -> bytes:
            async with self._slots:
                return await endpoint.post("/audio/transcriptions", body, content_type=content_type)

        try:
            reply = await with_retries(post, attempts=self.resources.max_attempts)
            told = _Transcript.model_validate_json(reply)
        except RequestFailed as error:
            raise ItemError(error.reason, f"speech from {start:g} s: {error}", error.raw) from error
        except RequestRejected as error:
            raise ItemError(f"http_{error.status}", f"speech from {start:g} s: {error}", error.raw) from error
        except ValidationError as error:
            detail = f"speech from {start:g} s: {self.url} did not answer with verbose_json and its segments"
            raise ItemError("invalid_reply", detail, reply.decode("utf-8", "replace")) from error
        return [
            Spoken(
                round(start + segment.start, 3),
                round(start + max(segment.start, segment.end), 3),
                segment.text,
                told.language,
                None if segment.avg_logprob is None else round(min(1.0, exp(segment.avg_logprob)), 4),
            )
            for segment in told.segments
        ]


def wav_pieces(path: str) -> list[tuple[float, bytes]]:
    """All sound of a file as WAV of 16 kHz in pieces, each with the second it begins at. For a worker process."""
    import numpy as np

    from hardcut.media.audio import RATE, audio_blocks

    found = []
    for start, sound in pieces(audio_blocks(path), PIECE_S, RATE):
        buffer = io.BytesIO()
        with wave.open(buffer, "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(RATE)
            file.writeframes((np.clip(sound, -1, 1) * 32767).astype("<i2").tobytes())
        found.append((start, buffer.getvalue()))
    return found


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
