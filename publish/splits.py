"""Which split a video, a query and a pair belong to.

The rule, in full:

* **Videos** are split in groups that never straddle: the same content (sha256), the same event or source (the metadata
  fields of `group_by`), copies of one recording (the near duplicates in a run's groups.jsonl), and videos that queries
  of near duplicate text were written from or, where vectors are given (`--vectors`), of near meaning.
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
* **An earlier version's splits are inherited** (`inherited.py`): its videos, by content or id, and its queries stay
  where they were. What cannot stay is left out of every split, for a model of the version before may have seen it.
* **Pairs** follow their query. Splits are ordered train < validation < test, and a split may use its own videos and
  those of the splits before it, never of those after it. So nothing that is held out is seen in training, while a
  held-out query keeps its hard negatives, most of which lie in the far larger train split; the video it was written
  from is held out with it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from hardcut.publish.given_splits import QueryRef, given_splits
from hardcut.publish.inherited import FIRST, Earlier, followed, latest, parted
from hardcut.publish.same_meaning import Meanings
from hardcut.publish.similar import DisjointSets, similar_pairs
from hardcut.schemas.dataset_settings import ExportSettings
from hardcut.schemas.ids import digest
from hardcut.schemas.records import Split, Video

SPLITS: tuple[Split, ...] = ("train", "validation", "test")
_HELD_OUT = {split: place for place, split in enumerate(SPLITS)}
_PASSES = 10
_VIDEOS = ""
"""Stands among the kinds of queries for the videos themselves."""


@dataclass(frozen=True, slots=True)
class Splits:
    """Where everything goes: the group of each video, and the splits of videos and queries, by id. `leaks` are queries
    to be left out of their split, each with the like of it in a later one. `moved` are videos and queries that cannot
    stay in the split that they had in an earlier version, each with the reason: they are left out of all."""

    groups: Mapping[str, str]
    videos: Mapping[str, Split]
    queries: Mapping[str, Split]
    leaks: Mapping[str, str]
    moved: Mapping[str, str] = field(default_factory=dict)


def may_use(split: Split, video_split: Split) -> bool:
    """Whether a split may hold a pair with a video of `video_split`."""
    return _HELD_OUT[video_split] <= _HELD_OUT[split]


def plan_splits(
    videos: Iterable[Video],
    queries: Mapping[str, QueryRef],
    relevant: Mapping[str, Iterable[str]],
    settings: ExportSettings,
    extra_links: Iterable[tuple[str, str]] = (),
    earlier: Earlier = FIRST,
    meanings: Meanings | None = None,
) -> Splits:
    """The split of every video and query. `relevant`: the videos judged relevant to a user's query; `extra_links`:
    pairs of ids of near duplicate videos; `earlier`: the splits of the version before; `meanings`: which queries mean
    the same, where vectors of them are given.

    Raises UsageError where a given split cannot be read, or names something that is not there.
    """
    kept, links = list(videos), list(extra_links)
    families = _families(queries, settings.near_text, meanings)
    groups = video_groups(kept, settings.group_by, [*links, *_same_sources(families, queries)])
    given = given_splits(kept, queries, settings)
    before = earlier.splits_of(kept, queries)
    alike = video_groups(kept, settings.group_by, links)
    moved = parted(before, given, alike)
    given = before | given | {id: latest(before[id], given[id]) for id in before.keys() & given.keys()}
    given |= followed(given, alike)
    video_splits = split_videos(groups, queries, given, settings)
    for id, ref in queries.items():
        source = ref.source_video_id
        if source is not None and source in moved:
            moved.setdefault(id, f"written from {source}: {moved[source]}")
        elif source in video_splits and before.get(id, video_splits[source]) != video_splits[source]:
            moved.setdefault(id, f"it was in {before[id]}, and its video {source} is in {video_splits[source]}")
    given |= _given_with_videos(queries, relevant, given)
    query_splits = _split_queries(families, queries, relevant, video_splits, given, settings)
    leaks = _leaks(families, queries, query_splits, settings.near_text)
    if meanings is not None:
        leaks |= _leaks_by_meaning(meanings, queries, query_splits, leaks)
    return Splits(groups, video_splits, query_splits, leaks, moved)


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
        for name in fields:
            given = video.metadata.get(name)
            for value in given if isinstance(given, list) else (given,):
                if isinstance(value, str | int) and str(value).strip():
                    joined.join(content, f"{name}:{str(value).strip()}")
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
            fixed[group] = latest(given[video_id], fixed.get(group, "train"))
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


def _families(queries: Mapping[str, QueryRef], threshold: float, meanings: Meanings | None) -> dict[str, list[str]]:
    """Queries that stay together, by a name that does not change when others come: rewrites, near duplicate texts, and
    those that mean the same."""
    joined = DisjointSets()
    for query_id, ref in queries.items():
        if ref.parent_query_id is not None and ref.parent_query_id in queries:
            joined.join(query_id, ref.parent_query_id)
    for first, second in similar_pairs({id: ref.text for id, ref in queries.items() if ref.text}, threshold):
        joined.join(first, second)
    for first, second in meanings.links() if meanings is not None else ():
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
        _with_rewrites(found, members, queries, splits)
    return found


def _leaks_by_meaning(
    meanings: Meanings, queries: Mapping[str, QueryRef], splits: Mapping[str, Split], known: Mapping[str, str]
) -> dict[str, str]:
    """Queries that mean the same as one of a later split, and rewrites of such queries, each with that other query.
    One that is left out itself keeps none out."""
    found: dict[str, str] = {}
    by_place = sorted(
        (sorted((first, second), key=lambda id: _HELD_OUT[splits[id]]) for first, second, _ in
         meanings.pairs([splits[id] for id in meanings.ids])),
        key=lambda pair: -_HELD_OUT[splits[pair[0]]],
    )  # fmt: skip
    for earlier, later in by_place:
        if later not in known and later not in found:
            found.setdefault(earlier, later)
    _with_rewrites(found, list(queries), queries, splits)
    return {id: other for id, other in found.items() if id not in known}


def _with_rewrites(
    found: dict[str, str], members: Iterable[str], queries: Mapping[str, QueryRef], splits: Mapping[str, Split]
) -> None:
    """Adds the rewrites, in the same split, of the queries found."""
    for id in members:
        parent = queries[id].parent_query_id
        if parent is not None and parent in found and splits[id] == splits[parent]:
            found.setdefault(id, found[parent])


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
