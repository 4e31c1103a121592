"""The packets of a file, one after the other, with time stamps that go on where those of the file start again.

A recording that was joined of several, or a receiver that was tuned anew, may begin its time stamps again in the middle
of the file. As FFmpeg's own tools do, what follows is then taken to follow at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from av.audio.stream import AudioStream
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.video.stream import VideoStream

_STARTS_AGAIN = 0x200
"""AVFMT_TS_DISCONT: formats whose time stamps may start again."""
_BACK_S = 0.1
"""Time stamps of decoding that run back by more start again."""
_ON_S = 1.0
"""A stamp that follows the one before by less than this goes on from it."""
_REMEMBERED = 8


def packets_of(container: InputContainer, streams: Sequence[VideoStream | AudioStream]) -> Iterator[Packet[Any]]:
    """The packets of some streams, and at the end those without bytes that have a decoder give out what it holds. Ends
    quietly where the file breaks off: its timeline says where."""
    clocks = {stream.index: _Clock(float(stream.time_base or 1)) for stream in streams}
    checked = may_start_again(container)
    packets = container.demux(list(streams))
    while True:
        try:
            packet = next(packets)
        except (StopIteration, FFmpegError):
            return
        if checked and packet.dts is not None:
            clocks[packet.stream_index].set(packet)
        yield packet


def may_start_again(container: InputContainer) -> bool:
    """Whether the format is one of those whose time stamps do: broadcasts, and what is made to be joined."""
    return bool(container.format.flags & _STARTS_AGAIN)


def is_repeat(packet: Packet[Any]) -> bool:
    """Whether a packet has a time but no bytes: the picture before it is shown on (Theora I, section 7; AVI)."""
    return packet.size == 0 and packet.pts is not None


@dataclass(slots=True)
class _Clock:
    """Of one stream: what has to be added to its time stamps. Times in ticks of `tick_s` seconds."""

    tick_s: float
    _shifts: list[int] = field(default_factory=lambda: [0])
    """The present one last. Of a single stamp that was wrong, the one before is taken up again."""
    _last: int | None = None
    _step: int = 1

    def set(self, packet: Packet[Any]) -> None:
        """Shifts the time stamps of a packet, which has one of decoding."""
        stamp = int(packet.dts or 0)
        self._follow(stamp)
        self._step = packet.duration or self._step
        self._last = stamp + self._shifts[-1]
        if self._shifts[-1]:
            packet.dts = self._last
            packet.pts = None if packet.pts is None else packet.pts + self._shifts[-1]

    def _follow(self, stamp: int) -> None:
        if self._last is None:
            return
        ahead = (stamp + self._shifts[-1] - self._last) * self.tick_s
        if ahead >= -_BACK_S and (ahead <= _ON_S or len(self._shifts) == 1):
            return
        former = [shift for shift in self._shifts if 0 <= (stamp + shift - self._last) * self.tick_s <= _ON_S]
        if former:
            self._shifts = [*self._shifts[-_REMEMBERED:], former[-1]]
        elif ahead < -_BACK_S:
            self._shifts = [*self._shifts[-_REMEMBERED:], self._last + self._step - stamp]
