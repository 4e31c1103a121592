"""Takes videos, with all that was made of them, out of a run, its cache and a dataset."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hardcut.annotate.draws import Drawn
from hardcut.engine.erase import forget_replies, forget_results, locked_ledger
from hardcut.engine.files import atomic_writer
from hardcut.engine.ledger import LEDGER_FILE
from hardcut.engine.traces import Traces, lines_of, sentences
from hardcut.media.forget_copies import forget_copies
from hardcut.pipeline.cache import Cache
from hardcut.publish.dataset import Dataset
from hardcut.publish.forget_rows import forget_rows
from hardcut.schemas.catalogue import RECORDS
from hardcut.schemas.comparisons import Comparison
from hardcut.schemas.errors import UsageError
from hardcut.schemas.jsonl import parse_json
from hardcut.schemas.judgments import Review
from hardcut.schemas.kept import KeptPair

_FILTERED = (Review.FILE, Comparison.FILE, KeptPair.FILE, Drawn.FILE)
_IDS = ("evidence_id", "caption_id", "pair_id", "label_id")
_KINDS = ("Evidence", "Caption", "Query", "Pair", "TeacherLabel")
_LEDGER = (LEDGER_FILE, f"{LEDGER_FILE}-wal", f"{LEDGER_FILE}-shm")


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What was taken out: results of the run, lines of its reviews and kept pairs, other files of it, replies and
    folders of frames of the cache, rows of the dataset; `remains` is what this command cannot reach."""

    results: int
    lines: int
    files: tuple[str, ...]
    replies: int
    frames: int
    rows: int
    remains: tuple[str, ...]


def forget(run: Path, videos: Sequence[str], cache: Cache, dataset: Path | None = None) -> Forgotten:
    """Takes the videos, by id, out of everything. The run's files are made again by the next `hardcut run`, which asks
    no teacher about what is left. A start that was cut off is started again with the same line.

    Raises UsageError for an id that the run never had, for a video with copies of the same file that are not named, and
    where another process works on the run; StorageError.
    """
    if not (run / LEDGER_FILE).is_file():
        raise UsageError(f"{run}: no run is there")
    if dataset is not None:
        Dataset(dataset).refuse_altered()
    with locked_ledger(run) as ledger:
        traces, contents, paths = _traces(run, ledger, videos)
        # the ledger goes last: until then it says what belongs to the videos, should this be cut off
        rows = forget_rows(dataset, traces) if dataset is not None else 0
        frames = sum(_remove(cache.frames / sha256[:2] / sha256) for sha256 in contents)
        forget_copies(cache.videos, paths, contents)
        replies = forget_replies(cache.replies, traces)
        lines = sum(_filtered(run / name, traces) for name in _FILTERED)
        results = forget_results(ledger, traces)
    files = tuple(_removed_files(run, traces))
    return Forgotten(results, lines, files, replies, frames, rows, tuple(_remains(run, dataset)))


def _traces(run: Path, ledger: sqlite3.Connection, videos: Sequence[str]) -> tuple[Traces, set[str], set[str]]:
    """What names or tells the videos, of all that the ledger ever had; the digests and the paths of their files."""
    wanted = set(videos)
    names, contents, paths, owners = set(wanted), set[str](), set[str](), dict[str, set[str]]()
    for video in _records(ledger, "Video"):
        owners.setdefault(video["sha256"], set()).add(video["video_id"])
        if video["video_id"] in wanted:
            paths.add(video["path"])
            contents.add(video["sha256"])
    known = set[str]().union(*owners.values())
    if missing := sorted(wanted - known):
        raise UsageError(f"{run}: it never had a video {missing[0]!r}: ids are those of its videos.jsonl")
    copies = sorted(set[str]().union(*(owners[each] for each in contents)) - wanted)
    if copies:
        raise UsageError(f"{copies[0]} is the same file as a video that is to go: name it too")
    queries = _queries(ledger, wanted)
    digests, told, common = {*contents, *queries}, set[str](), set[str]()
    for kind in _KINDS:
        for record in _records(ledger, kind):
            ours = record.get("video_id") in wanted or record.get("query_id") in queries
            (told if ours else common).update(*map(sentences, _texts(kind, record)))
            if ours:
                digests |= {str(record[key]) for key in _IDS if key in record}
    # what is said of others too tells nobody whose it is, and replies about them are not asked for twice
    return Traces(names | paths, frozenset(digests), frozenset(told - common)), contents, paths


def _queries(ledger: sqlite3.Connection, videos: Collection[str]) -> set[str]:
    """The queries that were written from the videos or start from them, and those that were made of such queries."""
    parents: dict[str, str | None] = {}
    found: set[str] = set()
    for query in _records(ledger, "Query"):
        parents[query["query_id"]] = query.get("parent_query_id")
        if query.get("source_video_id") in videos or query.get("reference_video_id") in videos:
            found.add(query["query_id"])
    while more := {id for id, parent in parents.items() if parent in found and id not in found}:
        found |= more
    return found


def _records(ledger: sqlite3.Connection, kind: str) -> Iterator[dict[str, Any]]:
    for (body,) in ledger.execute("SELECT body FROM record WHERE kind = ? ORDER BY rowid", (kind,)).fetchall():
        yield parse_json(body)


def _texts(kind: str, record: dict[str, Any]) -> Iterator[str]:
    """What a teacher or an extractor said of the video."""
    if kind == "Evidence" and record["kind"] not in ("speech", "ocr"):
        return
    yield record.get("text") or ""
    yield record.get("reasoning") or ""
    yield from (part["text"] for part in (*record.get("claims", ()), *record.get("facets", ())))


def _filtered(path: Path, traces: Traces) -> int:
    """Takes the lines with a trace out of a file; returns how many."""
    if not path.exists():
        return 0
    lines = lines_of(path.read_text("utf-8"))
    kept = [line for line in lines if not traces.by_name.in_text(line)]
    if len(kept) < len(lines):
        with atomic_writer(path) as file:
            file.writelines(kept)
    return len(lines) - len(kept)


def _removed_files(run: Path, traces: Traces) -> Iterator[str]:
    """Removes the run's files of records, which the next start makes again, and all others that have a trace."""
    ours = {kind.FILE for kind in RECORDS} - set(_FILTERED)
    for path in sorted(run.rglob("*")):
        if path.is_symlink() or not path.is_file() or path.name in _LEDGER:
            continue
        name = path.relative_to(run).as_posix()
        again = name in ours or path.suffix == ".html" or name.startswith(("review/media/", "argilla/media/"))
        named = name not in _FILTERED and traces.loosely_in(path.read_bytes().decode("utf-8", "replace"))
        if again or named:
            path.unlink()
            yield name


def _remove(folder: Path) -> int:
    if not folder.is_dir():
        return 0
    shutil.rmtree(folder)
    return 1


def _remains(run: Path, dataset: Path | None) -> Iterator[str]:
    yield "the videos' own files: remove them before the next `hardcut run`, which would take them in again"
    yield "datasets of videos that were read: the Hub's client has its copy, and `videos/datasets` in the cache another"
    yield "replies that say nothing of their own, such as a bare yes, and drafts that share no sentence with a record"
    yield "published versions: publish the cleaned dataset, then delete the older tags and their history on the Hub"
    yield "an Argilla elsewhere: `hardcut review push` removes records that nobody answered; delete the others there"
    if dataset is None:
        yield f"datasets that were exported from {run}: give each with --dataset"
