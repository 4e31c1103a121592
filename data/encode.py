"""Writes pictures and sound as a video file. The same input gives the same bytes with the same versions of the libraries."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import cast

import numpy as np
from av import AudioFrame, VideoFrame
from av import open as av_open
from av.audio.stream import AudioStream
from av.codec.context import Flags
from av.container import OutputContainer
from av.video.stream import VideoStream
from numpy.typing import NDArray

from hardcut.data.model import Form
from hardcut.data.speech import Sound

SUFFIX = {"h264": ".mp4", "vp9": ".webm"}
_AUDIO = {"h264": "aac", "vp9": "libopus"}
_SAMPLES_A_FRAME = 1024


def write_video(path: Path, form: Form, pictures: Iterable[tuple[int, NDArray[np.uint8]]], sound: Sound | None = None) -> None:
    """Encodes `pictures`, pairs of frame number and RGB array (height x width x 3) in order, with one thread."""
    with av_open(str(path), "w", options={"fflags": "+bitexact"} | ({"movflags": "+faststart"} if form.codec == "h264" else {})) as out:
        video = _video_stream(out, form)
        audio = _audio_stream(out, form, sound) if sound else None
        for number, pixels in pictures:
            frame = VideoFrame.from_ndarray(np.ascontiguousarray(np.rot90(pixels, -1)) if form.rotation else pixels, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, form.rate)
            out.mux(video.encode(frame))
        out.mux(video.encode())
        if audio and sound:
            for piece in _audio_frames(sound):
                out.mux(audio.encode(piece))
            out.mux(audio.encode())


def _video_stream(out: OutputContainer, form: Form) -> VideoStream:
    if form.codec == "h264":
        options = {"preset": "fast", "crf": str(form.quality), "g": str(4 * form.rate)}
        video = cast(VideoStream, out.add_stream("libx264", rate=form.rate, options=options))
    else:
        options = {"crf": str(form.quality), "b": "0", "deadline": "good", "cpu-used": "4", "g": str(4 * form.rate)}
        video = cast(VideoStream, out.add_stream("libvpx-vp9", rate=form.rate, options=options))
    video.pix_fmt = "yuv420p"
    video.width, video.height = (form.height, form.width) if form.rotation else (form.width, form.height)
    video.time_base = Fraction(1, form.rate)
    context = video.codec_context
    context.time_base, context.thread_count = Fraction(1, form.rate), 1
    context.flags |= Flags.bitexact
    if form.rotation:
        video.set_display_rotation(form.rotation)
    return video


def _audio_stream(out: OutputContainer, form: Form, sound: Sound) -> AudioStream:
    audio = cast(AudioStream, out.add_stream(_AUDIO[form.codec], rate=sound.rate, layout="mono"))
    audio.codec_context.bit_rate = 40_000
    audio.codec_context.flags |= Flags.bitexact
    return audio


def _audio_frames(sound: Sound) -> Iterator[AudioFrame]:
    for first in range(0, len(sound.samples), _SAMPLES_A_FRAME):
        piece = sound.samples[first : first + _SAMPLES_A_FRAME].astype(np.float32) / 32768
        frame = AudioFrame.from_ndarray(piece[None, :], format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = sound.rate, first, Fraction(1, sound.rate)
        yield frame
