"""Stages signatures and duplicates: which videos are copies of one recording."""

from __future__ import annotations

import base64
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import JsonValue

from hardcut.engine.ahead import in_threads
from hardcut.engine.stage import Output, Reader, Unit
from hardcut.schemas.base import Record
from hardcut.schemas.copies import Copy, Group, Signature
from hardcut.schemas.dependencies import installed
from hardcut.schemas.errors import ItemError
from hardcut.schemas.guards import Unchecked, could_not_look
from hardcut.schemas.records import Video
from hardcut.schemas.settings import DuplicateSettings
from hardcut.synth.frame_source import FrameSource

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from hardcut.media.duplicates import Fingerprint


@dataclass(frozen=True, slots=True)
class SignatureStage:
    """Makes the Signature of each probed video, out of its stored frames."""

    frames: FrameSource
    options: DuplicateSettings

    kind: ClassVar[Literal["unit"]] = "unit"
    name: ClassVar[str] = "signatures"
    version: ClassVar[int] = 1
    over: ClassVar[str] = "probe"
    reads: ClassVar[tuple[type[Record], ...]] = (Video,)
    makes: ClassVar[tuple[type[Record], ...]] = (Signature,)

    @property
    def settings(self) -> Mapping[str, JsonValue]:
        """Raises MissingDependency without imagehash."""
        if not self.options.near:
            return {"near": False}
        version = installed("imagehash", "vision", "duplicates.near = false")
        return {"near": True, "sampling": self.frames.sampling, "imagehash": version}

    async def run(self, unit: Unit) -> Output:
        if not self.options.near:
            return Output()
        from hardcut.media.duplicates import FRAMES, fingerprint

        video = unit.one(Video)
        async with self.frames.leased(video) as stored:
            made = await self.frames.pool.call(fingerprint, stored.spread(FRAMES))
        signature = Signature(
            video_id=video.video_id,
            times=made.times,
            hashes=tuple(f"{value:016x}" for value in made.hashes),
            sheet=base64.b64encode(made.sheet).decode("ascii"),
        )
        return Output(records=(signature,))


@dataclass(frozen=True, slots=True)
class DuplicateStage:
    """Makes the Group of each video that has a near duplicate. Its units are the videos.

    A video without a signature was compared with none: it is told in `unchecked.jsonl`. Memory holds the hashes of all
    videos, as they are and altered: 4 KB a video. Thumbnails are read where two videos are compared.
    """

    options: DuplicateSettings = field(default_factory=DuplicateSettings)

    kind: ClassVar[Literal["collection"]] = "collection"
    name: ClassVar[str] = "duplicates"
    version: ClassVar[int] = 4
    reads: ClassVar[tuple[type[Record], ...]] = (Video, Signature)
    makes: ClassVar[tuple[type[Record], ...]] = (Group, Unchecked)

    @property
    def settings(self) -> Mapping[str, JsonValue]:
        return {} if self.options.near else {"near": False}

    def run(self, records: Reader) -> Iterable[tuple[str, Output]]:
        from hardcut.media.duplicates import group_pairs
        from hardcut.media.meetings import HashTable, candidate_pairs, hashes_of
        from hardcut.media.recordings import same_recording

        @lru_cache(maxsize=256)
        def fingerprint(video_id: str) -> Fingerprint:
            found = records.get(Signature, video_id)
            if found is None:
                raise ItemError("input", f"{video_id} has no line in {Signature.FILE}")
            return _fingerprint(found)

        hashes = hashes_of(records.all(Signature))
        altered = HashTable(in_threads(_altered, records.all(Signature)))
        copies: defaultdict[str, list[Copy]] = defaultdict(list)
        for one, other in candidate_pairs(hashes, altered):
            changes = same_recording(fingerprint(one), fingerprint(other))
            if changes is not None:
                told = tuple(sorted(changes))
                copies[one].append(Copy(video_id=other, changes=told))
                copies[other].append(Copy(video_id=one, changes=told))
        group_of = group_pairs(
            (video_id, copy.video_id if "mirrored" not in copy.changes else video_id)
            for video_id, found in copies.items()
            for copy in found
        )
        sizes = Counter(group_of.values())
        for video in records.all(Video):
            group = group_of.get(video.video_id)
            made: list[Record] = []
            if group is not None:
                like = tuple(sorted(copies[video.video_id], key=lambda copy: copy.video_id))
                made.append(Group(video_id=video.video_id, group_id=group, size=sizes[group], copies=like))
            if self.options.near and video.video_id not in hashes:
                answer = could_not_look("it has no signature: the stage `signatures` failed for it")
                made.append(Unchecked.from_answer("near_duplicates", video.video_id, answer))
            yield video.video_id, Output(records=tuple(made))


def _altered(signature: Signature) -> tuple[str, NDArray[np.uint64]]:
    from hardcut.media.altered import altered_hashes

    return signature.video_id, altered_hashes(_fingerprint(signature).thumbnails)


def _fingerprint(signature: Signature) -> Fingerprint:
    from hardcut.media.duplicates import Fingerprint

    hashes = tuple(int(value, 16) for value in signature.hashes)
    return Fingerprint(signature.times, hashes, base64.b64decode(signature.sheet))
