"""Which formats there are. Another one is a file beside this with `read` or `write`, and a line here; one of others
registers under `hardcut.exporters` or `hardcut.importers`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from hardcut.publish._folder import new_folder
from hardcut.publish.dataset import Dataset
from hardcut.publish.formats import (
    flag_embedding,
    llama_factory,
    ms_swift,
    msrvtt,
    mteb,
    multivent,
    qvhighlights,
    rankvideo,
    sentence_transformers,
    tara,
    tevatron,
    trec,
    trl,
    webdataset,
)
from hardcut.publish.formats.captioned import CAPTIONED
from hardcut.publish.formats.composed import FINE
from hardcut.publish.formats.given import COMPOSED, Given
from hardcut.publish.formats.imported import Imported
from hardcut.publish.formats.moments import MOMENTS
from hardcut.schemas.errors import UsageError
from hardcut.schemas.extensions import extended
from hardcut.schemas.names import suggestion

T = TypeVar("T")

EXPORTERS: Mapping[str, Callable[[Given, Path], dict[str, int]]] = {
    "flag-embedding": flag_embedding.write,
    "llama-factory": llama_factory.write,
    "ms-swift": ms_swift.write,
    "mteb": mteb.write,
    "rankvideo": rankvideo.write,
    "sentence-transformers": sentence_transformers.write,
    "tevatron": tevatron.write,
    "trec": trec.write,
    "triplets": tara.write,
    "trl": trl.write,
    "webdataset": webdataset.write,
}
"""Each writes files to a folder and returns rows by file."""
WITH_REFERENCE = frozenset({"llama-factory", "ms-swift", "triplets", "trl", "webdataset"})
"""Exporters whose rows have a place for what a composed query starts from: the video, or its caption."""
OF_PIXELS = frozenset({"trl", "webdataset"})
"""Exporters that write what the videos show, and so have to be told where these are."""
OF_TRIPLETS = frozenset({"triplets"})
"""Exporters of triplets, which a dataset has only where its run was asked for some."""

IMPORTERS: Mapping[str, Callable[[Sequence[Path]], Imported]] = {
    **CAPTIONED,
    **FINE,
    **MOMENTS,
    "msrvtt": msrvtt.read,
    "mteb": mteb.read,
    "multivent": multivent.read,
    "qvhighlights": qvhighlights.read,
    "rankvideo": rankvideo.read,
    "trec": trec.read,
}


@dataclass(frozen=True, slots=True)
class Written:
    """What was written in a format of others: rows by file, and how much it has no place for, by what it is and why."""

    rows: Mapping[str, int]
    left_out: Mapping[str, int]


def convert(dataset: Dataset, name: str, out: Path, videos: Path | None = None) -> Written:
    """Writes a dataset in a format of others to a new folder. What the format cannot say is left out and counted, such
    as composed queries where their reference video has no place. `videos` is the folder of the collection: then paths
    are absolute.

    Raises UsageError for an unknown name, where a video is not in `videos`, and where the format needs that folder.
    """
    exporter = _named(extended(EXPORTERS, "hardcut.exporters"), name, "--format")
    if name in OF_PIXELS and videos is None:
        raise UsageError(f"--format {name} holds what the videos show: name their folder with --videos")
    given = Given(dataset.folder, videos, composed=name in WITH_REFERENCE)
    if videos is not None:
        given.paths  # noqa: B018 - refuses a folder that lacks a video before anything is written
    if not given.composed and given.references:
        given.left_out[COMPOSED] = len(given.references)
    with new_folder(out) as folder:
        rows = exporter(given, folder)
    return Written(rows, dict(given.left_out))


def read(name: str, paths: Sequence[Path]) -> Imported:
    """What is in files of a format of others. Raises UsageError for another name, and naming file and line."""
    return _named(extended(IMPORTERS, "hardcut.importers"), name, "import")(paths)


def _named(known: Mapping[str, T], name: str, what: str) -> T:
    if name in known:
        return known[name]
    raise UsageError(f"{what} {name!r}: no such format; {suggestion(name, known)}")
