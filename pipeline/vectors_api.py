"""Functions of `import hardcut`: vectors of a run or dataset, and search among them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hardcut.engine.progress import Progress
from hardcut.engine.vectors import VectorFolder

if TYPE_CHECKING:
    from hardcut.schemas.trec import TrecRun

PathLike = str | Path


def embed(
    source: PathLike,
    model: str,
    out: PathLike,
    *,
    what: Sequence[str] = ("videos", "captions", "queries"),
    videos: PathLike | None = None,
    revision: str | None = None,
    settings: PathLike | None = None,
    cache: PathLike | None = None,
    key_variable: str | None = None,
    progress: Progress | None = None,
) -> VectorFolder:
    """Makes vectors of a run's or dataset's videos, captions and queries in the folder `out`, as `hardcut embed` does.
    What is there already is not made again; `left_out.jsonl` there names what has none.

    `model` is a folder, a name on the Hub, `openai:MODEL@URL` or `pooling:MODEL@URL`. Raises UsageError,
    MissingDependency, StorageError.

    Examples:
        >>> vectors = hardcut.embed("runs/first", "models/embedder", "vectors/first")  # doctest: +SKIP
        >>> vectors.matrix("videos") @ vectors.matrix("queries")[0]  # doctest: +SKIP
    """
    from hardcut.pipeline.embed import Embedding
    from hardcut.pipeline.embed import embed as make_vectors

    asked = Embedding(
        Path(source), model, Path(out), tuple(what), _path(videos), revision, _path(settings), _path(cache),
        key_variable,
    )  # fmt: skip
    make_vectors(asked, progress)
    return VectorFolder(Path(out))


def search(
    vectors: PathLike,
    out: PathLike,
    *,
    queries: PathLike | None = None,
    among: str | None = None,
    depth: int = 1000,
) -> TrecRun:
    """Writes the best `depth` documents of each query as a TREC run to `out`, as `hardcut search` does, and returns it.
    `queries` is the folder of their vectors, where it is another one. Raises UsageError, StorageError.

    Examples:
        >>> hardcut.search("vectors/first", "dense.trec", depth=100).scores  # doctest: +SKIP
    """
    from hardcut.pipeline.embed import search as search_vectors
    from hardcut.schemas.trec import read_run

    search_vectors(Path(vectors), Path(out), _path(queries), among, depth)
    return read_run(Path(out))


def _path(given: PathLike | None) -> Path | None:
    return None if given is None else Path(given)
