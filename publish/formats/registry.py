"""Which formats there are. Another one is a file beside this with `read` or `write`, and a line here; one of others
registers under `hardcut.exporters` or `hardcut.importers`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from hardcut.publish._folder import new_folder
from hardcut.publish.dataset import Dataset
from hardcut.publish.formats import msrvtt, multivent, qvhighlights, rankvideo, sentence_transformers, tevatron, trec
from hardcut.publish.formats.imported import Imported
from hardcut.publish.formats.text_queries import TextQueries
from hardcut.schemas.errors import UsageError
from hardcut.schemas.extensions import extended
from hardcut.schemas.names import suggestion

T = TypeVar("T")
_COMPOSED = "composed: the format has no place for the video that they start from"

EXPORTERS: Mapping[str, Callable[[Dataset, Path], dict[str, int]]] = {
    "rankvideo": rankvideo.write,
    "sentence-transformers": sentence_transformers.write,
    "tevatron": tevatron.write,
    "trec": trec.write,
}
"""Each writes files to a folder and returns rows by file."""

IMPORTERS: Mapping[str, Callable[[Sequence[Path]], Imported]] = {
    "msrvtt": msrvtt.read,
    "multivent": multivent.read,
    "qvhighlights": qvhighlights.read,
    "rankvideo": rankvideo.read,
    "trec": trec.read,
}


@dataclass(frozen=True, slots=True)
class Written:
    """What was written in a format of others: rows by file, and how many queries it has no place for, by the reason."""

    rows: Mapping[str, int]
    left_out: Mapping[str, int]


def convert(dataset: Dataset, name: str, out: Path) -> Written:
    """Writes a dataset in a format of others to a new folder. Composed queries are left out and counted: their
    reference video has no place there. Raises UsageError for an unknown name."""
    exporter = _named(extended(EXPORTERS, "hardcut.exporters"), name, "--format")
    given = TextQueries(dataset.folder)
    with new_folder(out) as folder:
        rows = exporter(given, folder)
    return Written(rows, {_COMPOSED: len(given.composed)} if given.composed else {})


def read(name: str, paths: Sequence[Path]) -> Imported:
    """What is in files of a format of others. Raises UsageError for another name, and naming file and line."""
    return _named(extended(IMPORTERS, "hardcut.importers"), name, "import")(paths)


def _named(known: Mapping[str, T], name: str, what: str) -> T:
    if name in known:
        return known[name]
    raise UsageError(f"{what} {name!r}: no such format; {suggestion(name, known)}")
