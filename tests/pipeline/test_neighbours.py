"""A video's neighbours are the same ones whatever is captioned first, also where captions are made once more."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from hardcut.pipeline.neighbours import Neighbours
from hardcut.synth.elsewhere import NEIGHBOURS, Ring

RING = Ring([f"v{number}" for number in range(20)])


class Captioned:
    """A ledger that knows of captions alone."""

    def __init__(self) -> None:
        self.videos: set[str] = set()

    def digests(self, kind: str, about: str, before: int) -> list[tuple[str, str]]:
        return [(about, "")] if about in self.videos else []


async def waits(neighbours: Neighbours, video: str) -> bool:
    """Whether what a video needs is not there yet."""
    try:
        await asyncio.wait_for(neighbours.ready(video), 0.05)
    except TimeoutError:
        return True
    return False


@pytest.mark.parametrize("again", [False, True])
async def test_a_video_waits_until_its_last_neighbour_is_known(again: bool) -> None:
    """Those without a caption are passed over. `again`: what was damaged had all captions made once more."""
    ledger: Any = Captioned()
    neighbours = Neighbours(ledger, RING)
    if again:
        neighbours.begun("captions")
        for video in RING.videos:
            neighbours.passed("captions", video)
    neighbours.begun("captions")
    first, *others = RING.videos
    without, told = others[1], [video for video in others if video != others[1]][:NEIGHBOURS]
    for video in reversed([without, *told[1:]]):
        ledger.videos |= {video} - {without}
        neighbours.passed("probe", video)
        assert await waits(neighbours, first)
        neighbours.passed("captions", video)
    assert await waits(neighbours, first), "the first neighbour is not told of"
    ledger.videos.add(told[0])
    neighbours.passed("captions", told[0])
    assert not await waits(neighbours, first)
    assert neighbours.of(first) == told


async def test_where_no_caption_is_made_nobody_waits() -> None:
    ledger: Any = Captioned()
    ledger.videos = set(RING.videos[:3])
    neighbours = Neighbours(ledger, RING)
    assert not await waits(neighbours, RING.videos[10])
    assert neighbours.of(RING.videos[10]) == list(RING.videos[:3])
