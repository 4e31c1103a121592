"""Whisper out of transformers, in a worker process: any model of that kind by its name or folder, with word times."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import JsonValue

from hardcut.engine.file_digests import FileDigests
from hardcut.engine.pool import Pool
from hardcut.schemas.dependencies import installed, needs
from hardcut.schemas.errors import MissingDependency
from hardcut.synth.evidence.sounds import voice_in
from hardcut.synth.evidence.speech import Spoken, doubt_of, pieces, unvoiced
from hardcut.teacher.local.safe_loading import NO_CODE, not_loaded, refuse_pickled
from hardcut.teacher.model_digest import model_folder

WINDOW_S = 30.0
"""What Whisper hears at once."""
PAUSE_S = 0.7
"""Words further apart than this are of different lines."""
LONGEST_LINE = 20
"""Words of a line of evidence."""
_SLOWEST = 20.0
"""A second of sound may take so many to recognise before the worker is held to hang."""


@dataclass(frozen=True, slots=True)
class Whisper:
    """The model is loaded once in each worker process that hears."""

    model: str
    pool: Pool
    digests: FileDigests | None = None
    voiced: bool = False
    """Whether only what has a voice in it is recognised (`sounds.py`)."""

    @property
    def name(self) -> str:
        return "whisper"

    @property
    def settings(self) -> JsonValue:
        versions = {
            package: installed(package, "asr", 'evidence.speech = "subtitles"') for package in ("torch", "transformers")
        }
        refuse_pickled(self.model)
        folder = Path(self.model)
        if folder.is_dir():
            return {"model": model_folder(folder, self.digests).digest, **versions}
        return {"model": self.model, "config": None, **versions}

    @property
    def former_settings(self) -> JsonValue:
        return self.settings

    async def close(self) -> None:
        """The processes are the pool's."""

    async def hear(self, path: Path, duration_s: float) -> list[Spoken]:
        return await self.pool.call(
            transcribe, str(path), self.model, self.voiced, timeout_s=300 + _SLOWEST * duration_s
        )


def transcribe(path: str, model: str, voiced: bool = False) -> list[Spoken]:
    """What is said in a file, line by line. For a worker process. Raises ItemError (no_audio, unreadable) and
    MissingDependency where the model cannot be had."""
    from hardcut.media.audio import RATE, audio_blocks

    hear = _engine(model)
    words_known = bool(getattr(hear.model.generation_config, "alignment_heads", None))
    found: list[Spoken] = []
    for start, sound in pieces(audio_blocks(path), WINDOW_S, RATE):
        if voiced and not voice_in(sound):
            found.append(unvoiced(start, len(sound) / RATE))
            continue
        told = hear(
            {"raw": sound, "sampling_rate": RATE},
            return_timestamps="word" if words_known else True,
            return_language=True,
        )
        length = len(sound) / RATE
        chunks = told["chunks"]
        doubt = doubt_of("".join(chunk["text"] for chunk in chunks))
        lines = _lines(chunks, start, length) if words_known else _segments(chunks, start, length)
        found += (replace(line, doubt=doubt) for line in lines)
    return found


@cache
def _engine(model: str) -> Any:
    """The recogniser, on the CPU or the GPU that there is; nothing of a model's own code is run."""
    with needs("torch", "asr"):
        import torch
        from transformers import pipeline
    torch.set_num_threads(1)  # one process a core already
    try:
        return pipeline(
            "automatic-speech-recognition",
            model=model,
            device=0 if torch.cuda.is_available() else -1,
            model_kwargs={"use_safetensors": True},
            **NO_CODE,
        )
    except (OSError, ValueError, KeyError) as error:
        raise MissingDependency(not_loaded(f"the speech model {model}", error)) from error


def _lines(words: Sequence[Mapping[str, Any]], offset: float, length: float) -> Iterator[Spoken]:
    """Words joined to lines: up to a pause, the end of a sentence, or 20 words."""
    line: list[Spoken] = []
    for word in _segments(words, offset, length):
        ended = line and (line[-1].text.rstrip().endswith((".", "?", "!", "。")) or len(line) >= LONGEST_LINE)
        if line and (ended or word.start - line[-1].end > PAUSE_S or word.language != line[-1].language):
            yield _joined(line)
            line = []
        line.append(word)
    if line:
        yield _joined(line)


def _joined(line: Sequence[Spoken]) -> Spoken:
    return Spoken(line[0].start, line[-1].end, "".join(word.text for word in line), line[0].language)


def _segments(chunks: Sequence[Mapping[str, Any]], offset: float, length: float) -> Iterator[Spoken]:
    """Recognised pieces in seconds of the video; an end that the model left open is the end of the sound."""
    for chunk in chunks:
        start, end = chunk["timestamp"]
        start = min(start or 0.0, length)
        end = min(length if end is None else max(start, end), length)
        if chunk["text"].strip():
            yield Spoken(round(offset + start, 3), round(offset + end, 3), chunk["text"], chunk.get("language"))
