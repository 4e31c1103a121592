"""What of a run or a dataset is made into vectors: its videos, captions and queries."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from hardcut.engine.run_files import RunFiles
from hardcut.reranker.examples import ClipRef, LeftOut
from hardcut.reranker.facts import DatasetTables
from hardcut.schemas.ids import digest
from hardcut.schemas.records import Caption, Query, Video
from hardcut.schemas.triplets import composed_anchor

What = Literal["videos", "captions", "queries"]
KINDS: tuple[What, ...] = get_args(What)
NO_REFERENCE = "no_reference"
"""Why a composed query has no vector: nothing is known of the video that it starts from."""


@dataclass(frozen=True, slots=True)
class Entry:
    """Something that gets a vector under `id`: a text, a video, or both (an edit of this video)."""

    id: str
    text: str | None = None
    video: ClipRef | None = None

    @property
    def content(self) -> str:
        """A digest of what is encoded."""
        return digest(self.text, self.video.sha256 if self.video else None)


@dataclass(frozen=True, slots=True)
class Search:
    """A query of a run or dataset; `reference` is the video that a composed one starts from."""

    id: str
    text: str
    reference: str | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """Videos by id, the captions of each, and the queries."""

    videos: Mapping[str, ClipRef]
    captions: Mapping[str, tuple[str, ...]]
    queries: tuple[Search, ...]


@dataclass(frozen=True, slots=True)
class Entries:
    """What gets vectors, by kind and sorted by id, and what cannot get one."""

    of: Mapping[What, tuple[Entry, ...]]
    left_out: tuple[LeftOut, ...] = field(default=())


def of_run(files: RunFiles) -> Source:
    """What a run has. A query goes by the user's id for it, or else by ours, as in a run of a first stage."""
    videos = {video.video_id: ClipRef(video.video_id, video.path, video.sha256) for video in files.read(Video)}
    captions: defaultdict[str, list[str]] = defaultdict(list)
    for caption in files.read(Caption):
        captions[caption.video_id].append(caption.text)
    queries = (
        Search(query.external_id or query.query_id, query.text, query.reference_video_id) for query in files.read(Query)
    )
    return _source(videos, captions, queries)


def of_dataset(tables: DatasetTables) -> Source:
    """What a dataset has, in all its splits."""
    columns = ("video_id", "video_path", "sha256")
    videos = {row["video_id"]: ClipRef(*(row[name] for name in columns)) for _, row in tables.rows("corpus", columns)}
    captions: defaultdict[str, list[str]] = defaultdict(list)
    if "captions" in tables.configs:
        for _, row in tables.rows("captions", ("video_id", "caption")):
            captions[row["video_id"]].append(row["caption"])
    names = ("query_id", "external_id", "query", "reference_video_id")
    queries = (
        Search(row["external_id"] or row["query_id"], row["query"], row["reference_video_id"])
        for _, row in tables.rows("queries", names)
    )
    return _source(videos, captions, queries)


def _source(videos: Mapping[str, ClipRef], captions: Mapping[str, list[str]], queries: Iterable[Search]) -> Source:
    """Several captions of a video stand one under the other: a video has one vector of a kind."""
    told = {video: tuple(dict.fromkeys(texts)) for video, texts in captions.items()}
    once = {query.id: query for query in queries}  # a user's query and its wordings are several records
    return Source(videos, told, tuple(once[id] for id in sorted(once)))


def entries(source: Source, kinds: Collection[What], *, sees: bool) -> Entries:
    """What gets vectors by a model that `sees` videos or not. Such a model reads the caption of a composed query's
    reference above the edit, as TARA trains it; one that sees is shown the video."""
    left_out: list[LeftOut] = []
    made: dict[What, Iterator[Entry]] = {
        "videos": (Entry(id, video=source.videos[id]) for id in sorted(source.videos)),
        "captions": (Entry(id, "\n".join(source.captions[id])) for id in sorted(source.captions)),
        "queries": _queries(source, sees, left_out),
    }
    found = {kind: tuple(made[kind]) for kind in KINDS if kind in kinds}
    return Entries(found, tuple(left_out))


def _queries(source: Source, sees: bool, left_out: list[LeftOut]) -> Iterator[Entry]:
    for query in source.queries:
        if query.reference is None:
            yield Entry(query.id, query.text)
        elif sees and query.reference in source.videos:
            yield Entry(query.id, query.text, source.videos[query.reference])
        elif not sees and query.reference in source.captions:
            yield Entry(query.id, composed_anchor(source.captions[query.reference][0], query.text))
        else:
            lacks = "file" if sees else "caption"
            detail = f"it changes the video {query.reference}, of which there is no {lacks}"
            left_out.append(LeftOut(query.id, NO_REFERENCE, detail))
