"""Which stored frames of a video a teacher is shown."""

from __future__ import annotations

from collections.abc import Iterable

from hardcut.media.frames import Frame, FrameSet
from hardcut.schemas.records import Evidence, Video


def shown_frames(stored: FrameSet, count: int, video: Video, evidence: Iterable[Evidence]) -> tuple[Frame, ...]:
    """At most `count` frames, evenly spread, each shot with one where there are enough.

    Of a video that an earlier version probed they are spread without its shots, as that version showed them: what was
    paid for is not asked again.
    """
    if video.looked_s is None:
        return stored.spread(count)
    return stored.spread(
        count, [(item.span.start, item.span.end) for item in evidence if item.kind == "shot" and item.span]
    )
