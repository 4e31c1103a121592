"""The splits of the version before: what a dataset that grows keeps, and what it can keep in no split."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import get_args

from hardcut.schemas.ids import digest
from hardcut.schemas.records import Split, Video

_ORDER: tuple[Split, ...] = get_args(Split)


@dataclass(frozen=True, slots=True)
class Earlier:
    """Where videos and queries were in earlier versions: by their ids, and videos by their content (sha256) too, so
    that a file that was renamed keeps its split."""

    videos: Mapping[str, Split] = field(default_factory=dict)
    queries: Mapping[str, Split] = field(default_factory=dict)
    contents: Mapping[str, Split] = field(default_factory=dict)

    def splits_of(self, videos: Iterable[Video], queries: Iterable[str]) -> dict[str, Split]:
        """The split that each of these had, by id; what is new is not in it."""
        found = {id: self.queries[id] for id in queries if id in self.queries}
        for video in videos:
            id = video.video_id
            split = self.contents.get(video.sha256) or self.videos.get(id) or self.videos.get(digest(id))
            if split is not None:
                found[video.video_id] = split
        return found

    def unnamed(self, videos: Collection[str]) -> Earlier:
        """The same, with the digests of these videos' ids in the place of the ids."""
        return replace(self, videos={digest(id) if id in videos else id: split for id, split in self.videos.items()})


FIRST = Earlier()
"""What the first version of a dataset has before it: nothing."""


def latest(first: Split, second: Split) -> Split:
    """The more held-out of two splits."""
    return max(first, second, key=_ORDER.index)


def parted(before: Mapping[str, Split], given: Mapping[str, Split], groups: Mapping[str, str]) -> dict[str, str]:
    """What can stay in no split, by id of video or query, each with the reason.

    It had one split (`before`) and is given another; or it shares a group of `groups` (content, event, source, copies)
    with a video that is held out for a later split than its own. To stay would be a leak. To move would put what
    models were measured on into training, or what they were trained on into their evaluation.
    """
    found = {
        id: f"it was in {before[id]} and is given {given[id]}"
        for id in before.keys() & given.keys()
        if before[id] != given[id]
    }
    claims: defaultdict[str, list[tuple[int, str]]] = defaultdict(list)
    for video_id, group in groups.items():
        for split in {before.get(video_id), given.get(video_id)} - {None}:
            claims[group].append((_ORDER.index(split), video_id))
    for members in claims.values():
        place = max(place for place, _ in members)  # not who: flags may withhold it, and then no file names it
        for own, video_id in members:
            if own < place and video_id in before and video_id not in found:
                found[video_id] = f"it was in {before[video_id]} and is of one group with a video of {_ORDER[place]}"
    return found


def followed(given: Mapping[str, Split], groups: Mapping[str, str]) -> dict[str, Split]:
    """The splits of the videos without one whose group of `groups` has one: the most held-out of its members. So what
    joins videos by their wording alone does not tear them from what they share content or an event with."""
    of_group: dict[str, Split] = {}
    for video_id, group in groups.items():
        if video_id in given:
            of_group[group] = latest(given[video_id], of_group.get(group, given[video_id]))
    return {id: of_group[group] for id, group in groups.items() if id not in given and group in of_group}
