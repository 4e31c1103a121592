"""The sound of a video: 16 kHz, mono, on the same clock as its pictures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Disposition
from numpy.typing import NDArray

from hardcut.media.container import clock_start, open_video
from hardcut.schemas.errors import ItemError

RATE = 16_000
"""Samples a second."""
_GAP_S = 0.1
"""Holes in the sound longer than this are filled with silence, so that what follows stays at its time."""
_LONGEST_GAP_S = 600.0
"""A longer hole is a broken time stamp and is not filled."""


def audio_16k(path: Path | str) -> NDArray[np.float32]:
    """All sound as float32 in -1..1, shape (samples,); sample `n` is heard at second `n / 16000` of the video.

    An hour takes 230 MB: `audio_blocks` gives long files piece by piece. Raises ItemError: unreadable, no_audio.
    """
    return np.concatenate(list(audio_blocks(path)))


def audio_blocks(path: Path | str, seconds: float = 30.0) -> Iterator[NDArray[np.float32]]:
    """The same in blocks of `seconds` (the last is shorter). Damaged stretches are silent."""
    size = max(1, round(seconds * RATE))
    waiting: list[NDArray[np.float32]] = []
    count = 0
    empty = True
    for piece in _pieces(path):
        waiting.append(piece)
        count += len(piece)
        empty = False
        if count >= size:
            joined = np.concatenate(waiting)
            whole = count - count % size
            for start in range(0, whole, size):
                yield joined[start : start + size]
            waiting, count = [joined[whole:]], count - whole
    if empty:
        raise ItemError("no_audio", "not a single sample of sound could be decoded")
    if count:
        yield np.concatenate(waiting)


def _pieces(path: Path | str) -> Iterator[NDArray[np.float32]]:
    with open_video(path) as container:
        stream = _best_stream(list(container.streams.audio))
        start = clock_start(container)
        position = 0  # samples given so far
        resampler = None
        form = None
        for frame in _frames(container, stream):
            if form != (frame.format.name, frame.layout.name, frame.sample_rate):  # it may change within a file
                form = (frame.format.name, frame.layout.name, frame.sample_rate)
                if resampler is not None:
                    for piece in _samples(resampler, None):
                        position += len(piece)
                        yield piece
                resampler = AudioResampler(format="flt", layout="mono", rate=RATE)
            assert resampler is not None
            if frame.pts is not None and frame.time_base is not None:
                gap = float(frame.pts * frame.time_base) - start - position / RATE
                if _GAP_S < gap < _LONGEST_GAP_S:
                    silence = np.zeros(round(gap * RATE), dtype=np.float32)
                    position += len(silence)
                    yield silence
            frame.pts = None  # holes are filled here; the resampler must not do it again
            for piece in _samples(resampler, frame):
                position += len(piece)
                yield piece
        if resampler is not None:
            yield from _samples(resampler, None)


def _best_stream(streams: list[AudioStream]) -> AudioStream:
    """The sound marked as default before others, then the first."""
    decodable = [stream for stream in streams if stream.codec_context is not None]
    if not decodable:
        raise ItemError("no_audio", "the file holds no sound that can be decoded")
    return max(decodable, key=lambda s: (bool(s.disposition & Disposition.default), -s.index))


def _frames(container: InputContainer, stream: AudioStream) -> Iterator[AudioFrame]:
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
        except (StopIteration, FFmpegError):
            return
        try:
            yield from stream.decode(packet)
        except FFmpegError:
            continue  # its place is filled with silence


def _samples(resampler: AudioResampler, frame: AudioFrame | None) -> Iterator[NDArray[np.float32]]:
    for resampled in resampler.resample(frame):
        yield resampled.to_ndarray().reshape(-1).astype(np.float32, copy=False)
