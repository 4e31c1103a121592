"""What the choice of candidates goes by: the videos, which of them are copies or twins, and their words."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Self

from hardcut.engine.stage import Reader
from hardcut.schemas.copies import Group
from hardcut.schemas.records import Caption, Evidence, Video
from hardcut.schemas.text.clean import tokens
from hardcut.schemas.twin import Twin

SILENT_KINDS = frozenset({"shot"})
"""Evidence that says nothing of a video's content and is left out of its document."""


class VideoIdentity(NamedTuple):
    """What a video is, apart from its name: the digest of its file, and the group of its near duplicates."""

    sha256: str
    group_id: str | None


class TwinLink(NamedTuple):
    """A twin of a video."""

    relation: str
    video_id: str


@dataclass(frozen=True, slots=True)
class CollectionIndex:
    """The collection as ids."""

    videos: Mapping[str, VideoIdentity]
    _alike: Mapping[str, frozenset[str]]
    """Videos by the digest of their file and by their group."""
    _twins: Mapping[str, tuple[TwinLink, ...]]

    @classmethod
    def from_records(cls, records: Reader) -> Self:
        groups = {record.video_id: record.group_id for record in records.all(Group)}
        videos = {v.video_id: VideoIdentity(v.sha256, groups.get(v.video_id)) for v in records.all(Video)}
        alike: defaultdict[str, set[str]] = defaultdict(set)
        for video_id, content in videos.items():
            for name in _names(content):
                alike[name].add(video_id)
        twins: defaultdict[str, list[TwinLink]] = defaultdict(list)
        for twin in records.all(Twin):
            if twin.other_video_id in videos:
                twins[twin.video_id].append(TwinLink(twin.relation, twin.other_video_id))
        several = {name: frozenset(ids) for name, ids in alike.items() if len(ids) > 1}
        return cls(videos, several, {video_id: tuple(sorted(found)) for video_id, found in twins.items()})

    def copies(self, video_id: str | None) -> set[str]:
        """A video with its copies, exact and near; nothing for none. A twin is no copy, however near."""
        if video_id is None or video_id not in self.videos:
            return set()
        alike = {video_id}.union(*(self._alike.get(name, ()) for name in _names(self.videos[video_id])))
        return alike.difference(twin.video_id for twin in self._twins.get(video_id, ()))

    def copy_of(self, video_id: str, other_id: str) -> str | None:
        """Says in words how one is the other's copy; None where it is none."""
        here, there = self.videos[video_id], self.videos[other_id]
        if here.sha256 == there.sha256:
            return "the same file content as"
        if here.group_id is not None and here.group_id == there.group_id:
            return "the same recording as"
        return None

    def twins(self, video_id: str, most: int) -> list[TwinLink]:
        """At most `most` twins of each relation, by id."""
        found = self._twins.get(video_id, ())
        return [twin for name in ("chiral", "edit") for twin in [t for t in found if t.relation == name][:most]]

    def documents(self, records: Reader) -> Iterator[tuple[str, list[str]]]:
        """One document a video, sorted by id: the words of its evidence and caption."""
        words: dict[str, str] = {}  # held once for all videos
        documents: defaultdict[str, list[str]] = defaultdict(list)
        kinds: tuple[type[Evidence] | type[Caption], ...] = (Evidence, Caption)
        for kind in kinds:
            for record in records.all(kind):
                if not (isinstance(record, Evidence) and record.kind in SILENT_KINDS):
                    documents[record.video_id] += [words.setdefault(word, word) for word in tokens(record.text)]
        for video_id in sorted(self.videos):
            yield video_id, documents.pop(video_id, [])


def _names(content: VideoIdentity) -> Iterator[str]:
    yield f"file {content.sha256}"
    if content.group_id is not None:
        yield f"group {content.group_id}"
