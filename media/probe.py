"""The facts of a video file."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from av.container import InputContainer
from av.error import FFmpegError
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from hardcut.media.container import (
    Orientation,
    best_stream,
    decoding_error,
    frame_rate,
    open_video,
    promised_duration,
    read_timeline,
    real_streams,
    require_file,
)
from hardcut.media.packets import is_repeat
from hardcut.schemas.errors import ItemError


@dataclass(frozen=True, slots=True)
class Probe:
    """Facts of a file. Nothing in it depends on where the file is.

    `duration_s` is how long the header says that the picture lasts (where it does not say: how long it does);
    `width` and `height` are as displayed, after rotation and pixel aspect ratio; `rotation` is the clockwise turn
    in degrees that display needs; `fps` is 0 where the file does not say; `video_streams` counts moving pictures.
    """

    sha256: str
    size_bytes: int
    duration_s: float
    fps: float
    width: int
    height: int
    rotation: int
    codec: str
    video_streams: int
    has_audio: bool


def probe(path: Path | str, sha256: str | None = None) -> Probe:
    """Reads the facts of `path` and decodes its first picture. `sha256` is its digest where that is known already.

    Raises ItemError: unreadable, no_video, no_pictures, too_large.
    """
    sha256, size = (sha256, Path(path).stat().st_size) if sha256 else _content(path)
    with open_video(path) as container:
        stream = best_stream(container)
        frame = first_frame(container, stream)
        width, height = displayed_size(stream, frame, Orientation.of_frame(frame))
        duration = promised_duration(container, stream)
        return Probe(
            sha256=sha256,
            size_bytes=size,
            duration_s=max(0.0, read_timeline(path).end_s if duration is None else duration),
            fps=frame_rate(stream),
            width=width,
            height=height,
            rotation=-frame.rotation % 360,
            codec=stream.codec_context.codec.canonical_name,
            video_streams=len(real_streams(container)),
            has_audio=bool(container.streams.audio),
        )


def displayed_size(stream: VideoStream, frame: VideoFrame, orientation: Orientation) -> tuple[int, int]:
    """Width and height of the picture on a screen with square pixels."""
    width, height = round(frame.width * pixel_aspect(stream)) or 1, frame.height
    return (height, width) if orientation.swap else (width, height)


def pixel_aspect(stream: VideoStream) -> float:
    """Width of a pixel over its height; 1 where the file does not say, or says what no camera does."""
    aspect = float(stream.sample_aspect_ratio or 1)
    return aspect if 0.1 <= aspect <= 10 else 1.0


def _content(path: Path | str) -> tuple[str, int]:
    """SHA-256 and size, of the same reading."""
    require_file(path)
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest(), file.tell()
    except OSError as error:
        raise decoding_error(error) from error


def first_frame(container: InputContainer, stream: VideoStream) -> VideoFrame:
    """The first picture that decodes. Raises ItemError: no_pictures, unreadable."""
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
        except StopIteration:
            raise ItemError("no_pictures", "not a single picture could be decoded") from None
        except FFmpegError as error:
            raise decoding_error(error) from error
        if is_repeat(packet):
            continue
        try:
            frames = stream.decode(packet)
        except FFmpegError:
            continue  # damage at the start; the sampler counts it
        if frames:
            return frames[0]
