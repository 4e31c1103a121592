"""Trials: what is scored to find out how a model judges, drawn from a dataset. Pure; opens no video.

A trial has versions of one question, each two pairs of query and video of which the first should score higher. A nuance
has one version, the videos as they are. A probe has several, which differ by what was done to a video: what moves the
margin between the two pairs is what was done.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Literal, TypeVar

from pydantic import Field

from hardcut.reranker.facts import DatasetTables, Row
from hardcut.schemas.base import Frozen
from hardcut.schemas.ids import digest

_T = TypeVar("_T")
Probe = Literal["nuance", "order", "encoding", "promotion", "text"]
How = Literal["plain", "again", "one-frame", "shuffled", "reversed", "muted", "words"]
AS_IS = "as it is"
MOST = 100
"""Trials of a nuance or probe at most, drawn by digest."""
CROSSED_VIDEOS, CROSSED_QUERIES = 60, 8
"""Videos that are asked queries of others, and how many: the prior of a video shows in what it scores for them."""
_ORDER = frozenset({"reversed"})
_TEXT = frozenset({"ocr"})


class PairIds(Frozen):
    """A query and a video; or what was made of a video, by its own id."""

    query: str
    video: str


class Version(Frozen):
    """Two pairs. The first should score higher, unless what was done to the video says otherwise."""

    right: PairIds
    wrong: PairIds


class Trial(Frozen):
    """A question to a model. `name` is the nuance; `video_id` the video that is shown where it is told of."""

    probe: Probe
    name: str
    video_id: str
    versions: dict[str, Version]


class Altered(Frozen):
    """What is made of a video: `how`, and for `words` the text that is burnt in."""

    id: str
    video_id: str
    how: How
    words: str = ""


class File(Frozen):
    """Where a video of the dataset lies."""

    path: str
    sha256: str


class Plan(Frozen):
    """All that is asked. `queries` are texts by id, `files` the videos that something is made of or that are shown.
    `crossed` are pairs of videos and queries of other videos. `leaked` are queries whose text was trained on, of
    `tested` queries in all. `references` are the videos that composed queries start from."""

    splits: tuple[str, ...]
    queries: dict[str, str]
    files: dict[str, File]
    trials: tuple[Trial, ...]
    altered: tuple[Altered, ...]
    crossed: tuple[PairIds, ...]
    leaked: tuple[str, ...]
    tested: int
    references: dict[str, str] = Field(default_factory=dict)

    def pairs(self, altered: bool) -> dict[str, set[str]]:
        """The videos that are scored for each query: those as they are, or those that were made."""
        made = {each.id for each in self.altered}
        found: defaultdict[str, set[str]] = defaultdict(set)
        every = [pair for trial in self.trials for of in trial.versions.values() for pair in (of.right, of.wrong)]
        for pair in (*every, *self.crossed):
            if (pair.video in made) is altered:
                found[pair.query].add(pair.video)
        return dict(found)


def plan(tables: DatasetTables, splits: Sequence[str], leaked: Sequence[str], most: int = MOST) -> Plan:
    """Draws the trials from some splits of a dataset. `leaked` are its queries whose text was trained on."""
    queries = {
        row["query_id"]: row
        for split, row in tables.rows("queries", ("query_id", "query", "kind", "view", "facets", "reference_video_id"))
        if split in splits
    }
    files: dict[str, File] = {}
    right: defaultdict[str, list[str]] = defaultdict(list)
    wrong: defaultdict[str, list[str]] = defaultdict(list)
    for split, row in tables.rows("pairs", ("query_id", "video_id", "video_path", "sha256", "label")):
        if split in splits and row["query_id"] in queries:
            files[row["video_id"]] = File(path=row["video_path"], sha256=row["sha256"])
            (right if row["label"] > 0 else wrong)[row["query_id"]].append(row["video_id"])
    blocks = [row for split, row in tables.rows("diagnostic") if split in splits] if _has_blocks(tables) else []
    for row in blocks:
        files[row["video_id"]] = File(path=row["video_path"], sha256=row["sha256"])
        for side in ("answered", "unanswered"):
            queries.setdefault(
                row[side]["query_id"], {**row[side], "view": "", "facets": (), "reference_video_id": None}
            )
    contests = [
        Version(right=PairIds(query=query, video=yes), wrong=PairIds(query=query, video=no))
        for query in sorted(right)
        if (yes := _drawn(query, right[query])) and (no := _drawn(query, wrong.get(query, ())))
    ]
    shown_alone = [each for each in contests if queries[each.right.query]["reference_video_id"] is None]
    making = _Making()
    trials = [
        *_of_blocks(blocks, most),
        *_of_queries(contests, queries, most),
        *_order([row for row in blocks if row["change"] in _ORDER], making, most),
        *_encoding(shown_alone, making, most),
        *_promotion(shown_alone, queries, making, most),
        *_text(shown_alone, queries, making, most),
    ]
    crossed = _crossed(sorted(files), [each.right for each in shown_alone], right)
    asked = {pair.query for trial in trials for of in trial.versions.values() for pair in (of.right, of.wrong)}
    asked |= {pair.query for pair in crossed}
    videos = {trial.video_id for trial in trials} | {each.video_id for each in making.made.values()}
    return Plan(
        splits=tuple(splits),
        queries={query: queries[query]["query"] for query in sorted(asked)},
        files={video: files[video] for video in sorted(videos)},
        trials=tuple(trials),
        altered=tuple(making.made[id] for id in sorted(making.made)),
        crossed=tuple(crossed),
        leaked=tuple(sorted(leaked)),
        tested=sum(1 for query in queries.values() if query["query"]),
        references={query: start for query in sorted(asked) if (start := queries[query]["reference_video_id"])},
    )


def _has_blocks(tables: DatasetTables) -> bool:
    return "diagnostic" in tables.configs


class _Making:
    """What is made of videos, each once."""

    def __init__(self) -> None:
        self.made: dict[str, Altered] = {}

    def of(self, video: str, how: How, words: str = "") -> str:
        """The id of what is made: it says what it is made of by digest, since a video's id may have folders."""
        id = f"{digest(video)[:12]}-{how}" + (f"-{digest(words)[:8]}" if words else "")
        self.made[id] = Altered(id=id, video_id=video, how=how, words=words)
        return id

    def both(self, of: Version, how: How) -> Version:
        """The same two pairs with their videos altered."""
        right, wrong = (PairIds(query=pair.query, video=self.of(pair.video, how)) for pair in (of.right, of.wrong))
        return Version(right=right, wrong=wrong)


def _of_blocks(blocks: Sequence[Row], most: int) -> Iterator[Trial]:
    """The two queries of a block on their video, by what they differ in."""
    by_change: defaultdict[str, list[Row]] = defaultdict(list)
    for row in blocks:
        by_change[row["change"]].append(row)
    for change in sorted(by_change):
        for row in _sample(by_change[change], most, key=_block_key):
            yield Trial(
                probe="nuance", name=change.replace("_", " "), video_id=row["video_id"], versions={AS_IS: _block(row)}
            )


def _of_queries(contests: Sequence[Version], queries: Mapping[str, Row], most: int) -> Iterator[Trial]:
    """A query on its video and on one that it was judged not to answer, for nuances that have no blocks: edits of a
    video (against that video, where it was judged), sounds, and moments."""
    named: defaultdict[str, list[Version]] = defaultdict(list)
    for each in contests:
        row = queries[each.right.query]
        heard = row["view"] == "sound" or any(facet["modality"] == "sound" for facet in row["facets"] or ())
        for name, fits in (
            ("composed", row["reference_video_id"] is not None),
            ("sound", heard),
            ("moment", row["kind"] == "moment"),
        ):
            if fits:
                named[name].append(each)
    for name in sorted(named):
        for of in _sample(named[name], most, key=_version_key):
            yield Trial(probe="nuance", name=name, video_id=of.right.video, versions={AS_IS: of})


def _order(blocks: Sequence[Row], making: _Making, most: int) -> Iterator[Trial]:
    """Two queries that differ in direction, on their video, played backwards, shuffled, and as one frame."""
    hows: tuple[How, ...] = ("plain", "reversed", "shuffled", "one-frame")
    for row in _sample(blocks, most, key=_block_key):
        of = _block(row)
        yield Trial(
            probe="order", name="order", video_id=row["video_id"], versions={how: making.both(of, how) for how in hows}
        )


def _encoding(contests: Sequence[Version], making: _Making, most: int) -> Iterator[Trial]:
    for of in _sample(contests, most, key=_version_key):
        versions = {how: making.both(of, how) for how in ("plain", "again")}
        yield Trial(probe="encoding", name="encoding", video_id=of.right.video, versions=versions)


def _promotion(contests: Sequence[Version], queries: Mapping[str, Row], making: _Making, most: int) -> Iterator[Trial]:
    """A query on its video, against a wrong one that its words are burnt into, and against the same with the words of
    another query: what these differ in is what the words mean."""
    drawn = [of for of in _sample(contests, 4 * most, key=_version_key) if _drawable(queries[of.right.query]["query"])]
    drawn = drawn[:most]
    for of, other in zip(drawn, [*drawn[1:], *drawn[:1]], strict=True):
        own, others = (queries[each.right.query]["query"] for each in (of, other))
        if own == others:
            continue
        right = PairIds(query=of.right.query, video=making.of(of.right.video, "plain"))
        shown = {
            "plain": making.of(of.wrong.video, "plain"),
            "own words": making.of(of.wrong.video, "words", own),
            "other words": making.of(of.wrong.video, "words", others),
        }
        versions = {
            name: Version(right=right, wrong=PairIds(query=of.wrong.query, video=video))
            for name, video in shown.items()
        }
        yield Trial(probe="promotion", name="promotion", video_id=of.wrong.video, versions=versions)


def _text(contests: Sequence[Version], queries: Mapping[str, Row], making: _Making, most: int) -> Iterator[Trial]:
    """A query that asks for nothing written and one of another video, on the first one's video, as it is and with what
    is written in it blurred."""
    unread = [of for of in contests if not _asks_for_text(queries[of.right.query])]
    drawn = _sample(unread, most, key=_version_key)
    for of, other in zip(drawn, [*drawn[1:], *drawn[:1]], strict=True):
        if other.right.query == of.right.query or other.right.video == of.right.video:
            continue
        asked = Version(right=of.right, wrong=PairIds(query=other.right.query, video=of.right.video))
        versions = {how: making.both(asked, how) for how in ("plain", "muted")}
        yield Trial(probe="text", name="text", video_id=of.right.video, versions=versions)


def _crossed(videos: Sequence[str], asked: Sequence[PairIds], right: Mapping[str, Sequence[str]]) -> list[PairIds]:
    """Videos with queries that none of them is known to answer, drawn by digest."""
    found = []
    for video in _sample(videos, CROSSED_VIDEOS, key=str):
        others = [pair.query for pair in asked if video not in right.get(pair.query, ())]
        by_chance = sorted(set(others), key=lambda query: digest("crossed", video, query))
        found += [PairIds(query=query, video=video) for query in by_chance[:CROSSED_QUERIES]]
    return found


def _block(row: Row) -> Version:
    right, wrong = (PairIds(query=row[side]["query_id"], video=row["video_id"]) for side in ("answered", "unanswered"))
    return Version(right=right, wrong=wrong)


def _block_key(row: Row) -> str:
    return f"{row['video_id']} {row['answered']['query_id']} {row['unanswered']['query_id']}"


def _version_key(of: Version) -> str:
    return f"{of.right.query} {of.right.video} {of.wrong.video}"


def _asks_for_text(row: Row) -> bool:
    return row["view"] in _TEXT or any(facet["modality"] in _TEXT for facet in row["facets"] or ())


def _drawable(text: str) -> bool:
    """Whether the font that pictures are written with has its letters (Latin-1)."""
    return bool(text.strip()) and all(ord(character) < 256 for character in text)


def _drawn(query: str, videos: Iterable[str]) -> str | None:
    return min(videos, key=lambda video: digest(query, video), default=None)


def _sample(of: Iterable[_T], most: int, key: Callable[[_T], str]) -> list[_T]:
    """At most so many, by digest, in a fixed order."""
    return sorted(of, key=lambda each: digest("trial", key(each)))[:most]
