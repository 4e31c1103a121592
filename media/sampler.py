"""Pictures of a video at uniform times, with PyAV.

The times are the centres of equal stretches, and each gives the picture that is on the screen then (exact), or the
last key frame before it (keyframes: much faster). A picture that would be given twice is given once. What nobody asked
for is not decoded where that is surely exact: a long video costs what is sampled of it.
`sampler_decord.py` is the other reader, under the same tests. A change that can give other pictures for the
same file and settings raises SAMPLER_VERSION in `store.py`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import av.logging
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from hardcut.media.container import Orientation, Timeline, best_stream, open_video, read_timeline
from hardcut.media.packets import is_repeat, packets_of
from hardcut.media.probe import displayed_size
from hardcut.media.random_access import is_random_access_point
from hardcut.schemas.errors import ItemError
from hardcut.schemas.settings import MediaSettings

# Decoders that leave out a picture which no other one refers to, when told so, and give all others unchanged. Not HEVC,
# where what it leaves out may be referred to from a higher layer, and not MPEG-4, which may pack two pictures as one.
_SKIPS_UNREFERENCED = frozenset({"h264", "mpeg1video", "mpeg2video"})
_PROGRESSIVE = (0, 1)  # AVFieldOrder: unknown, progressive. Two fields may come as two packets: both are needed.


@dataclass(frozen=True, slots=True)
class Sample:
    """A picture, RGB (height, width, 3), and the second from which on the video shows it."""

    time_s: float
    image: NDArray[np.uint8]


class Pictures(Protocol):
    """What the frame store takes: pictures in order of time, and, when the iteration has ended, what `Samples` says."""

    def __iter__(self) -> Iterator[Sample]: ...
    @property
    def duration_s(self) -> float: ...
    @property
    def missing(self) -> tuple[str, ...]: ...


class Watcher(Protocol):
    """Who is shown every picture of a video, and not only those that are asked for."""

    def begin(self, timeline: Timeline, stream: VideoStream) -> None: ...
    def see(self, time_s: float, frame: VideoFrame) -> None: ...
    def end(self) -> None: ...


class Samples:
    """The pictures of one video, one after the other: at most three are in memory at a time. With a `watcher` all
    pictures are decoded, and it is shown each of them.

    Final when the iteration has ended: `duration_s`, the seconds of the video that could be used, and `missing`, a
    sentence for each thing that the file promised and that could not be decoded.
    """

    def __init__(self, path: Path | str, settings: MediaSettings, watcher: Watcher | None = None) -> None:
        self._path = path
        self._settings = settings
        self._watcher = watcher
        self._damaged = 0
        self._misplaced = 0
        self._repaired = False
        self.duration_s = 0.0
        self.missing: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether all that the file promised could be decoded."""
        return not self.missing

    def __iter__(self) -> Iterator[Sample]:
        """Decodes. Raises ItemError: unreadable, no_video, no_pictures, too_large."""
        timeline = read_timeline(self._path)
        wanted = wanted_ticks(timeline, self._settings)
        self._damaged, self._misplaced, self._repaired = 0, timeline.misplaced, False
        position = 0  # of the first wanted picture that is still to come
        held: tuple[int, VideoFrame] | None = None  # the picture on the screen, until it is known for how long
        with open_video(self._path) as container:
            stream = best_stream(container)
            most = self._settings.max_pixels
            convert = Converter(stream, lambda width, height: fit(width, height, most))
            if self._watcher:
                self._watcher.begin(timeline, stream)
            for tick, frame in self.decode(container, stream, timeline, wanted):
                if self._watcher:
                    self._watcher.see(timeline.seconds(tick), frame)
                reached = bisect_left(wanted, tick, position)
                if held and reached > position:
                    yield Sample(timeline.seconds(held[0]), convert(held[1]))
                held, position = (tick, frame), reached
                if position == len(wanted) and not self._watcher:
                    break
            if held and position < len(wanted):
                yield Sample(timeline.seconds(held[0]), convert(held[1]))
            if self._watcher:
                self._watcher.end()
        if held is None:
            raise ItemError("no_pictures", "not a single picture could be decoded")
        reached_end = position == len(wanted) or held[0] >= wanted[-1]
        self._conclude(timeline, timeline.end_s if reached_end else timeline.seconds(held[0]))

    def decode(
        self, container: InputContainer, stream: VideoStream, timeline: Timeline, wanted: list[int]
    ) -> Iterator[tuple[int, VideoFrame]]:
        """The decoded pictures with their ticks, increasing; at least all that are wanted and not damaged.

        `wanted` are ticks of the timeline.
        """
        first, last = int(timeline.ticks[0]), int(timeline.ticks[-1])
        following = first
        clock = _Clock()
        for frame in self._frames(container, stream, timeline, frozenset(wanted)):
            tick = clock.tick(frame)
            if tick is None or not first <= tick <= last:
                continue  # counted by the timeline
            if tick < following:
                self._misplaced += 1
                continue
            yield tick, frame
            following = tick + 1

    def _frames(
        self, container: InputContainer, stream: VideoStream, timeline: Timeline, wanted: frozenset[int]
    ) -> Iterator[VideoFrame]:
        context = stream.codec_context
        keys_only = self._settings.mode == "keyframes"
        if keys_only:
            context.skip_frame = "NONKEY"
        exact = not keys_only and timeline.trusted and context.field_order in _PROGRESSIVE
        exact = exact and self._watcher is None
        needed = _needed_groups(timeline, wanted) if exact else None
        selective = exact and context.name in _SKIPS_UNREFERENCED
        group = 0
        started = False
        shown: VideoFrame | None = None
        for packet in packets_of(container, [stream]):
            if is_repeat(packet):  # to a decoder it would be the end
                if shown is not None and not keys_only:
                    shown.pts, shown.dts = packet.pts, packet.dts
                    yield shown
                continue
            if keys_only and packet.size and not packet.is_keyframe:
                continue
            if needed is not None and packet.size and not packet.is_discard:
                entered = started and is_random_access_point(packet)
                group, started = group + entered, True
                if entered and (group in needed) != (group - 1 in needed):
                    yield from self._decode(stream, None)  # give out what is held back, then start afresh
                    context.flush_buffers()
                if group not in needed:
                    continue
            if selective:
                context.skip_frame = "DEFAULT" if packet.pts is None or packet.pts in wanted else "NONREF"
            for frame in self._decode(stream, packet):
                shown = frame
                yield frame

    def _decode(self, stream: VideoStream, packet: Packet[VideoStream] | None) -> list[VideoFrame]:
        # A decoder that invents a part of a picture ("concealing ... errors") says so in its log and nowhere else.
        level = av.logging.get_level()
        av.logging.set_level(av.logging.ERROR)
        try:
            with av.logging.Capture(local=True) as log:
                return stream.decode(packet)
        except FFmpegError:
            self._damaged += 1
            return []
        finally:
            av.logging.set_level(level)
            self._repaired = self._repaired or any("concealing" in message for _, _, message in log)

    def _conclude(self, timeline: Timeline, decoded_s: float) -> None:
        self.duration_s = decoded_s
        missing: list[str] = []
        promised_s = timeline.promised_s if timeline.cut_short and timeline.promised_s else timeline.end_s
        if decoded_s < promised_s - timeline.tolerance_s:
            missing.append(f"decoded {decoded_s:.1f} s of {promised_s:.1f} s")
        if self._damaged:
            missing.append(f"{self._damaged} damaged packet{'s' if self._damaged > 1 else ''}")
        if self._repaired:
            missing.append("parts of pictures were damaged and filled in by the decoder")
        if self._misplaced:
            missing.append(f"left out for a time stamp out of order: {self._misplaced}")
        self.missing = tuple(missing)


def _needed_groups(timeline: Timeline, wanted: frozenset[int]) -> frozenset[int]:
    """The groups of pictures that must be decoded for the `wanted` ticks.

    A picture shown before the one that its group begins with may refer to the group before.
    """
    needed = set()
    for place in np.flatnonzero(np.isin(timeline.ticks, list(wanted))):
        group = int(timeline.groups[place])
        needed.add(group)
        if timeline.ticks[place] < timeline.entries[group]:
            needed.add(group - 1)
    return frozenset(needed)


def wanted_ticks(timeline: Timeline, settings: MediaSettings) -> list[int]:
    """The time stamps of the pictures to give, increasing: those on the screen at the centres of equal stretches.

    There are `fps` stretches a second and at most `max_frames`, over the pictures that are in the file, whatever its
    header says.
    """
    ticks = timeline.ticks if settings.mode == "exact" else timeline.keys
    shown = ticks * timeline.time_base - timeline.start_s
    span = timeline.end_s - shown[0]
    count = min(settings.max_frames, max(1, round(span * settings.fps)))
    centres = shown[0] + (np.arange(count) + 0.5) * span / count
    places = np.unique(np.searchsorted(shown, centres + 1e-9, side="right") - 1)
    return [int(tick) for tick in ticks[np.maximum(places, 0)]]


def fit(width: int, height: int, max_pixels: int) -> tuple[int, int]:
    """The largest size of that shape within `max_pixels`: even where it can be, never larger than given, at least 1."""
    scale = min(1.0, (max_pixels / (width * height)) ** 0.5)

    def even(side: float) -> int:
        whole = max(1, int(side + 1e-9))
        return whole - whole % 2 if whole > 1 else 1

    return even(width * scale), even(height * scale)


class _Clock:
    """The time stamp of a picture as FFmpeg's own tools guess it (guess_correct_pts): that of presentation, or that of
    decoding where the former has run backwards more often."""

    def __init__(self) -> None:
        self._pts: int | None = None
        self._dts: int | None = None
        self._doubt = 0

    def tick(self, frame: VideoFrame) -> int | None:
        pts, dts = frame.pts, frame.dts
        if pts is not None:
            self._doubt += self._pts is not None and pts <= self._pts
            self._pts = pts
        if dts is not None:
            self._doubt -= self._dts is not None and dts <= self._dts
            self._dts = dts
        return dts if pts is None or (self._doubt > 0 and dts is not None) else pts


class Converter:
    """Turns decoded pictures into RGB of one shape, that of the first: turned, square pixels, `size(width, height)`."""

    def __init__(self, stream: VideoStream, size: Callable[[int, int], tuple[int, int]]) -> None:
        self._stream = stream
        self._size = size
        self._reformatter = VideoReformatter()
        self._shape: tuple[int, int, Orientation] | None = None

    def __call__(self, frame: VideoFrame) -> NDArray[np.uint8]:
        if self._shape is None:
            orientation = Orientation.of_frame(frame)
            width, height = self._size(*displayed_size(self._stream, frame, orientation))
            self._shape = (height, width, orientation) if orientation.swap else (width, height, orientation)
        width, height, orientation = self._shape
        picture = self._reformatter.reformat(frame, width, height, "rgb24", interpolation="AREA")
        return orientation.apply(picture.to_ndarray().astype(np.uint8, copy=False))
