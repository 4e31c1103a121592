"""Vectors of a run's or dataset's videos and texts, and the search among them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hardcut.embedder.items import KINDS, Source, What, entries, of_dataset, of_run
from hardcut.engine.file_digests import FileDigests
from hardcut.engine.progress import Progress
from hardcut.engine.run_files import RunFiles
from hardcut.pipeline.cache import Cache, cache_folder
from hardcut.pipeline.progress import open_progress
from hardcut.pipeline.train import need_train
from hardcut.publish.dataset import Dataset
from hardcut.reranker.clips import Clips
from hardcut.reranker.identity import shown_in_training
from hardcut.schemas.addresses import canonical_address, model_and_address
from hardcut.schemas.config import load_settings
from hardcut.schemas.errors import UsageError
from hardcut.schemas.settings import Settings
from hardcut.teacher.model_digest import model_identity
from hardcut.teacher.registry import key_of

if TYPE_CHECKING:
    from hardcut.embedder.embedding import Embedded
    from hardcut.embedder.encoders import Encoder
    from hardcut.embedder.searching import Searched

_SERVERS = ("openai", "pooling")


@dataclass(frozen=True, slots=True)
class Embedding:
    """What is made into vectors: `what` of the run or dataset in `source`, by which model, into which folder. `videos`
    is the folder of the videos, which only a model that sees them needs."""

    source: Path
    model: str
    out: Path
    what: tuple[str, ...] = KINDS
    videos: Path | None = None
    revision: str | None = None
    config: Path | None = None
    cache: Path | None = None
    key_variable: str | None = None


def embed(embedding: Embedding, progress: Progress | None = None) -> Embedded:
    """Makes the vectors that are missing. Raises UsageError, MissingDependency, StorageError."""
    from hardcut.embedder.embedding import EmbedJob
    from hardcut.embedder.embedding import embed as make_vectors

    kinds = _kinds(embedding.what)
    source = _source(embedding.source)
    settings, cache = _settings(embedding), cache_folder(embedding.cache)
    with _opened(embedding, settings) as encoder:
        if "videos" in kinds and not encoder.sees:
            raise UsageError(
                f"{embedding.model} sees no videos: embed the texts alone (--what captions --what queries)"
            )
        found = entries(source, kinds, sees=encoder.sees)
        shown = any(entry.video for each in found.of.values() for entry in each)
        if shown and not (embedding.videos and embedding.videos.is_dir()):
            raise UsageError("the folder of the videos is missing: name it with --videos")
        media, frames = shown_in_training(embedding.model) or (settings.media, settings.train.embedding.frames)
        clips = Clips(embedding.videos or Path(), cache.frames, media)
        seen = {"media": media.model_dump(mode="json"), "frames": frames} if encoder.sees else {}
        made_by = {"model": _identity(embedding, cache), "name": embedding.model, "sees": encoder.sees, **seen}
        job = EmbedJob(found, embedding.out, clips, frames, made_by)
        if progress is not None:
            return make_vectors(job, encoder, progress)
        with open_progress() as bars:
            return make_vectors(job, encoder, bars)


def search(vectors: Path, out: Path, queries: Path | None, among: str | None, depth: int) -> Searched:
    """Writes a run of the best `depth` of the folder `vectors` for the queries there, or in the folder `queries`.
    `among` is what is searched. Raises UsageError, StorageError."""
    from hardcut.embedder.searching import search as search_vectors
    from hardcut.engine.vectors import VectorFolder

    if among not in (None, "videos", "captions"):
        raise UsageError(f"{among!r} cannot be searched: videos or captions")
    return search_vectors(VectorFolder(queries or vectors), VectorFolder(vectors), among, depth, out)


def _kinds(what: Sequence[str]) -> tuple[What, ...]:
    unknown = [kind for kind in what if kind not in KINDS]
    if unknown:
        raise UsageError(f"{unknown[0]!r} cannot be embedded: {', '.join(KINDS)}")
    return tuple(kind for kind in KINDS if kind in what)


def _source(folder: Path) -> Source:
    """What is in the folder of a run or a dataset. Raises UsageError for any other."""
    if (folder / "run.toml").is_file():
        return of_run(RunFiles(folder))
    dataset = Dataset(folder)
    dataset.marker  # noqa: B018 - refuses a folder that is neither
    return of_dataset(dataset)


def _settings(embedding: Embedding) -> Settings:
    """The settings: of the file, or else those of the run, whose sampling the frame store has."""
    own = embedding.source / "run.toml"
    return load_settings(embedding.config or (own if own.is_file() else None))


def _identity(embedding: Embedding, cache: Cache) -> str:
    server = _server(embedding.model)
    if server is not None:
        form, name, url = server
        return f"{form}:{name}@{canonical_address(url)}"
    return f"{model_identity(embedding.model, FileDigests(cache.digests))}@{embedding.revision}"


def _server(model: str) -> tuple[Any, str, str] | None:
    """Form, model and address of `openai:MODEL@URL` or `pooling:MODEL@URL`. None for a model on this machine."""
    form, _, rest = model.partition(":")
    if form not in _SERVERS:
        return None
    found = model_and_address(rest)
    if found is None:
        raise UsageError(f"{model!r}: give {form}:MODEL@URL, such as {form}:my-model@http://127.0.0.1:8000/v1")
    return form, *found


@contextmanager
def _opened(embedding: Embedding, settings: Settings) -> Iterator[Encoder]:
    server, use = _server(embedding.model), settings.resources
    if server is not None:
        from hardcut.embedder.server import ServerEncoder

        form, name, url = server
        key = key_of(url, embedding.key_variable, "--key-variable", settings.teacher)
        encoder = ServerEncoder(name, url, form, concurrency=use.concurrency, timeout_s=use.request_timeout_s, key=key)
        try:
            yield encoder
        finally:
            encoder.close()
        return
    need_train()
    from hardcut.embedder.encoders import LocalEncoder
    from hardcut.embedder.network import open_embedder

    yield LocalEncoder(open_embedder(embedding.model, embedding.revision), use.batch)
