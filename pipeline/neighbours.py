"""The neighbours of a video while a run's captions are still being made."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from itertools import islice

from hardcut.engine.ledger import Ledger
from hardcut.schemas.records import Caption
from hardcut.synth.captions import CaptionStage
from hardcut.synth.elsewhere import NEIGHBOURS, Ring


class Neighbours:
    """The videos with a caption that follow a video in the ring of the run's videos: the same ones whatever is done
    first, since a video waits for those that come before its last neighbour."""

    def __init__(self, ledger: Ledger, ring: Ring) -> None:
        self._ledger = ledger
        self._ring = ring
        self._behind: bytearray | None = None
        """By place in the ring: 1 where a video has its caption, or will get none. None: no caption is made."""
        self._waiting: dict[int, asyncio.Event] = {}

    def begun(self, stage: str) -> None:
        """A stage of the run meets all its videos anew."""
        if stage == CaptionStage.name:
            self._behind = bytearray(len(self._ring.videos))
            self._waiting.clear()

    def passed(self, stage: str, video_id: str) -> None:
        """A video is behind a stage of the run."""
        if stage != CaptionStage.name or self._behind is None:
            return
        at = self._ring.index(video_id)
        if at is not None:
            self._behind[at] = 1
            if waiting := self._waiting.pop(at, None):
                waiting.set()

    async def ready(self, video_id: str) -> None:
        """Returns once it is known which neighbours a video has, and what is known of them."""
        found = 0
        for other in self._ring.following(video_id):
            at = self._ring.index(other)
            if at is not None and self._behind is not None and not self._behind[at]:
                await self._waiting.setdefault(at, asyncio.Event()).wait()
            found += self._has_caption(other)
            if found == NEIGHBOURS:
                return

    def of(self, video_id: str) -> list[str]:
        """The neighbours of a video that is ready."""
        return list(islice(self._captioned(video_id), NEIGHBOURS))

    def _captioned(self, video_id: str) -> Iterator[str]:
        return (other for other in self._ring.following(video_id) if self._has_caption(other))

    def _has_caption(self, video_id: str) -> bool:
        return bool(self._ledger.digests(Caption.__name__, video_id, sys.maxsize))
