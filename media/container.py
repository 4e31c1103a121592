"""Opening a video: which formats are read, which stream is the picture, where the clock starts, what is when.

Second 0 of a video is the start of its container, so that pictures, sound and subtitles share one clock.
"""

from __future__ import annotations

import stat
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from hardcut.media.packets import is_repeat, packets_of
from hardcut.media.random_access import is_random_access_point
from hardcut.schemas.errors import ItemError

# Only formats that hold their media themselves. Playlists (hls, dash, concat, ...) name other files and addresses,
# and a playlist with a video's name would make the decoder open them.
_ONLY_FILES = {
    "format_whitelist": "mov,mp4,matroska,webm,avi,mpegts,mpeg,flv,asf,ogg,gif",
    "protocol_whitelist": "file",
}
# PyAV 19 always keeps bytes of a tag that are no UTF-8 as lone surrogates; those before it fail unless they are told.
_OPENING: dict[str, Any] = {"metadata_errors": "surrogateescape"} if int(av.__version__.split(".")[0]) < 19 else {}
_MAX_PICTURE = 2**27
"""Pixels of the largest picture that is decoded (16384 x 8192): a frame of it takes half a gigabyte."""
_LONGEST_PICTURE_S = 3600.0
"""Pictures further apart than this do not belong together: one of the time stamps is broken."""


@contextmanager
def open_video(path: Path | str) -> Iterator[InputContainer]:
    """The opened container. Raises ItemError("unreadable") where it is none, also while it is being read.

    Its tags (`metadata`) may hold lone surrogates, which no file of ours takes: bytes that were no UTF-8.
    """
    require_file(path)
    try:
        container = av.open(f"file:{path}", container_options=_ONLY_FILES, **_OPENING)
    except (FFmpegError, OSError) as error:
        raise decoding_error(error) from error
    with container:
        yield container


def require_file(path: Path | str) -> None:
    """Raises ItemError("unreadable") for what cannot be a video; a pipe would wait for its writer for ever."""
    try:
        status = Path(path).stat()
    except OSError as error:
        raise decoding_error(error) from error
    if not stat.S_ISREG(status.st_mode):
        raise ItemError("unreadable", "not a regular file")
    if status.st_size == 0:
        raise ItemError("unreadable", "the file is empty")


def decoding_error(error: FFmpegError | OSError) -> ItemError:
    """What a decoder's or the system's error means for the item. Names no path: records travel to other machines."""
    return ItemError("unreadable", error.strerror or type(error).__name__)


def real_streams(container: InputContainer) -> list[VideoStream]:
    """The streams that are moving pictures: no cover art, no thumbnails, and a decoder exists."""
    pictures = Disposition.attached_pic | Disposition.timed_thumbnails
    return [
        stream
        for stream in container.streams.video
        if not stream.disposition & pictures and stream.codec_context is not None and stream.width and stream.height
    ]


def best_stream(container: InputContainer) -> VideoStream:
    """The picture: a stream marked as default before others, then the one with most pixels, then the first.

    Raises ItemError: no_video, too_large.
    """
    streams = real_streams(container)
    if not streams:
        raise ItemError("no_video", "the file holds no video stream that can be decoded")
    best = max(streams, key=lambda s: (bool(s.disposition & Disposition.default), s.width * s.height, -s.index))
    if best.width * best.height > _MAX_PICTURE:
        raise ItemError("too_large", f"{best.width} x {best.height} pixels, at most {_MAX_PICTURE} are decoded")
    # One thread: damage then gives the same pictures on every machine. Videos are decoded side by side in processes.
    best.thread_count = 1
    return best


def frame_rate(stream: VideoStream) -> float:
    """Pictures a second as the file says, 0 where it does not."""
    return float(stream.average_rate or stream.guessed_rate or 0)


def clock_start(container: InputContainer) -> float:
    """What the container's time stamps show, in seconds, at second 0 of the video."""
    return (container.start_time or 0) / av.time_base


def promised_duration(container: InputContainer, stream: VideoStream) -> float | None:
    """Until which second the header says that the picture lasts, or else the whole file; None where it does not say."""
    if container.format.name == "avi" and stream.frames and stream.average_rate:
        return float(stream.frames / stream.average_rate)  # a truncated file's duration is what is left of it
    if stream.duration:
        return float((stream.duration + (stream.start_time or 0)) * (stream.time_base or 1)) - clock_start(container)
    if not container.duration:
        return None
    # Matroska counts its duration from time stamp 0, all others from where they start.
    return container.duration / av.time_base - (clock_start(container) if "matroska" in container.format.name else 0)


@dataclass(frozen=True, slots=True)
class Orientation:
    """How a decoded picture is turned for display: swap rows and columns, then flip."""

    swap: bool = False
    flip_rows: bool = False
    flip_columns: bool = False

    @classmethod
    def of_frame(cls, frame: VideoFrame) -> Orientation:
        """From the display matrix (ISO 14496-12, 8.2.2.3): the picture's x axis becomes (a, b), its y axis (c, d).

        Ask for it once a video: PyAV ties a frame to its side data in a cycle, so a frame that was asked stays in
        memory until the garbage collector comes by.
        """
        side_data: Any = frame.side_data  # the stubs of PyAV 18 call it a dict of texts
        try:
            matrix = side_data["DISPLAYMATRIX"]
        except KeyError:
            return cls()
        a, b, _, c, d = (int(value) for value in np.frombuffer(bytes(matrix)[:20], dtype=np.int32))
        if abs(b) > abs(a):
            return cls(True, flip_rows=b < 0, flip_columns=c < 0)
        return cls(False, flip_rows=d < 0, flip_columns=a < 0)

    def apply(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The picture (height, width, 3) as it is displayed."""
        if self.swap:
            image = image.transpose(1, 0, 2)
        return np.ascontiguousarray(image[:: -1 if self.flip_rows else 1, :: -1 if self.flip_columns else 1])


@dataclass(frozen=True, slots=True)
class Timeline:
    """When the pictures of a stream are shown, read from the packets without decoding.

    `ticks` are the sorted time stamps in the stream's time base, `keys` those of the key frames among them. `groups`
    gives for each tick the number of its group of pictures, counted in order of decoding; a group begins where a
    decoder may enter (`random_access.py`), and `entries` are the ticks that the groups begin with.

    A picture of `tick` is shown at second `tick * time_base - start_s`. `end_s` is where the last picture that is in
    the file ends, `promised_s` where its header says that it does (None: it does not say); `cut_short` says that the
    file ends earlier than promised by more than `tolerance_s`. `misplaced` counts the pictures without a time stamp
    that can be right. `trusted`: every packet carries the time stamp of its own picture (AVI has none, and what FFmpeg
    makes up for it is in the order of decoding).
    """

    ticks: NDArray[np.int64]
    keys: NDArray[np.int64]
    groups: NDArray[np.int64]
    entries: NDArray[np.int64]
    time_base: float
    start_s: float
    end_s: float
    promised_s: float | None
    cut_short: bool
    tolerance_s: float
    misplaced: int
    trusted: bool

    def seconds(self, tick: int) -> float:
        return max(0.0, tick * self.time_base - self.start_s)


def read_timeline(path: Path | str) -> Timeline:
    """Reads every packet of the picture's stream once. Raises ItemError: no_video, unreadable, no_pictures."""
    with open_video(path) as container:
        stream = best_stream(container)
        packets = _read_packets(container, stream)
        if not packets.ticks:
            raise ItemError("no_pictures", "the file has a video stream without a single picture")
        return _timeline(container, stream, packets)


@dataclass(slots=True)
class _Packets:
    """What the packets of a stream say, in order of decoding; times in ticks of the stream but for `sound_ends_s`.
    `last_shown` is the picture with the highest time stamp, (tick, how long it is shown)."""

    ticks: array[int] = field(default_factory=lambda: array("q"))
    keys: array[int] = field(default_factory=lambda: array("q"))
    groups: array[int] = field(default_factory=lambda: array("q"))
    entries: array[int] = field(default_factory=lambda: array("q"))
    last_shown: tuple[int, int] | None = None
    sound_ends_s: float = 0.0
    misplaced: int = 0
    all_stamped: bool = True
    in_order: bool = True

    def add(self, packet: Packet[Any]) -> None:
        """Takes in a packet of the pictures."""
        self.all_stamped = self.all_stamped and packet.pts is not None
        tick = _tick(packet)
        if tick is None:
            self.misplaced += 1
            return
        self.in_order = self.in_order and (not self.ticks or tick > self.ticks[-1])
        if not self.ticks or is_random_access_point(packet):
            self.entries.append(tick)
        self.ticks.append(tick)
        self.groups.append(len(self.entries) - 1)
        if packet.is_keyframe and packet.size:
            self.keys.append(tick)
        if packet.duration:
            self.last_shown = max(self.last_shown or (tick, 0), (tick, packet.duration))

    def add_sound(self, packet: Packet[Any]) -> None:
        """Takes in a packet of sound: where a file ends that does not say how long its pictures are."""
        tick = _tick(packet)
        if packet.size and not packet.is_discard and tick is not None and packet.time_base:
            self.sound_ends_s = max(self.sound_ends_s, float((tick + (packet.duration or 0)) * packet.time_base))


def _tick(packet: Packet[Any]) -> int | None:
    return packet.pts if packet.pts is not None else packet.dts


def _read_packets(container: InputContainer, stream: VideoStream) -> _Packets:
    found = _Packets()
    for packet in packets_of(container, [stream] if stream.duration else [stream, *container.streams.audio]):
        if packet.stream_index != stream.index:
            found.add_sound(packet)
        elif (packet.size or (is_repeat(packet) and found.ticks)) and not packet.is_discard:
            found.add(packet)
    return found


def _timeline(container: InputContainer, stream: VideoStream, packets: _Packets) -> Timeline:
    time_base, rate = float(stream.time_base or 1), frame_rate(stream)
    everything = np.frombuffer(packets.ticks, dtype=np.int64)
    distinct, places = np.unique(everything, return_index=True)
    kept = _together(distinct, time_base)
    first, last = int(kept[0]), int(kept[-1])
    start = clock_start(container)
    if abs(first * time_base - start) > _LONGEST_PICTURE_S:
        start = first * time_base
    usual = 1 / rate if rate else (last - first) * time_base / max(1, len(kept) - 1)
    shown = packets.last_shown
    end = last * time_base + (shown[1] * time_base if shown and shown[0] == last else usual) - start
    promised = promised_duration(container, stream)
    tolerance = 0.1 + 1.5 * usual
    keys = np.intersect1d(np.frombuffer(packets.keys, dtype=np.int64), kept) if packets.keys else kept[:1]
    return Timeline(
        ticks=kept,
        keys=keys,
        groups=np.frombuffer(packets.groups, dtype=np.int64)[places[np.searchsorted(distinct, kept)]],
        entries=np.frombuffer(packets.entries, dtype=np.int64),
        time_base=time_base,
        start_s=start,
        end_s=end,
        promised_s=promised,
        cut_short=promised is not None and max(end, packets.sound_ends_s - start) < promised - tolerance,
        tolerance_s=tolerance,
        misplaced=packets.misplaced + int(np.count_nonzero((everything < first) | (everything > last))),
        trusted=packets.all_stamped and not (packets.in_order and stream.codec_context.has_b_frames),
    )


def _together(ticks: NDArray[np.int64], time_base: float) -> NDArray[np.int64]:
    """The largest run of the sorted `ticks` without a gap that no real picture would fill."""
    breaks = np.flatnonzero(np.diff(ticks.astype(np.float64)) * time_base > _LONGEST_PICTURE_S) + 1
    return max(np.split(ticks, breaks), key=len)
