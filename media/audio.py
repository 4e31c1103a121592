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
from hardcut.media.packets import packets_of
from hardcut.schemas.errors import ItemError

RATE = 16_000
"""Samples a second."""
_GAP_S = 0.1
"""Holes in the sound longer than this are filled with silence, so that what follows stays at its time."""
_LONGEST_GAP_S = 600.0
"""A longer hole is a broken time stamp and is not filled."""


def audio_blocks(path: Path | str, seconds: float = 30.0) -> Iterator[NDArray[np.float32]]:
    """All sound as float32 in -1..1, in blocks of shape (samples,) of `seconds` each; the last is shorter.

    Sample `n` of all is heard at second `n / 16000` of the video. Damaged stretches are silent. Raises ItemError:
    unreadable, no_audio.
    """
    size = max(1, round(seconds * RATE))
    waiting: list[NDArray[np.float32]] = []
    count = 0
    empty = True
    for piece in sound_pieces(path, RATE, "mono"):
        waiting.append(piece[:, 0])
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


def sound_pieces(
    path: Path | str, rate: int, layout: str, start_s: float = 0.0, end_s: float = float("inf")
) -> Iterator[NDArray[np.float32]]:
    """The sound from `start_s` to `end_s` as float32 of shape (samples, channels), piece after piece without a hole.

    What ends more than a second before is not decoded. Raises ItemError: unreadable, no_audio.
    """
    channels = 1 if layout == "mono" else 2
    length = round(min(end_s - start_s, 1e9) * rate)
    position = 0  # samples given so far
    for place, piece in _placed(path, rate, layout, start_s, channels):
        gap = place - position if place is not None else 0
        if _GAP_S * rate < gap < _LONGEST_GAP_S * rate and position < length:
            silence = np.zeros((min(gap, length - position), channels), dtype=np.float32)
            position += len(silence)
            yield silence
        if place is not None and place < 0 and position == 0:
            piece = piece[-place:]  # it begins before the start
        piece = piece[: length - position]
        if len(piece):
            position += len(piece)
            yield piece
        if position >= length:
            return


def _placed(
    path: Path | str, rate: int, layout: str, start_s: float, channels: int
) -> Iterator[tuple[int | None, NDArray[np.float32]]]:
    """Resampled pieces, each with the sample counted from `start_s` that it says it begins at."""
    with open_video(path) as container:
        stream = _best_stream(list(container.streams.audio))
        start = clock_start(container) + start_s
        resampler = None
        form = None
        for frame in _frames(container, stream, start - 1.0):
            if form != (frame.format.name, frame.layout.name, frame.sample_rate):  # it may change within a file
                form = (frame.format.name, frame.layout.name, frame.sample_rate)
                if resampler is not None:
                    yield from ((None, piece) for piece in _samples(resampler, None, channels))
                resampler = AudioResampler(format="flt", layout=layout, rate=rate)
            assert resampler is not None
            place = None
            if frame.pts is not None and frame.time_base is not None:
                place = round((float(frame.pts * frame.time_base) - start) * rate)
            frame.pts = None  # holes are filled by the caller; the resampler must not do it again
            for piece in _samples(resampler, frame, channels):
                yield place, piece
                place = None
        if resampler is not None:
            yield from ((None, piece) for piece in _samples(resampler, None, channels))


def _best_stream(streams: list[AudioStream]) -> AudioStream:
    """The sound marked as default before others, then the first."""
    decodable = [stream for stream in streams if stream.codec_context is not None]
    if not decodable:
        raise ItemError("no_audio", "the file holds no sound that can be decoded")
    return max(decodable, key=lambda s: (bool(s.disposition & Disposition.default), -s.index))


def _frames(container: InputContainer, stream: AudioStream, since_s: float) -> Iterator[AudioFrame]:
    """The decoded sound; packets that show a time before `since_s` are passed over."""
    for packet in packets_of(container, [stream]):
        if packet.pts is not None and packet.time_base and float(packet.pts * packet.time_base) < since_s:
            continue
        try:
            yield from stream.decode(packet)
        except FFmpegError:
            continue  # its place is filled with silence


def _samples(resampler: AudioResampler, frame: AudioFrame | None, channels: int) -> Iterator[NDArray[np.float32]]:
    for resampled in resampler.resample(frame):
        yield resampled.to_ndarray().reshape(-1, channels).astype(np.float32, copy=False)
