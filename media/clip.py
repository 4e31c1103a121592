"""A stretch of a video, or pictures, as a small file that browsers play: for review pages, datasets and probes. Runs in
a worker.

MP4 holds H.264 and AAC, its index in front; WebM holds VP9 and Opus. Pictures keep their times (a variable rate stays
variable), are turned as they are displayed, and have even sides; the sound is on the same clock.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Literal, cast

import numpy as np
from av import open as av_open
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from hardcut.engine.files import storage_error
from hardcut.engine.scratch import scratch_folder
from hardcut.media.audio import sound_pieces
from hardcut.media.container import best_stream, frame_rate, open_video, read_timeline
from hardcut.media.sampler import Converter, Samples
from hardcut.schemas.errors import ItemError
from hardcut.schemas.records import Span
from hardcut.schemas.settings import MediaSettings

Container = Literal["mp4", "webm"]

_TICKS = 90_000
"""Ticks a second of a clip's pictures. WebM rounds them to milliseconds."""
_SOUND_RATE = 48_000
_EXACT_S = 1e-6
"""Closer than this, two times are the same."""
_HELD_S = 0.2
"""A last picture that stays longer is written once more at the end, so that no player ends before it."""
_VIDEO: dict[Container, tuple[str, dict[str, str]]] = {
    # One thread and no B-frames: the same bytes each time, and the first picture at second 0.
    "mp4": ("libx264", {"preset": "veryfast", "crf": "24", "bf": "0", "g": "50"}),
    "webm": ("libvpx-vp9", {"deadline": "realtime", "cpu-used": "7", "crf": "34", "b": "0", "g": "50"}),
}
_AUDIO: dict[Container, str] = {"mp4": "aac", "webm": "libopus"}


@dataclass(frozen=True, slots=True)
class Clip:
    """What was written. `duration_s` is what of the span the video has."""

    width: int
    height: int
    duration_s: float
    has_audio: bool


def cut(
    path: str, span: Span, out: str, max_side: int = 640, with_sound: bool = True, container: Container = "mp4"
) -> Clip:
    """Writes the stretch `span` of the video at `path` to `out`, which is there whole or not at all.

    No side is longer than `max_side` pixels, and nothing is enlarged. What of a damaged file decodes is used. Raises
    ItemError: unreadable, no_video, no_pictures (none in the span), too_large; StorageError where `out` cannot be
    written.
    """
    target = Path(out)
    try:
        with scratch_folder(target.parent, ".clip-") as folder:
            draft = folder / f"clip.{container}"
            options = {"movflags": "+faststart"} if container == "mp4" else {}
            with av_open(f"file:{draft}", "w", format=container, options={"fflags": "+bitexact", **options}) as file:
                clip = _write(path, span, file, max_side, with_sound, container)
            draft.replace(target)
            return clip
    except OSError as error:
        raise storage_error(target, error) from error


def write_pictures(
    pictures: Sequence[NDArray[np.uint8]], times_s: Sequence[float], duration_s: float, out: Path, crf: int = 12
) -> None:
    """Writes pictures of one size, each shown from its second until the next, as a silent MP4 that is so long. `crf` is
    x264's: 12 hardly shows, 36 shows. The file is there whole or not at all. Raises StorageError."""
    try:
        with scratch_folder(out.parent, ".clip-") as folder:
            draft = folder / "clip.mp4"
            options = {"movflags": "+faststart", "fflags": "+bitexact"}
            with av_open(f"file:{draft}", "w", format="mp4", options=options) as file:
                even = [picture[: picture.shape[0] // 2 * 2, : picture.shape[1] // 2 * 2] for picture in pictures]
                height, width, _ = even[0].shape
                video = _video_stream(file, "mp4", width, height, 25.0, {"crf": str(crf)})
                last = max(duration_s - 1 / 25, times_s[-1])
                closing = [(last, even[-1])] if last > times_s[-1] + _EXACT_S else []
                for second, picture in [*zip(times_s, even, strict=True), *closing]:
                    _encode_picture(file, video, np.ascontiguousarray(picture), second)
                file.mux(video.encode(None))
            draft.replace(out)
    except OSError as error:
        raise storage_error(out, error) from error


def _write(path: str, span: Span, out: OutputContainer, max_side: int, with_sound: bool, container: Container) -> Clip:
    pictures = _pictures(path, span, max_side)
    first_s, first, rate = next(pictures, (0.0, None, 0.0))
    if first is None:
        raise ItemError("no_pictures", f"no picture from {span.start:g} s to {span.end:g} s can be decoded")
    height, width, _ = first.shape
    video = _video_stream(out, container, width, height, rate)
    sound = _sound(path, span) if with_sound else iter(())
    begin = next(sound, None)
    audio = _audio_stream(out, container) if begin is not None else None
    sound = chain([] if begin is None else [begin], sound)
    heard = 0  # samples written
    shown_s = 0.0
    for shown_s, image, _ in chain([(first_s, first, rate)], pictures):
        while audio is not None and heard < shown_s * _SOUND_RATE and (piece := next(sound, None)) is not None:
            heard += _encode_sound(out, audio, piece, heard)
        _encode_picture(out, video, image, shown_s)
    for piece in sound:
        assert audio is not None
        heard += _encode_sound(out, audio, piece, heard)
    out.mux(video.encode(None))
    if audio is not None:
        out.mux(audio.encode(None))
    return Clip(width, height, round(max(shown_s + 1 / rate, heard / _SOUND_RATE), 3), audio is not None)


def _pictures(path: str, span: Span, max_side: int) -> Iterator[tuple[float, NDArray[np.uint8], float]]:
    """Seconds from the span's start, picture, and rate. The one on the screen at the start comes at second 0."""
    timeline = read_timeline(path)
    shown = timeline.ticks * timeline.time_base - timeline.start_s
    first = max(0, int(np.searchsorted(shown, span.start + _EXACT_S, side="right")) - 1)
    wanted = [int(tick) for tick in timeline.ticks[first : np.searchsorted(shown, span.end - _EXACT_S)]]
    if not wanted or span.start >= timeline.end_s:
        return
    with open_video(path) as container:
        stream = best_stream(container)
        rate = min(max(frame_rate(stream), 1.0), 240.0)
        convert = Converter(stream, lambda width, height: _small(width, height, max_side))
        image: NDArray[np.uint8] | None = None
        second = 0.0
        for tick, frame in Samples(path, MediaSettings()).decode(container, stream, timeline, wanted):
            if tick > wanted[-1]:
                break
            if tick >= wanted[0]:
                image, second = convert(frame), max(0.0, timeline.seconds(tick) - span.start)
                yield second, image, rate
        closing = min(span.end, timeline.end_s) - span.start - 1 / rate
        if image is not None and closing > second + _HELD_S:
            yield closing, image, rate


def _small(width: int, height: int, max_side: int) -> tuple[int, int]:
    scale = min(1.0, max_side / max(width, height))
    return max(2, round(width * scale / 2) * 2), max(2, round(height * scale / 2) * 2)


def _sound(path: str, span: Span) -> Iterator[NDArray[np.float32]]:
    """The sound of the span; nothing where the file holds none that decodes."""
    try:
        yield from sound_pieces(path, _SOUND_RATE, "stereo", span.start, span.end)
    except ItemError:
        return


def _video_stream(
    out: OutputContainer, container: Container, width: int, height: int, rate: float, more: Mapping[str, str] = {}
) -> VideoStream:
    codec, usual = _VIDEO[container]
    options = {**usual, **more}
    stream = cast(VideoStream, out.add_stream(codec, rate=Fraction(rate).limit_denominator(1001), options=options))
    stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
    stream.codec_context.time_base = Fraction(1, _TICKS)
    stream.codec_context.thread_count = 1
    return stream


def _audio_stream(out: OutputContainer, container: Container) -> AudioStream:
    stream = cast(AudioStream, out.add_stream(_AUDIO[container], rate=_SOUND_RATE, layout="stereo"))
    stream.codec_context.bit_rate = 96_000
    return stream


def _encode_picture(out: OutputContainer, stream: VideoStream, image: NDArray[np.uint8], second: float) -> None:
    frame = VideoFrame.from_ndarray(image, format="rgb24")
    frame.time_base = Fraction(1, _TICKS)
    frame.pts = round(second * _TICKS)
    out.mux(stream.encode(frame))


def _encode_sound(out: OutputContainer, stream: AudioStream, piece: NDArray[np.float32], at: int) -> int:
    for start in range(0, len(piece), 960):
        block = np.ascontiguousarray(piece[start : start + 960]).reshape(1, -1)
        frame = AudioFrame.from_ndarray(block, format="flt", layout="stereo")
        frame.sample_rate, frame.time_base, frame.pts = _SOUND_RATE, Fraction(1, _SOUND_RATE), at + start
        out.mux(stream.encode(frame))
    return len(piece)
