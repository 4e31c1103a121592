"""Stage twins: videos that tell the same in another order or direction, or that differ in one thing.

Scalable: only videos that share a key are compared. The keys of a video are digests of all that it tells, without order
and direction, and of all but one thing of it (so that a slip of an extractor, or the one thing that differs, does not
part them), and parts of the perceptual hashes of its frames. A key that a crowd shares brings nobody together.
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import lru_cache
from hashlib import blake2b
from heapq import merge
from itertools import combinations, groupby, repeat
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

from pydantic import JsonValue

from hardcut.engine.stage import Output, Reader
from hardcut.schemas.base import Record
from hardcut.schemas.copies import Group, Signature
from hardcut.schemas.records import Caption, Evidence, Video
from hardcut.schemas.text.words import COLOURS
from hardcut.schemas.twin import Difference, Twin
from hardcut.synth.candidates.video_events import VideoEvent, claimed_events, is_specific, observed_events

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_APART_S = 0.4
"""Two things follow each other where one begins this much later; frames are read twice a second or oftener."""
_SIMILAR = 0.85
"""Texts this alike are one text, read twice (`difflib`, share of letters in common); figures must be the same."""


@dataclass(frozen=True, slots=True)
class TwinStage:
    """Makes the Twins of every video, a record for each direction; its units are the videos.

    *Chiral*: everything that one of two videos surely tells the other tells too, and at least one direction is reversed
    or two things change places. *Edit*: all but one thing of the same kind, in the same order and direction. In both
    cases the videos must look alike (by perceptual hashes, order aside, or mirrored), or what they share must be
    specific. Copies of each other are no twins; near duplicates are not copies where texts change places between them.
    Memory holds the keys of the videos, their hashes and what twins were found.
    """

    kind: ClassVar[Literal["collection"]] = "collection"
    name: ClassVar[str] = "twins"
    version: ClassVar[int] = 4
    reads: ClassVar[tuple[type[Record], ...]] = (Video, Signature, Group, Evidence, Caption)
    makes: ClassVar[tuple[type[Record], ...]] = (Twin,)
    settings: ClassVar[Mapping[str, JsonValue]] = {}

    def run(self, records: Reader) -> Iterable[tuple[str, Output]]:
        from hardcut.media.meetings import hashes_of, look_alike

        groups: dict[str, str] = {}
        mirrored: set[tuple[str, str]] = set()
        for group in records.all(Group):
            groups[group.video_id] = group.group_id
            mirrored.update((group.video_id, other) for other in group.mirrored if group.video_id < other)
        hashes = hashes_of(records.all(Signature))

        @lru_cache(maxsize=1024)
        def telling_of(video_id: str) -> VideoTelling:
            return _telling(records, video_id, groups.get(video_id))

        found: defaultdict[str, list[tuple[str, TwinRelation]]] = defaultdict(list)
        for here, there in _meetings(records, telling_of, hashes, sorted(mirrored)):
            one, other = telling_of(here), telling_of(there)
            alike = look_alike(hashes[here], hashes[there]) if here in hashes and there in hashes else None
            alike = alike or (here, there) in mirrored
            relation = None if one.sha256 == other.sha256 else twin_relation(one, other, alike)
            if relation is not None:
                found[here].append((there, relation))
                found[there].append((here, relation.back()))
        for video in records.all(Video):
            twins = [
                Twin.create(
                    video_id=video.video_id,
                    other_video_id=other,
                    relation=relation.name,
                    caption=caption.text,
                    differences=[Difference(here=each.here, there=each.there) for each in relation.differences],
                )
                for other, relation in found[video.video_id]
                for caption in records.about(Caption, other)[:1]
            ]
            yield video.video_id, Output(records=twins)


class VideoTelling(NamedTuple):
    """What twins are found by: what was seen, read and heard in a video, and what its caption claims."""

    video_id: str
    sha256: str
    group_id: str | None
    observed: tuple[VideoEvent, ...]
    claimed: tuple[VideoEvent, ...]

    @property
    def texts(self) -> tuple[VideoEvent, ...]:
        """What was read and said."""
        return tuple(item for item in self.observed if item.kind != "motion")


class Apart(NamedTuple):
    """The texts of one difference; a `Difference` that takes a third of the memory."""

    here: str
    there: str


class TwinRelation(NamedTuple):
    """How a video is related to another, and what differs between them."""

    name: Literal["chiral", "edit"]
    differences: tuple[Apart, ...]

    def back(self) -> TwinRelation:
        """As the other video sees it."""
        return TwinRelation(self.name, tuple(Apart(each.there, each.here) for each in self.differences))


def twin_relation(one: VideoTelling, other: VideoTelling, look_alike: bool | None) -> TwinRelation | None:
    """What two videos are to each other, by what was seen in them or else by what their captions claim; None: no twins.

    `look_alike` is None where it is not known; then what they share must be specific.
    """
    if one.group_id is not None and one.group_id == other.group_id:
        # Pictures alone took them for one recording; a sign that counts up is small in a picture, and not in a copy.
        found = _compared(one.texts, other.texts, look_alike)
        return found if found is not None and found.name == "chiral" else None
    by_sight = _compared(one.observed, other.observed, look_alike)
    if by_sight is not None or not one.claimed or not other.claimed:
        return by_sight
    at_odds = _unmatched(one.observed, other.observed) + _unmatched(other.observed, one.observed)
    by_word = _compared(one.claimed, other.claimed, look_alike)
    if by_word is not None and by_word.name == "chiral" and any(item.kind != "motion" for item in at_odds):
        return None  # what was read or said tells them apart as well
    return by_word


def _compared(one: Sequence[VideoEvent], other: Sequence[VideoEvent], look_alike: bool | None) -> TwinRelation | None:
    here, there = _unmatched(one, other), _unmatched(other, one)
    pairs = [(item, match) for item in one if (match := _match(item, other)) is not None]
    if not (look_alike or is_specific(item for item, _ in pairs)):
        return None
    turned = list(_turned(pairs, other)) or list(_swapped(pairs))
    if not here and not there:
        return TwinRelation("chiral", tuple(turned)) if turned else None
    if turned or not len(here) == len(there) == 1 or not _replaced(here[0], there[0]):
        return None
    return TwinRelation("edit", (Apart(here[0].text, there[0].text),))


def _replaced(one: VideoEvent, other: VideoEvent) -> bool:
    """Whether one thing stands where the other does: of its kind and going its way; of what moves, other
    colours, and such as a viewer would tell apart. What is orange here and black and orange there may be one thing,
    seen twice."""
    here, there = set(one.key.split()), set(other.key.split())
    same_but_for_colours = here - COLOURS == there - COLOURS
    if one.kind == "motion" and not same_but_for_colours:
        return False
    plain = one.plain_colour and other.plain_colour and not here & there & COLOURS
    if one.kind in ("motion", "claim") and same_but_for_colours and not plain:
        return False
    return one.kind == other.kind and one.ways == other.ways


def _turned(pairs: Sequence[tuple[VideoEvent, VideoEvent]], other: Sequence[VideoEvent]) -> Iterator[Apart]:
    """What surely goes the other way in both. What goes both ways in one of them says nothing."""
    ways: defaultdict[str, set[tuple[int, ...]]] = defaultdict(set)
    for item, match in pairs:
        ways[item.key].add(item.ways)
        ways[f"other {match.key}"].update(each.ways for each in other if each.key == match.key)
    if not any(item.sure and match.sure and item.ways != match.ways for item, match in pairs):
        return
    told = set()
    for item, match in pairs:
        if item.key not in told and ways[item.key].isdisjoint(ways[f"other {match.key}"]):
            told.add(item.key)
            yield Apart(item.text, match.text)


def _swapped(pairs: Sequence[tuple[VideoEvent, VideoEvent]]) -> Iterator[Apart]:
    """Things that surely change places in time, each told of once."""
    sure = [(item, match) for item, match in pairs if item.sure and match.sure]
    once = [pair for pair in sure if sum(pair[0].key == item.key for item, _ in sure) == 1]
    told: set[str] = set()
    for (first, first_match), (second, second_match) in combinations(once, 2):
        if second.start - first.start >= _APART_S and first_match.start - second_match.start >= _APART_S:
            if not told.isdisjoint((first.key, second.key)):
                continue
            told.update((first.key, second.key))
            yield Apart(f"{first.text}, then {second.text}", f"{second.text}, then {first.text}")


def _unmatched(items: Sequence[VideoEvent], others: Sequence[VideoEvent]) -> list[VideoEvent]:
    return [item for item in items if item.sure and _match(item, others) is None]


def _match(item: VideoEvent, others: Sequence[VideoEvent]) -> VideoEvent | None:
    """The item of the same thing; of several the one that goes the same way, if any does."""
    alike = [other for other in others if other.kind == item.kind]
    same = [other for other in alike if other.key == item.key] or [o for o in alike if _read_twice(item.key, o.key)]
    return next((other for other in same if other.ways == item.ways), same[0] if same else None)


@lru_cache(maxsize=65536)
def _read_twice(one: str, other: str) -> bool:
    """Whether two texts are one, with a slip of the reader."""
    if min(len(one), len(other)) < 5 or _figures(one) != _figures(other) or "±" in one or "±" in other:
        return False
    alike = SequenceMatcher(None, one, other, autojunk=False)
    return alike.real_quick_ratio() >= _SIMILAR and alike.quick_ratio() >= _SIMILAR and alike.ratio() >= _SIMILAR


def _figures(text: str) -> list[str]:
    return [letter for letter in text if letter.isdigit()]


def _meetings(
    records: Reader,
    telling_of: Callable[[str], VideoTelling],
    hashes: Mapping[str, NDArray[np.uint64]],
    mirrored: Iterable[tuple[str, str]],
) -> Iterator[tuple[str, str]]:
    """Pairs of videos worth a closer look, each once, in order of ids."""
    from hardcut.media.meetings import candidate_pairs, pairs_with_shared_key

    ids: list[str] = []
    keys, owners = array("Q"), array("I")
    for place, video in enumerate(records.all(Video)):
        ids.append(video.video_id)
        found = _keys(telling_of(video.video_id))
        keys.extend(found)
        owners.extend(repeat(place, len(found)))
    by_word = ((ids[here], ids[there]) for here, there in pairs_with_shared_key(keys, owners))
    for pair, _ in groupby(merge(by_word, candidate_pairs(hashes), mirrored)):
        yield pair


def _keys(video: VideoTelling) -> set[int]:
    """Digests of all that is surely told of a video, and of all of it but one thing."""
    found: set[int] = set()
    for items in (video.observed, video.claimed):
        whole = frozenset((item.kind, item.key) for item in items if item.sure)
        found.update(_digest(part) for part in (whole, *(whole - {item} for item in whole)) if part)
    return found


def _digest(items: Iterable[tuple[str, str]]) -> int:
    text = "\n".join(f"{kind} {key}" for kind, key in sorted(items))
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")


def _telling(records: Reader, video_id: str, group_id: str | None) -> VideoTelling:
    video = records.get(Video, video_id)
    lines = records.about(Evidence, video_id)
    written = next(iter(records.about(Caption, video_id)), None)
    sha256 = video.sha256 if video else ""
    return VideoTelling(video_id, sha256, group_id, observed_events(lines), claimed_events(written, lines))
