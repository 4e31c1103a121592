"""Which split a video, a query and a pair belong to.

The rule, in full:

* **Videos** are split in groups that never straddle: the same content (sha256), the same event or source (the metadata
  fields of `group_by`), copies of one recording (the near duplicates in a run's groups.jsonl), and videos that queries
  of near duplicate text were written from.
* **Groups** are dealt out so that every split gets its share of the videos and of the queries of each kind (after the
  iterative stratification of Sechidis, Tsoumakas and Vlahavas, 2011): the largest first, a query of a
  rare kind weighing more, else in an order that hangs on a hash and the seed, each to the split that lacks most of
  what it brings.
* **A given split is kept**: of the field `split` in a video's metadata (`split_field`) or of a user's query, or of a
  file with ids of videos or queries. The rest of a group, and of a family of queries, follows the most held-out of its
  members. Given splits stand where they tear near duplicate queries apart: a query that leaks so into a later split is
  left out of its own, and told.
* **Queries** follow the video they were written from. A user's query goes where most of its relevant videos are (in a
  tie to the most held-out of these splits); one without any, where its own hash falls. Rewrites and near duplicates
  stay together, but for a query whose relevant videos all have given splits: that is its split, given with them.
* **Pairs** follow their query. Splits are ordered train < validation < test, and a split may use its own videos and
  those of the splits before it, never of those after it. So nothing that is held out is seen in training, while a
  held-out query keeps its hard negatives, most of which lie in the far larger train split; the video it was written
  from is held out with it.
"""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hardcut.publish._csv import csv_rows
from hardcut.publish.similar import DisjointSets, similar_pairs
from hardcut.schemas.errors import UsageError
from hardcut.schemas.ids import digest
from hardcut.schemas.jsonl import read_objects
from hardcut.schemas.records import Query, Split, Video
from hardcut.schemas.settings import ExportSettings

SPLITS: tuple[Split, ...] = ("train", "validation", "test")
_HELD_OUT = {split: place for place, split in enumerate(SPLITS)}
SPLIT_NAMES: dict[str, Split] = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "validate", "valid", "val", "dev"), "validation"),
    **dict.fromkeys(("test", "testing", "eval"), "test"),
}
"""What others call the splits."""
_PASSES = 10
_VIDEOS = ""
"""Stands among the kinds of queries for the videos themselves."""


@dataclass(frozen=True, slots=True)
class QueryRef:
    """What of a query its split depends on."""

    source_video_id: str | None
    parent_query_id: str | None
    kind: str = "event"
    text: str = ""
    external_id: str | None = None
    split: Split | None = None

    @classmethod
    def from_query(cls, query: Query) -> QueryRef:
        return cls(query.source_video_id, query.parent_query_id, query.kind, query.text, query.external_id, query.split)


@dataclass(frozen=True, slots=True)
class Splits:
    """Where everything goes: the group of each video, and the splits of videos and queries, by id. `leaks` are queries
    to be left out of their split, each with the like of it in a later one."""

    groups: Mapping[str, str]
    videos: Mapping[str, Split]
    queries: Mapping[str, Split]
    leaks: Mapping[str, str]


def may_use(split: Split, video_split: Split) -> bool:
    """Whether a split may hold a pair with a video of `video_split`."""
    return _HELD_OUT[video_split] <= _HELD_OUT[split]


def plan_splits(
    videos: Iterable[Video],
    queries: Mapping[str, QueryRef],
    relevant: Mapping[str, Iterable[str]],
    settings: ExportSettings,
    extra_links: Iterable[tuple[str, str]] = (),
) -> Splits:
    """The split of every video and query. `relevant`: the videos judged relevant to a user's query; `extra_links`:
    pairs of ids of near duplicate videos.

    Raises UsageError where a given split cannot be read, or names something that is not there.
    """
    kept = list(videos)
    families = _families(queries, settings.near_text)
    groups = video_groups(kept, settings.group_by, [*extra_links, *_same_sources(families, queries)])
    given = _given(kept, queries, settings)
    video_splits = split_videos(groups, queries, given, settings)
    given |= _given_with_videos(queries, relevant, given)
    query_splits = _split_queries(families, queries, relevant, video_splits, given, settings)
    return Splits(groups, video_splits, query_splits, _leaks(families, queries, query_splits, settings.near_text))


def video_groups(
    videos: Iterable[Video], fields: Sequence[str] = ("event",), extra_links: Iterable[tuple[str, str]] = ()
) -> dict[str, str]:
    """The group of each video: `{video_id: group name}`. Ids, digests and the fields' values are all that is kept.

    A group is named by what joins it (the first in order of text: an event before a digest), else by its content.
    """
    joined = DisjointSets()
    content_of: dict[str, str] = {}
    for video in videos:
        content_of[video.video_id] = content = f"sha256:{video.sha256}"
        for field in fields:
            given = video.metadata.get(field)
            for value in given if isinstance(given, list) else (given,):
                if isinstance(value, str | int) and str(value).strip():
                    joined.join(content, f"{field}:{str(value).strip()}")
    for first, second in extra_links:
        if first in content_of and second in content_of:
            joined.join(content_of[first], content_of[second])
    return {video_id: joined.root(content) for video_id, content in content_of.items()}


def near_duplicates(members: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Links for `extra_links` out of (group, video id): each video with the first of its group."""
    firsts: dict[str, str] = {}
    for group, video_id in members:
        first = firsts.setdefault(group, video_id)
        if first != video_id:
            yield first, video_id


def split_videos(
    groups: Mapping[str, str], queries: Mapping[str, QueryRef], given: Mapping[str, Split], settings: ExportSettings
) -> dict[str, Split]:
    """The split of each video. `given` (by video id) is kept as it is."""
    weights: defaultdict[str, Counter[str]] = defaultdict(Counter)
    fixed: dict[str, Split] = {}
    for video_id, group in groups.items():
        weights[group][_VIDEOS] += 1
        if video_id in given:
            fixed[group] = max(given[video_id], fixed.get(group, "train"), key=lambda split: _HELD_OUT[split])
    for ref in queries.values():
        if ref.source_video_id is not None and ref.source_video_id in groups:
            weights[groups[ref.source_video_id]][ref.kind] += 1
    split_of = split_groups(weights, fixed, settings)
    return {video_id: given.get(video_id, split_of[group]) for video_id, group in groups.items()}


def split_groups(
    weights: Mapping[str, Mapping[str, int]], fixed: Mapping[str, Split], settings: ExportSettings
) -> dict[str, Split]:
    """The split of each group. `weights`: how many it holds of each kind, `""` for videos; `fixed` groups stay.

    Every split with a share gets at least one group where there are enough.
    """
    shares = split_shares(settings)
    totals: Counter[str] = Counter()
    for counts in weights.values():
        totals.update(counts)
    wanted = {split: {kind: share * totals[kind] for kind in totals} for split, share in shares.items()}
    split_of = {group: split for group, split in fixed.items() if group in weights}

    def settle(group: str, split: Split) -> None:
        split_of[group] = split
        for kind, count in weights[group].items():
            if split in wanted:
                wanted[split][kind] -= count

    for group, split in sorted(split_of.items()):
        settle(group, split)
    order = sorted(weights, key=lambda group: hashed_place(group, settings.seed))
    waiting = [group for group in order if group not in split_of]
    for group in sorted(waiting, key=lambda group: -sum(n / totals[kind] for kind, n in weights[group].items())):
        settle(group, max(shares, key=lambda split: _need(wanted[split], weights[group], totals)))
    _even_out(split_of, weights, wanted, totals, [group for group in order if group not in fixed])
    for split in shares:
        sizes = Counter(split_of.values())
        largest = max(shares, key=lambda other: sizes[other])
        if sizes[split] == 0 and sizes[largest] > 1:
            movable = [group for group in order if split_of[group] == largest and group not in fixed]
            if movable:
                split_of[min(movable, key=lambda group: weights[group].get(_VIDEOS, 0))] = split
    return split_of


def _need(wanted: Mapping[str, float], group: Mapping[str, int], totals: Mapping[str, int]) -> float:
    """How much a split lacks of what a group brings: the fall of the squared error, each kind by its own total."""
    return sum(count * wanted[kind] / totals[kind] ** 2 for kind, count in group.items())


def _even_out(
    split_of: dict[str, Split],
    weights: Mapping[str, Mapping[str, int]],
    wanted: Mapping[Split, dict[str, float]],
    totals: Mapping[str, int],
    movable: Sequence[str],
) -> None:
    """Moves groups while that lowers the squared error, at most a few times through all of them."""
    for _ in range(_PASSES):
        moved = False
        for group in movable:
            here, counts = split_of[group], weights[group]
            cost = sum(count**2 / totals[kind] ** 2 for kind, count in counts.items())
            there = max(wanted, key=lambda split: _need(wanted[split], counts, totals))
            if _need(wanted[there], counts, totals) - _need(wanted[here], counts, totals) > cost + 1e-12:
                for kind, count in counts.items():
                    wanted[here][kind] += count
                    wanted[there][kind] -= count
                split_of[group], moved = there, True
        if not moved:
            return


def read_splits(path: Path) -> dict[str, Split]:
    """Splits by id of video or query: a .jsonl, or a .csv or .tsv with a header, with `id` and `split`.

    Raises UsageError naming file and line: another split than train, validation and test (or val, dev, ...), an id
    given twice.
    """
    found: dict[str, Split] = {}
    for line, row in _rows(path):
        id, split = row.get("id"), row.get("split")
        if id in (None, "") or isinstance(id, bool) or not isinstance(id, str | int):
            raise UsageError(f"{path}, line {line}: no id: a split file has the columns `id` and `split`")
        if str(id) in found:
            raise UsageError(f"{path}, line {line}: {id} has a split already: remove one of the lines")
        found[str(id)] = _split(split, f"{path}, line {line}")
    return found


def _rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    if path.suffix.lower() == ".jsonl":
        yield from read_objects(path)
        return
    if path.suffix.lower() not in (".csv", ".tsv"):
        raise UsageError(f"{path}: splits come as .csv, .tsv or .jsonl")
    delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
    yield from csv_rows(path, lambda file: csv.DictReader(file, delimiter=delimiter))


def _split(value: object, where: str) -> Split:
    name = value.strip().casefold() if isinstance(value, str) else ""
    if name not in SPLIT_NAMES:
        raise UsageError(f"{where}: {value!r} is no split: train, validation or test")
    return SPLIT_NAMES[name]


def _given(videos: Sequence[Video], queries: Mapping[str, QueryRef], settings: ExportSettings) -> dict[str, Split]:
    """The splits that the user gave, by our ids; a file outranks what videos and queries say."""
    field = settings.split_field
    found = {
        video.video_id: _of_field(video.metadata[field], video.video_id, field)
        for video in videos
        if video.metadata.get(field) not in (None, "")
    }
    found |= {id: ref.split for id, ref in queries.items() if ref.split is not None}
    if settings.splits is None:
        return found
    known = {ref.external_id: query_id for query_id, ref in queries.items() if ref.external_id is not None}
    known.update({id: id for id in [*queries, *(video.video_id for video in videos)]})
    listed = read_splits(Path(settings.splits))
    unknown = sorted(id for id in listed if id not in known)
    if len(unknown) == len(listed):
        raise UsageError(f"{settings.splits}: none of its ids is a video or a query of the run, such as {unknown[:3]}")
    return {**found, **{known[id]: split for id, split in listed.items() if id in known}}


def _of_field(value: object, video_id: str, field: str) -> Split:
    try:
        return _split(value, f"video {video_id}, metadata field {field!r}")
    except UsageError as error:
        raise UsageError(f"{error}; where the field says something else, name another in export.split_field") from error


def _families(queries: Mapping[str, QueryRef], threshold: float) -> dict[str, list[str]]:
    """Queries that stay together, by a name that does not change when others come: rewrites, near duplicate texts."""
    joined = DisjointSets()
    for query_id, ref in queries.items():
        if ref.parent_query_id is not None and ref.parent_query_id in queries:
            joined.join(query_id, ref.parent_query_id)
    for first, second in similar_pairs({id: ref.text for id, ref in queries.items() if ref.text}, threshold):
        joined.join(first, second)
    families: defaultdict[str, list[str]] = defaultdict(list)
    for query_id in sorted(queries):
        families[joined.root(query_id)].append(query_id)
    return dict(families)


def _same_sources(families: Mapping[str, list[str]], queries: Mapping[str, QueryRef]) -> Iterator[tuple[str, str]]:
    for members in families.values():
        sources = [source for id in members if (source := queries[id].source_video_id) is not None]
        yield from ((sources[0], other) for other in sources[1:])


def _split_queries(
    families: Mapping[str, list[str]],
    queries: Mapping[str, QueryRef],
    relevant: Mapping[str, Iterable[str]],
    video_splits: Mapping[str, Split],
    given: Mapping[str, Split],
    settings: ExportSettings,
) -> dict[str, Split]:
    found: dict[str, Split] = {}
    for family, members in families.items():
        sources = {id: queries[id].source_video_id or "" for id in members}
        own = {id: video_splits[source] for id, source in sources.items() if source in video_splits}
        kept = {id: given[id] for id in members if id in given}
        votes = Counter(own.values())
        if not votes:
            videos = sorted({video for id in members for video in relevant.get(id, ())})
            votes = Counter(video_splits[video] for video in videos if video in video_splits)
        held_out = max(kept.values(), key=lambda split: _HELD_OUT[split], default=None)
        voted = _most(votes) if votes else None
        split = held_out or voted or _at(hashed_place(f"query:{family}", settings.seed), _shares(settings))
        # Where given splits tear a family apart, each query stays with its own video.
        found.update({**dict.fromkeys(members, split), **own, **kept})
    return found


def _given_with_videos(
    queries: Mapping[str, QueryRef], relevant: Mapping[str, Iterable[str]], given: Mapping[str, Split]
) -> dict[str, Split]:
    """The splits of users' queries whose relevant videos all have given ones: that of most of these."""
    found: dict[str, Split] = {}
    for id, ref in queries.items():
        videos = [given.get(video) for video in relevant.get(id, ())] if ref.source_video_id is None else []
        official = Counter(split for split in videos if split is not None)
        if official and official.total() == len(videos) and id not in given:
            found[id] = _most(official)
    return found


def _most(votes: Mapping[Split, int]) -> Split:
    """The split with the most votes, in a tie the most held-out of these."""
    return max(votes, key=lambda split: (votes[split], _HELD_OUT[split]))


def _leaks(
    families: Mapping[str, list[str]], queries: Mapping[str, QueryRef], splits: Mapping[str, Split], threshold: float
) -> dict[str, str]:
    """Queries with a near duplicate in a later split, and rewrites of such queries, each with that other query."""
    found: dict[str, str] = {}
    for members in families.values():
        if len({splits[id] for id in members}) < 2:
            continue
        texts = {id: queries[id].text for id in members if queries[id].text}
        while straddling := _straddling(texts, splits, threshold):
            found.update(straddling)
            for id in straddling:
                del texts[id]
        for id in members:
            parent = queries[id].parent_query_id
            if parent is not None and parent in found and splits[id] == splits[parent]:
                found.setdefault(id, found[parent])
    return found


def _straddling(texts: Mapping[str, str], splits: Mapping[str, Split], threshold: float) -> dict[str, str]:
    """Of the pairs that link near duplicates in two splits, the query of the earlier one, with the other."""
    found = {}
    for pair in similar_pairs(texts, threshold):
        earlier, later = sorted(pair, key=lambda id: _HELD_OUT[splits[id]])
        if splits[earlier] != splits[later]:
            found[earlier] = later
    return found


def split_shares(settings: ExportSettings) -> dict[Split, float]:
    """The share of the videos that each split is to have; those without one left out."""
    return {split: high - low for split, (low, high) in _shares(settings).items()}


def hashed_place(name: str, seed: int) -> float:
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
