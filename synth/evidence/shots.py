"""Shot boundaries out of the stored frames with PySceneDetect: no second look at the video itself."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hardcut.media.frames import Frame
from hardcut.schemas.records import Evidence, Span, Video
from hardcut.synth.evidence.pictures import load_image

WINDOW = 2
"""Neighbours on each side that a cut has to stand out from."""


def find_cuts(paths: Sequence[Path], threshold: float) -> list[int]:
    """The indices of the frames that begin a new shot, ascending. For a worker process.

    A cut changes the picture by at least `threshold` (mean difference of hue, saturation and brightness, 0..255) and
    three times as much as the frames around it; so a lorry that fills the picture is none. The detector is told frame
    numbers, not times: sampled frames are evenly spaced, and only their order matters to it.
    """
    from scenedetect import AdaptiveDetector, FrameTimecode

    detector = AdaptiveDetector(
        adaptive_threshold=3.0, min_content_val=threshold, window_width=WINDOW, min_scene_len=WINDOW
    )
    padded = [*[*paths[:1]] * WINDOW, *paths, *[*paths[-1:]] * WINDOW]  # so that the ends have neighbours too
    cuts: set[int] = set()
    for index, path in enumerate(padded):
        found = detector.process_frame(FrameTimecode(index, 1.0), load_image(path))
        cuts.update(timecode.frame_num - WINDOW for timecode in found)
    return sorted(cut for cut in cuts if 0 < cut < len(paths))


def shot_evidence(video: Video, frames: Sequence[Frame], cuts: Sequence[int]) -> list[Evidence]:
    """One line of evidence for each shot ("shot 2 of 3"); a cut lies half way between the two frames it divides."""
    if not frames:
        return []
    between = [(frames[cut - 1].time_s + frames[cut].time_s) / 2 for cut in cuts]
    edges = [0.0, *between, max(video.duration_s, frames[-1].time_s)]
    count = len(edges) - 1
    return [
        Evidence.create(
            video_id=video.video_id,
            kind="shot",
            text=f"shot {number + 1} of {count}",
            span=Span(start=edges[number], end=edges[number + 1]),
            extractor="scenedetect",
        )
        for number in range(count)
    ]
