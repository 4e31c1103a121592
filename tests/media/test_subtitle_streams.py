"""The words of subtitles inside a file, on the clock of its pictures, one stream of each language.

`files/` has two clips of 4 s with one cue each: PyAV writes no subtitles of its own.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import pytest
from av.stream import Disposition

from hardcut.media.subtitle_streams import StreamCue, stream_cues

FILES = Path(__file__).parent / "files"


def with_streams(path: Path, streams: list[tuple[str | None, bool, list[str]]]) -> Path:
    """The Matroska clip with streams of these languages, forced or not, each with its cues, a second apart."""
    with av.open(str(FILES / "subrip.mkv")) as source, av.open(str(path), "w") as file:
        picture = file.add_stream_from_template(source.streams.video[0])
        template = source.streams.subtitles[0]
        texts = []
        for language, forced, cues in streams:
            stream = file.add_stream_from_template(template)
            if language:
                stream.metadata["language"] = language
            if forced:
                stream.disposition = Disposition.forced
            texts.append((stream, cues))
        for packet in source.demux(source.streams.video[0]):
            if packet.dts is not None:
                packet.stream = picture
                file.mux(packet)
        for stream, cues in texts:
            for number, text in enumerate(cues):
                packet = av.Packet(text.encode())
                packet.stream, packet.time_base = stream, Fraction(1, 1000)
                packet.pts = packet.dts = number * 1000 + 250
                packet.duration = 500
                file.mux(packet)
    return path


@pytest.mark.parametrize(("name", "language"), [("movtext.mp4", "eng"), ("subrip.mkv", None)])
def test_text_streams_of_both_common_containers(name: str, language: str | None) -> None:
    cues, unread = stream_cues(FILES / name)
    assert cues == [StreamCue(0.5, 1.5, "Embedded hello", language)] and unread == []
    assert stream_cues(FILES / name, ["en", None]) == ([], []), "a file beside it says the same"


def test_one_stream_of_each_language_the_first_that_is_not_forced(tmp_path: Path) -> None:
    streams = [
        ("eng", True, ["only the sign"]),
        ("eng", False, ["<i>Good</i> morning", "How are\nyou?"]),
        ("eng", False, ["[birds sing] Good morning"]),
        ("ger", False, ["Guten Morgen"]),
        ("und", False, ["Bonjour"]),
    ]
    cues, unread = stream_cues(with_streams(tmp_path / "many.mkv", streams))
    assert unread == []
    first = cues[0].start
    assert [(cue.language, round(cue.start - first, 3), round(cue.end - cue.start, 3), cue.text) for cue in cues] == [
        ("eng", 0.0, 0.5, r"{\i1}Good{\i0} morning"),
        ("eng", 1.0, 0.5, "How are\nyou?"),
        ("ger", 0.0, 0.5, "Guten Morgen"),
        (None, 0.0, 0.5, "Bonjour"),
    ]
