"""Which split a video, a query and a pair belong to.

The rule, in full:

* **Videos** are split in groups: videos with the same content (sha256), copies of one recording (the near duplicates
  in a run's groups.jsonl) and videos of the same event (metadata field `event`) are one group and never straddle. A
  group's place is a hash of its own name and the seed, so videos that are added later move nobody, unless they join two
  groups.
* **Queries** follow the video they were written from. A user's query goes where most of its relevant videos are (in a
  tie to the most held-out of these splits); one without any, where its own hash falls. A rewritten query stays with
  its original.
* **Pairs** follow their query. Splits are ordered train < validation < test, and a split may use its own videos and
  those of the splits before it, never of those after it. So nothing that is held out is seen in training, while a
  held-out query keeps its hard negatives, most of which lie in the far larger train split; the video it was written
  from is held out with it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from hardcut.schemas.ids import digest
from hardcut.schemas.records import Query, Video
from hardcut.schemas.settings import ExportSettings

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")
_HELD_OUT = {split: place for place, split in enumerate(SPLITS)}


@dataclass(frozen=True, slots=True)
class QueryRef:
    """What of a query its split depends on."""

    source_video_id: str | None
    parent_query_id: str | None

    @classmethod
    def of(cls, query: Query) -> QueryRef:
        return cls(query.source_video_id, query.parent_query_id)


def may_use(split: Split, video_split: Split) -> bool:
    """Whether a split may hold a pair with a video of `video_split`."""
    return _HELD_OUT[video_split] <= _HELD_OUT[split]


def video_groups(videos: Iterable[Video], copies: Mapping[str, str]) -> dict[str, str]:
    """The group of each video: `{video_id: group name}`. Ids, digests and events are all that is kept in memory.

    `copies` are the groups of near duplicates, `{video_id: group_id}`. A group is named by its event (the first in
    order of text, where duplicates join several), else by its near duplicates, else by its content.
    """
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        while parent.setdefault(name, name) != name:
            parent[name] = name = parent[parent[name]]
        return name

    content_of: dict[str, str] = {}
    for video in videos:
        content_of[video.video_id] = content = f"sha256:{video.sha256}"
        event = video.metadata.get("event")
        here = root(content)
        if video.video_id in copies:
            there = root(f"recording:{copies[video.video_id]}")
            parent[max(here, there)] = here = min(here, there)
        if isinstance(event, str | int) and str(event).strip():
            there = root(f"event:{str(event).strip()}")
            # "event:" < "recording:" < "sha256:": the lesser root is the name that stays when content is added.
            parent[max(here, there)] = min(here, there)
    return {video_id: root(content) for video_id, content in content_of.items()}


def split_groups(groups: Iterable[str], settings: ExportSettings) -> dict[str, Split]:
    """The split of each group, by hash; every split with a share gets at least one group where there are enough.

    A split left empty by the hash takes, from the split that has most, the group whose hash lies nearest to its own.
    """
    shares = _shares(settings)
    places = {group: _place(group, settings.seed) for group in sorted(set(groups))}
    split_of = {group: _at(place, shares) for group, place in places.items()}
    for split, (low, high) in shares.items():
        sizes = Counter(split_of.values())
        largest = max(shares, key=lambda other: sizes[other])
        if sizes[split] == 0 and sizes[largest] > 1:
            middle = (low + high) / 2
            candidates = (group for group in places if split_of[group] == largest)
            split_of[min(candidates, key=lambda group: abs(places[group] - middle))] = split
    return split_of


def split_videos(
    videos: Iterable[Video], settings: ExportSettings, copies: Mapping[str, str] | None = None
) -> dict[str, Split]:
    """The split of each video: `{video_id: split}`."""
    groups = video_groups(videos, copies or {})
    split_of = split_groups(groups.values(), settings)
    return {video_id: split_of[group] for video_id, group in groups.items()}


def split_queries(
    queries: Mapping[str, QueryRef],
    relevant: Mapping[str, Iterable[str]],
    video_splits: Mapping[str, Split],
    settings: ExportSettings,
) -> dict[str, Split]:
    """The split of each query: `{query_id: split}`. `relevant` are the videos judged relevant to a user's query."""
    families: defaultdict[str, list[str]] = defaultdict(list)
    for query_id in queries:
        families[_original(query_id, queries)].append(query_id)
    found: dict[str, Split] = {}
    for original, members in families.items():
        source = queries[original].source_video_id
        split: Split
        if source is not None and source in video_splits:
            split = video_splits[source]
        else:
            videos = sorted({video for member in members for video in relevant.get(member, ())})
            votes = Counter(video_splits[video] for video in videos if video in video_splits)
            if votes:
                split = max(votes, key=lambda split: (votes[split], _HELD_OUT[split]))
            else:
                split = _at(_place(f"query:{original}", settings.seed), _shares(settings))
        found.update(dict.fromkeys(members, split))
    return found


def _original(query_id: str, queries: Mapping[str, QueryRef]) -> str:
    """The query that this one was first rewritten from. Parents are older, but a damaged file may hold a ring."""
    seen = {query_id}
    while True:
        parent = queries[query_id].parent_query_id
        if parent is None or parent not in queries or parent in seen:
            return query_id
        seen.add(parent)
        query_id = parent


def _place(name: str, seed: int) -> float:
    """A place in [0, 1), even over names and the same on every machine."""
    return int(digest(seed, name)[:13], 16) / 16**13


def _at(place: float, shares: Mapping[Split, tuple[float, float]]) -> Split:
    return next((split for split, (_, high) in shares.items() if place < high), list(shares)[-1])


def _shares(settings: ExportSettings) -> dict[Split, tuple[float, float]]:
    """The stretch of [0, 1) that belongs to each split, those without a share left out."""
    held_out = settings.train + settings.validation
    bounds: dict[Split, tuple[float, float]] = {
        "train": (0.0, settings.train),
        "validation": (settings.train, held_out),
        "test": (held_out, 1.0),
    }
    return {split: (low, high) for split, (low, high) in bounds.items() if high - low > 1e-9}
