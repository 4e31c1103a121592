"""Speech recognised by a server that speaks OpenAI's `/audio/transcriptions` (vLLM, speaches, whisper.cpp, OpenAI)."""

from __future__ import annotations

import io
import wave
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from math import exp
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, Field, JsonValue, ValidationError

from hardcut.engine.budget import BookedCalls, CallBudget
from hardcut.engine.pool import WorkerPool
from hardcut.engine.reply_cache import ReplyCache
from hardcut.schemas.addresses import canonical_name
from hardcut.schemas.errors import ItemError
from hardcut.schemas.ids import digest
from hardcut.schemas.resources import Resources
from hardcut.schemas.teachers import Price
from hardcut.synth.evidence.sounds import voice_in
from hardcut.synth.evidence.speech import Spoken, doubt_of, pieces, unvoiced
from hardcut.teacher.server.calls import Calls
from hardcut.teacher.server.faults import RequestFailed, RequestRejected
from hardcut.teacher.server.http import Endpoint
from hardcut.teacher.server.keys import KeySource
from hardcut.teacher.server.pace import Slot

PIECE_S = 300.0
"""Longest sound of one request: 9.6 MB, less than half of what servers take."""
VOICED_S = 30.0
"""Where only sound with a voice is asked about: short, so that little without one is sent along."""
_BYTES_A_SECOND = 2 * 16_000
"""Of sound: 16 bits, 16 kHz."""
VERSION = 1
"""Counted up when the form of a request changes: part of every reply's key."""

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
    """A server of transcriptions: its replies are kept, its calls booked, paced and tried again as a teacher's are.

    Each piece of sound is asked for once, over all processes: replies are kept in `replies` by model, address and
    sound. Where nobody is there, or the account is at fault, the run ends (`teacher.server.calls.Calls`).
    """

    def __init__(
        self,
        model: str,
        url: str,
        pool: WorkerPool,
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
        self._endpoint = Endpoint(
            url, concurrency=resources.concurrency, timeout_s=resources.request_timeout_s, key=key
        )
        self._calls = Calls(self._endpoint, attempts=resources.max_attempts, backoff_s=0.5)
        self._replies = replies
        self._budget = budget
        self._book_name = f"server:{self.model}@{self._endpoint.url}"
        if budget:
            budget.charge(
                self._book_name, Price(), minute=minute, is_called=lambda name: canonical_name(name) == self._book_name
            )

    @property
    def name(self) -> str:
        return "transcription"

    @property
    def settings(self) -> JsonValue:
        return {"model": self.model, "url": self.url}

    async def hear(self, path: Path, duration_s: float) -> list[Spoken]:
        """What is said in a file that has sound. Raises ItemError, and what ends the run."""
        sounds, silent = await self._pool.call(wav_pieces, str(path), self._voiced)
        meter = BookedCalls(self._budget, self._book_name)
        calls = [_Call(self.model, self._endpoint.url, start, sound, meter, self._replies) for start, sound in sounds]
        told: dict[str, _Transcript] = {}
        with self._calls.asking():
            while missing := {call.key: call for call in calls if call.key not in told}:
                told |= self._kept(missing)
                told |= await self._ask({key: call for key, call in missing.items() if key not in told})
        return [*silent, *(spoken for call in calls for spoken in call.spoken(told[call.key]))]

    async def close(self) -> None:
        """Closes all connections, and hands back the calls that were reserved and not made."""
        await self._endpoint.close()
        if self._budget:
            await self._budget.close()

    def _kept(self, calls: Mapping[str, _Call]) -> dict[str, _Transcript]:
        """The replies that are in the cache, as far as this version reads them."""
        found: dict[str, _Transcript] = {}
        if self._replies is None:
            return found
        for key, body in self._replies.get_many(list(calls)).items():
            try:
                found[key] = _Transcript.model_validate_json(body)
            except ValidationError:
                self._replies.reject(key, body)
        return found

    async def _ask(self, calls: Mapping[str, _Call]) -> dict[str, _Transcript]:
        """Asks for what nobody else is asking for, and waits for the others, who keep what they get."""
        if self._replies is None:
            return await self._send(calls)
        mine = await self._replies.claim(calls.keys())
        try:
            told = await self._send({key: call for key, call in calls.items() if key in mine})
        finally:
            self._replies.claims.give_up(mine)
        await self._replies.claims.wait(calls.keys() - mine)
        return told

    async def _send(self, calls: Mapping[str, _Call]) -> dict[str, _Transcript]:
        answers = await self._calls.run([partial(self._one, call) for call in calls.values()])
        return dict(zip(calls, answers, strict=True))

    async def _one(self, call: _Call, slot: Slot) -> _Transcript:
        try:
            return await self._calls.send(call, slot)
        except RequestFailed as error:
            raise ItemError(error.reason, f"speech from {call.start:g} s: {error}", error.raw) from error
        except RequestRejected as error:
            raise ItemError(f"http_{error.status}", f"speech from {call.start:g} s: {error}", error.raw) from error


@dataclass(slots=True)
class _Call:
    """One piece of sound (WAV) that begins at `start` seconds of its video, on its way."""

    model: str
    address: str
    start: float
    sound: bytes
    meter: BookedCalls
    replies: ReplyCache | None
    key: str = field(init=False)

    def __post_init__(self) -> None:
        """The key covers all that can change the reply."""
        self.key = digest("transcription", VERSION, self.model, self.address, sha256(self.sound).hexdigest())

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

    def lost(self) -> None:
        self.meter.heard(len(self.sound) / _BYTES_A_SECOND)

    async def take(self, data: bytes) -> _Transcript:
        """Reads the reply and keeps it. Raises ItemError for one that cannot be read: it is paid for."""
        self.meter.heard(len(self.sound) / _BYTES_A_SECOND)
        try:
            told = _Transcript.model_validate_json(data)
        except ValidationError as error:
            detail = f"speech from {self.start:g} s: {self.address} did not answer with verbose_json and its segments"
            raise ItemError("invalid_reply", detail, data.decode("utf-8", "replace")) from error
        if self.replies:
            await self.replies.put(self.key, data.decode())
        return told

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
    import numpy as np

    from hardcut.media.audio import RATE, audio_blocks

    found, silent = [], []
    for start, sound in pieces(audio_blocks(path), PIECE_S if not voiced else VOICED_S, RATE):
        if voiced and not voice_in(sound):
            silent.append(unvoiced(start, len(sound) / RATE))
            continue
        buffer = io.BytesIO()
        with wave.open(buffer, "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(RATE)
            file.writeframes((np.clip(sound, -1, 1) * 32767).astype("<i2").tobytes())
        found.append((start, buffer.getvalue()))
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
