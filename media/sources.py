"""Where the videos of a run lie: a folder, tars, an object store, a dataset, or a list of addresses.

    videos/                                  a folder (`collection.py`)
    clips-{000..015}.tar, s3://b/clips/*.tar     WebDataset tars, here or in a store
    s3://bucket/clips, gs://…, hf://…        all below an address
    dataset:folder, dataset:ORG/NAME@REV     a dataset with a column of videos
    list.txt, list.csv, list.jsonl           a list of addresses

The same files give the same ids and records wherever they lie. What does not lie in a folder is fetched, a file at a
time, into a folder of bounded size.
"""

from __future__ import annotations

import errno
import glob
import os
import re
from collections import defaultdict
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Protocol

from hardcut.engine.retry import Transient
from hardcut.media.collection import Collection, check_ids, scan
from hardcut.media.fetched import FetchedFiles
from hardcut.media.file_cache import FileCache, Origin
from hardcut.media.hub_videos import read_dataset
from hardcut.media.known_sidecars import KnownSidecars
from hardcut.media.manifest import ManifestEntry, read_manifest
from hardcut.media.remote import StoredRange, listing, matching, state_of
from hardcut.media.tars import LocalTar, StoredTar, Tar, TarIndex, read_index
from hardcut.media.url_lists import LISTS, read_list
from hardcut.media.video_files import MAX_SIDECAR, VIDEO_SUFFIXES, Found, Skipped, VideoFile, to_be_read, videos_of
from hardcut.schemas.errors import ItemError, Unreachable, UsageError
from hardcut.schemas.ids import digest
from hardcut.schemas.sources import SourceSettings

_DATASET = "dataset:"
_RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}")
_MOST_TARS = 100_000


class _Row(Protocol):
    """A row of a list or dataset that is a video."""

    @property
    def relative(self) -> str: ...
    @property
    def entry(self) -> ManifestEntry: ...
    @property
    def origin(self) -> Origin: ...


class _BadRow(Protocol):
    """One that is not taken."""

    @property
    def item(self) -> str: ...
    @property
    def reason(self) -> str: ...
    @property
    def detail(self) -> str: ...


@dataclass(slots=True)
class _Listed:
    """What a source has: its files with their sizes, what is not taken, and what the rows of a list say."""

    origins: dict[str, tuple[Origin, int]] = field(default_factory=dict)
    skipped: list[Skipped] = field(default_factory=list)
    entries: dict[str, ManifestEntry] | None = None


def open_source(
    videos: str | Path, manifest: Path | None, ours: Iterable[Path], settings: SourceSettings, cache: Path
) -> Collection:
    """The videos that the user names; see the module for the ways to name them. `cache` is the folder of what is
    fetched, `ours` are folders that Hardcut writes itself.

    Raises UsageError as `scan`, MissingDependency, Unreachable, StorageError.
    """
    name = str(videos)
    given = str(manifest.absolute()) if manifest is not None else ""
    known = KnownSidecars(cache / "sidecars" / f"{digest(_place(name), given)[:16]}.json")
    if not _is_elsewhere(name):
        return scan(Path(name), manifest, ours, known)
    listed = _listed(name, settings, cache)
    if manifest is not None:
        if listed.entries is not None:
            raise UsageError(f"{name} says of each video what a manifest would: leave out one of the two")
        listed.entries = read_manifest(manifest)
    files = FileCache(cache / "files", digest(_place(name))[:16], settings.cache_bytes, settings.max_bytes)
    origins = {relative: origin for relative, (origin, _) in listed.origins.items()}
    return _collection(name, listed, FetchedFiles(files, origins, settings.downloads), known)


def _is_elsewhere(name: str) -> bool:
    if "://" in name or name.startswith(_DATASET):
        return True
    return name.endswith((".tar", *LISTS)) and not Path(name).is_dir()


def _listed(name: str, settings: SourceSettings, cache: Path) -> _Listed:
    if name.startswith(_DATASET):
        return _of_rows(*read_dataset(name.removeprefix(_DATASET), cache / "datasets"))
    if name.endswith(".tar"):
        return _of_tars(name, cache / "tars", settings.downloads)
    if "://" not in name:
        return _of_rows(*read_list(Path(name), settings.allow_hosts))
    if name.startswith(("http://", "https://")):
        raise UsageError(f"{name}: a web address has no listing: put the addresses of the videos into a list (.txt)")
    return _of_store(name)


def _of_rows(rows: Iterable[_Row], bad: Iterable[_BadRow]) -> _Listed:
    """What a list or a dataset says: each row is an entry of a manifest."""
    entries: dict[str, ManifestEntry] = {}
    listed = _Listed(entries=entries)
    for row in rows:
        listed.origins[row.relative] = (row.origin, 0)
        if PurePosixPath(row.relative).suffix.lower() in VIDEO_SUFFIXES:
            entries[row.relative] = row.entry
    listed.skipped = [Skipped(each.item, each.reason, each.detail) for each in bad]
    return listed


def _of_store(address: str) -> _Listed:
    listed = _Listed()
    store, names = listing(address)
    for name, facts in names.items():
        if why := _unusable(name):
            listed.skipped.append(Skipped(name, "outside_root", why))
            continue
        size, state, path = int(facts["size"] or 0), state_of(facts), f"{store.path}/{name}"
        listed.origins[name] = (StoredRange(store.files, path, 0, size, state, state, name), size)
    return listed


def _of_tars(pattern: str, memory: Path, at_once: int) -> _Listed:
    tars = _stored_tars(pattern) if "://" in pattern else _local_tars(pattern)

    def read(tar: Tar) -> TarIndex:
        try:
            return read_index(tar, memory)
        except (ItemError, Transient) as error:
            raise Unreachable(f"{tar.name}: the tar cannot be read: {error}: start again") from error

    listed, owners = _Listed(), dict[str, Tar]()
    with ThreadPoolExecutor(at_once) as threads:
        for tar, index in zip(tars, threads.map(read, tars), strict=True):
            short = PurePosixPath(tar.name).name
            for member in index.members:
                other = owners.setdefault(member.name, tar)
                if other is not tar:
                    raise UsageError(
                        f"{other.name} and {tar.name} both have {member.name}: run them one by one, or rename it in one"
                    )
                listed.origins[member.name] = (tar.member(member), member.size)
            listed.skipped += [Skipped(f"{short}: {each.name}" if each.name else short, each.reason, each.detail)
                               for each in index.refused]  # fmt: skip
    return listed


def _local_tars(pattern: str) -> list[Tar]:
    found: list[Tar] = []
    for name in _expanded(pattern):
        paths = sorted(glob.glob(name)) if glob.has_magic(name) else [name]  # noqa: PTH207 (absolute ones too)
        for path in map(Path, paths):
            try:
                status = path.stat()
            except OSError as error:
                raise UsageError(f"{path}: {error.strerror}") from error
            found.append(LocalTar(path.resolve(), status.st_size, str(status.st_mtime_ns)))
    if not found:
        raise UsageError(f"{pattern}: no tar has such a name")
    return found


def _stored_tars(pattern: str) -> list[Tar]:
    found: list[Tar] = []
    for address in _expanded(pattern):
        store, paths = matching(address)
        if not paths:
            raise UsageError(f"{address}: no tar has such a name")
        found += [StoredTar(store.files, path, int(facts["size"]), state_of(facts)) for path, facts in paths.items()]
    return sorted(found, key=lambda tar: tar.name)


def _expanded(pattern: str) -> list[str]:
    """The names that a pattern with ranges such as `{000..015}` stands for.

    >>> _expanded("clips-{08..10}.tar")
    ['clips-08.tar', 'clips-09.tar', 'clips-10.tar']
    """
    found = _RANGE.search(pattern)
    if found is None:
        return [pattern]
    first, last = int(found[1]), int(found[2])
    if not first <= last < first + _MOST_TARS:
        raise UsageError(f"{pattern}: {found[0]} is no range of at most {_MOST_TARS} names")
    names = [f"{pattern[: found.start()]}{number:0{len(found[1])}d}{pattern[found.end() :]}"
             for number in range(first, last + 1)]  # fmt: skip
    return [each for name in names for each in _expanded(name)]


def _unusable(name: str) -> str | None:
    """Why a name cannot be that of a file under the root."""
    parts = name.split("/")
    return "its name has an empty part, `.` or `..`: rename it" if {"", ".", ".."} & set(parts) else None


def _place(name: str) -> str:
    """What the folder of fetched files is named by: not by which tars of a folder are read this time."""
    if name.endswith(".tar"):
        return name.rpartition("/")[0] if "://" in name else str(Path(name).absolute().parent)
    if "://" in name:
        return name.rstrip("/")
    path = Path(name.removeprefix(_DATASET)).absolute()
    return str(path) if path.exists() else name


def _collection(name: str, listed: _Listed, fetched: FetchedFiles, known: KnownSidecars) -> Collection:
    """What was listed as a collection, found under the folder of fetched files."""
    folders: defaultdict[str, list[Found]] = defaultdict(list)
    texts: dict[str, bytes | ItemError] = {}

    def read(relative: str) -> bytes:
        text = texts[relative] if relative in texts else fetched.read([relative])[relative]
        if isinstance(text, ItemError):
            raise OSError(errno.EIO, text.detail)
        return text

    for relative in sorted(listed.origins):
        if any(part.startswith(".") for part in relative.split("/")):
            continue
        stem, suffix = os.path.splitext(relative)  # noqa: PTH122 (as in `collection.py`)
        origin, size = listed.origins[relative]
        location, where = str(fetched.root / relative), f"{_place(name)}/{relative}"
        folders[relative.rpartition("/")[0]].append(
            Found(relative, stem, suffix.lower(), where, location, size, origin.state, partial(read, relative))
        )
    unknown = (each for files in folders.values() for each in to_be_read(files, listed.entries, known))
    texts |= fetched.read([each.relative for each in unknown if each.size <= MAX_SIDECAR])
    files: list[VideoFile] = []
    for folder in sorted(folders):
        files += videos_of(folders[folder], listed.entries, listed.skipped, known)
    texts.clear()
    known.save()
    check_ids(files)
    _check_listed(listed, {file.relative for file in files})
    if not files:
        why = f": {listed.skipped[0].item}: {listed.skipped[0].detail}" if listed.skipped else ""
        raise UsageError(f"{name} holds no video ({len(listed.skipped)} other things were found{why})")
    files.sort(key=lambda file: file.video_id)
    return Collection(fetched.root, tuple(files), tuple(sorted(listed.skipped)), fetched)


def _check_listed(listed: _Listed, found: set[str]) -> None:
    """Every line of a manifest must be a video, or among those skipped for what the file is."""
    skipped = {item.item for item in listed.skipped}
    for relative, entry in (listed.entries or {}).items():
        if relative not in found and relative not in skipped:
            raise UsageError(f"{entry.where}: no such file: {relative}")
