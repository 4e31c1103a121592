"""Records of copies: by what a video is known again, and which videos show one recording."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, StringConstraints

from hardcut.schemas.base import Frozen, Record
from hardcut.schemas.records import Id, Seconds

Change = Literal["letterbox", "pillarbox", "crop", "mirrored", "logo", "subtitles", "speed"]
"""What was changed between two copies of one recording."""


class Signature(Record):
    """Small versions of some frames of a video, which are compared to find copies.

    `hashes` are pHashes in hex, one for each of `times`; `sheet` is a JPEG of their thumbnails in base64.
    """

    FILE: ClassVar[str] = "signatures.jsonl"
    ID: ClassVar[str] = "video_id"

    video_id: Id
    times: tuple[Seconds, ...] = Field(min_length=1)
    hashes: tuple[Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")], ...] = Field(min_length=1)
    sheet: str


class Copy(Frozen):
    """Another video of the same recording, and what was changed between the two."""

    video_id: Id
    changes: tuple[Change, ...] = ()


class Group(Record):
    """A video with near duplicates. A group has all copies of one recording that show it the same way round, and the
    id of the first of them; one with mirrored copies alone has a group to itself.

    `copies` are those that were compared with the video and found the same, mirrored ones too.
    """

    FILE: ClassVar[str] = "groups.jsonl"
    ID: ClassVar[str] = "video_id"

    video_id: Id
    group_id: Id
    size: int = Field(ge=1)
    copies: tuple[Copy, ...] = ()

    @property
    def mirrored(self) -> tuple[str, ...]:
        """Videos that show the recording with left and right exchanged. They answer other queries."""
        return tuple(copy.video_id for copy in self.copies if "mirrored" in copy.changes)
