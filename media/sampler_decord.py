"""The other frame reader, decord: the same times and, up to rounding, the same pictures as `sampler.py`, or an error.

decord decodes; which pictures are wanted and when they are shown is read from the packets as for PyAV. It tells less:
what a decoder fills in for damaged parts of a picture goes unnoticed, and a file whose pictures it counts, turns or
times differently is refused. docs/media.md shows what it reads.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hardcut.media.container import Orientation, Timeline, best_stream, open_video, read_timeline
from hardcut.media.probe import displayed_size, first_frame
from hardcut.media.sampler import Sample, Samples, fit, wanted_ticks
from hardcut.schemas.dependencies import needs
from hardcut.schemas.errors import ItemError

_NO_FILLING_IN = 1e-9
"""The share of pictures that decord may replace by their neighbours before it gives up: none."""
_SAME = 8.0
"""Levels of 255, on average, by which two decoders' RGB of one picture may differ."""


class DecordSamples(Samples):
    """The pictures of one video by decord. Iterate it as `Samples`; raises ItemError("reader") besides."""

    def __iter__(self) -> Iterator[Sample]:
        timeline = read_timeline(self._path)
        wanted = wanted_ticks(timeline, self._settings)
        self._damaged, self._misplaced, self._repaired = 0, timeline.misplaced, False
        decord = _decord()
        with open_video(self._path) as container:
            stream = best_stream(container)
            frame = first_frame(container, stream)
            orientation = Orientation.of_frame(frame)
            size = fit(*displayed_size(stream, frame, orientation), self._settings.max_pixels)
            first = orientation.apply(frame.to_ndarray(format="rgb24").astype(np.uint8, copy=False))
        if orientation.swap == (orientation.flip_rows == orientation.flip_columns):
            raise _refused("the picture is mirrored")
        try:
            reader = decord.VideoReader(str(self._path), num_threads=1, fault_tol=_NO_FILLING_IN)
            _same_pictures(reader, timeline)
            places = set(np.searchsorted(timeline.ticks, wanted).tolist())
            # One after the other: where decord seeks or skips, it gives wrong pictures for some files.
            for place in range(max(places) + 1):
                given = reader.next()
                if place and place not in places:
                    continue
                picture: NDArray[np.uint8] = given.asnumpy()
                if picture.shape != first.shape:
                    raise _refused(f"it gives pictures of the shape {picture.shape}, not {first.shape}")
                if place == 0 and np.abs(picture.astype(np.int16) - first).mean() > _SAME:
                    raise _refused("it begins with another picture")
                if place in places:
                    image = Image.fromarray(picture).resize(size, Image.Resampling.BOX)
                    yield Sample(timeline.seconds(int(timeline.ticks[place])), np.asarray(image))
        except (decord.DECORDError, decord.DECORDLimitReachedError) as error:
            raise _refused("it cannot decode the file", str(error)) from error
        self._conclude(timeline, timeline.end_s)


def _decord() -> Any:
    with needs("decord", "decord", 'media.reader = "pyav"'):
        import decord
    decord.logging.set_level(decord.logging.QUIET)
    return decord


def _same_pictures(reader: Any, timeline: Timeline) -> None:
    """Raises ItemError unless decord's pictures are those of the packets, each at its time."""
    if len(reader) != len(timeline.ticks):
        raise _refused(f"it counts {len(reader)} pictures of {len(timeline.ticks)}")
    theirs = np.asarray(reader.get_frame_timestamp(range(len(reader))))[:, 0]
    ours = timeline.ticks * timeline.time_base
    if np.abs((theirs - theirs[0]) - (ours - ours[0])).max() > max(2e-3, 2 * timeline.time_base):
        raise _refused("it gives other times to the pictures")


def _refused(why: str, raw: str | None = None) -> ItemError:
    return ItemError("reader", f'decord reads it differently: {why}; set media.reader = "pyav"', raw)
