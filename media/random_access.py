"""Where a decoder may enter a video: from such a packet on, every picture decodes as if all before it had been decoded.

A container's key-frame flag does not promise that (H.264 recovery points and open GOPs carry it too), so the flag is
only believed together with what the packet itself says. Where this is not surely known, the answer is no.
"""

from __future__ import annotations

from typing import Any

from av.packet import Packet
from av.video.stream import VideoStream

_H264_IDR = frozenset({5})
_HEVC_IDR = frozenset({19, 20})
_AV1_SEQUENCE_HEADER, _AV1_TEMPORAL_DELIMITER = 1, 2


def is_random_access_point(packet: Packet[Any]) -> bool:
    """Whether no picture after this packet of a video stream, in order of decoding, refers to one before it."""
    if not packet.is_keyframe:
        return False
    codec = packet.stream.codec_context.codec
    name = codec.canonical_name
    if name in ("h264", "hevc"):
        return _has_idr(bytes(packet), packet.stream, name)
    if name == "vp8":
        return not bytes(packet)[0] & 1  # RFC 6386, 9.1
    if name == "vp9":
        return _vp9_key(bytes(packet)[0])
    if name == "av1":
        return _av1_starts_sequence(bytes(packet))
    return bool(codec.intra_only)


def _has_idr(data: bytes, stream: VideoStream, name: str) -> bool:
    """Whether a NAL unit of the packet is an IDR slice, in Annex B or with lengths (ISO 14496-15)."""
    extradata = stream.codec_context.extradata or b""
    if extradata[:1] == b"\x01":
        place = 4 if name == "h264" else 21
        if len(extradata) <= place:
            return False
        starts = _nal_starts_by_length(data, (extradata[place] & 3) + 1)
    else:
        starts = _nal_starts_annex_b(data)
    if name == "h264":
        return any(data[start] & 31 in _H264_IDR for start in starts)
    return any(data[start] >> 1 & 63 in _HEVC_IDR for start in starts)


def _nal_starts_by_length(data: bytes, size: int) -> list[int]:
    starts, place = [], 0
    while place + size < len(data):
        starts.append(place + size)
        place += size + int.from_bytes(data[place : place + size], "big")
    return starts


def _nal_starts_annex_b(data: bytes) -> list[int]:
    starts, place = [], data.find(b"\0\0\1")
    while 0 <= place < len(data) - 3:
        starts.append(place + 3)
        place = data.find(b"\0\0\1", place + 3)
    return starts


def _vp9_key(first: int) -> bool:
    """The uncompressed header: marker 10, two bits of profile (a third for profile 3), show existing, frame type."""
    if first >> 6 != 2:
        return False
    shift = 2 if (first >> 4 & 3) == 3 else 3
    return not first >> shift & 1 and not first >> (shift - 1) & 1


def _av1_starts_sequence(data: bytes) -> bool:
    """Whether the first OBU after a temporal delimiter is a sequence header (AV1, 7.5: what random access needs)."""
    place = 0
    while place + 1 < len(data):
        kind = data[place] >> 3 & 15
        if kind != _AV1_TEMPORAL_DELIMITER:
            return kind == _AV1_SEQUENCE_HEADER
        place += 2 + (data[place] >> 2 & 1)  # a delimiter's payload is empty
    return False
