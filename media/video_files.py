"""Which of the files that were found are videos, and what belongs to each: sidecars, by their names alone.

Where the files lie does not matter here: in a folder, in a bucket or in tars.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import NamedTuple

from pydantic import JsonValue

from hardcut.media.beside import Beside, Variant, belonging
from hardcut.media.known_sidecars import KnownSidecars, key_of
from hardcut.media.manifest import ManifestEntry, parse_object
from hardcut.schemas.errors import UsageError
from hardcut.schemas.ids import canonical_json
from hardcut.schemas.text.languages import primary_language

VIDEO_SUFFIXES = (
    *(".3g2", ".3gp", ".asf", ".avi", ".flv", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts"),
    *(".ogg", ".ogv", ".ts", ".webm", ".wmv"),
)
"""What is taken for a video. GIFs in a folder are mostly pictures: name them in a manifest to have them read."""
_ANIMATED = {
    ".gif": "a picture; one that moves is read where a manifest names it",
    ".webp": "a picture, and no video though it may move: make a GIF or MP4 of it",
}
_FULLEST: tuple[Variant, ...] = ("plain", "hearing", "automatic", "forced")
_MAX_ID = 512
MAX_SIDECAR = 16 * 2**20


class SubtitleFile(NamedTuple):
    """A subtitle file beside a video; the language is what its name says."""

    path: Path
    language: str | None


class Skipped(NamedTuple):
    """Something that was found and not taken; `item` is its path under the root, `reason` a stable word."""

    item: str
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class VideoFile:
    """A video to be read. `location` is absolute and free of links, `relative` its name under the root (POSIX).

    `fingerprint` changes with the file (size, time of change), its metadata and its sidecars. `read` gives its
    metadata; where the fingerprint was known, it reads the sidecars.
    """

    video_id: str
    location: str
    relative: str
    subtitles: tuple[SubtitleFile, ...]
    fingerprint: str
    read: Callable[[], dict[str, JsonValue]] = field(compare=False, repr=False)

    @property
    def metadata(self) -> dict[str, JsonValue]:
        """What sidecars and manifest say. May read files; raises UsageError as `scan`."""
        return self.read()

    @property
    def path(self) -> Path:
        return Path(self.location)


class Found(NamedTuple):
    """A file that was found. `relative` is its name under the root (POSIX), `stem` and `suffix` are the parts of it.

    `where` names it in messages, `location` is the local path at which it is read. `state` changes whenever its content
    may have: a time of change, or what a store says. `read` gives its bytes. `changed_ns` is when file or inode were
    last changed, where the file lies here.
    """

    relative: str
    stem: str
    suffix: str
    where: str
    location: str
    size: int
    state: str
    read: Callable[[], bytes]
    changed_ns: int = 0


class _Belongings(NamedTuple):
    """A video and what lies beside it: `written` are files of metadata by their role, `stated` what a manifest says.
    `facts` are names, sizes and states, `key` what the fingerprint is known by."""

    file: Found
    video_id: str
    stated: Mapping[str, JsonValue]
    written: Mapping[str, Found]
    subtitles: Sequence[tuple[Found, str | None]]
    facts: str
    key: str


def videos_of(
    files: Sequence[Found],
    entries: dict[str, ManifestEntry] | None,
    skipped: list[Skipped],
    known: KnownSidecars | None = None,
) -> Iterator[VideoFile]:
    """The videos of one folder, each with its sidecars. Of those that are `known` no sidecar is read."""
    known = known or KnownSidecars()
    for each in _belongings(files, entries, skipped):
        yield _video(each, known, skipped)


def to_be_read(
    files: Sequence[Found], entries: dict[str, ManifestEntry] | None, known: KnownSidecars
) -> Iterator[Found]:
    """The files of one folder that `videos_of` will read."""
    for each in _belongings(files, entries, []):
        if each.written and known.fingerprint(each.key) is None:
            yield from each.written.values()


def _belongings(
    files: Sequence[Found], entries: dict[str, ManifestEntry] | None, skipped: list[Skipped]
) -> Iterator[_Belongings]:
    taken: list[Found] = []
    others: list[Found] = []
    for file in files:
        if entries is not None and file.relative in entries and file.suffix == ".webp":
            skipped.append(Skipped(file.relative, "picture", _ANIMATED[file.suffix]))
        elif entries is not None and file.relative in entries:
            taken.append(file)
        elif file.suffix not in VIDEO_SUFFIXES:
            others.append(file)
        elif entries is None:
            taken.append(file)
        else:
            skipped.append(Skipped(file.relative, "not_in_manifest", "the manifest does not list it"))
    stems = {file.stem for file in taken}
    beside: defaultdict[str, list[tuple[Found, Beside]]] = defaultdict(list)
    for file in others:
        role = belonging(file.stem, file.suffix, stems)
        if role is None and file.suffix in _ANIMATED:
            skipped.append(Skipped(file.relative, "picture", _ANIMATED[file.suffix]))
        elif role is None:
            skipped.append(Skipped(file.relative, "not_a_video", "neither a video nor a file that belongs to one"))
        elif role.role == "unfinished":
            skipped.append(Skipped(file.relative, "unfinished", "a download that was not finished: fetch it again"))
        else:
            beside[role.stem].append((file, role))
    for file in taken:
        entry = entries[file.relative] if entries is not None else None
        video_id = entry.video_id if entry and entry.video_id else file.stem
        if len(video_id) > _MAX_ID:
            skipped.append(
                Skipped(file.relative, "name_too_long", f"an id has at most {_MAX_ID} characters: rename it")
            )
            continue
        stated = entry.metadata if entry else {}
        written: dict[str, Found] = {role.role: found for found, role in beside[file.stem] if role.role in _WRITTEN}
        subtitles = _subtitles(beside[file.stem], skipped)
        all_files = [file, *written.values(), *(found for found, _ in subtitles)]
        facts = "\0".join(f"{found.relative}\0{found.size}\0{found.state}" for found in all_files)
        key = key_of(facts, [found.changed_ns for found in written.values()], stated) if written else ""
        yield _Belongings(file, video_id, stated, written, subtitles, facts, key)


def _video(each: _Belongings, known: KnownSidecars, skipped: list[Skipped]) -> VideoFile:
    read: Callable[[], dict[str, JsonValue]] = partial(_metadata_of, each.written, each.stated, [])
    fingerprint = known.fingerprint(each.key) if each.written else None
    if fingerprint is None:
        unreadable: list[Skipped] = []
        metadata = _metadata_of(each.written, each.stated, unreadable)
        content = canonical_json(metadata) if metadata else ""
        fingerprint = hashlib.sha256(f"{each.facts}\0{content}".encode()).hexdigest()
        skipped += unreadable
        if each.written and not unreadable:
            known.note(each.key, fingerprint, max(found.changed_ns for found in each.written.values()))
        read = partial(dict, metadata)
    return VideoFile(
        video_id=each.video_id,
        location=each.file.location,
        relative=each.file.relative,
        subtitles=tuple(SubtitleFile(Path(found.location), language) for found, language in each.subtitles),
        fingerprint=fingerprint,
        read=read,
    )


def _metadata_of(
    written: Mapping[str, Found], stated: Mapping[str, JsonValue], skipped: list[Skipped]
) -> dict[str, JsonValue]:
    metadata: dict[str, JsonValue] = {}
    for role, read in _WRITTEN.items():
        if role in written:
            metadata |= _read_written(written[role], role, read, skipped)
    return metadata | dict(stated)


def _subtitles(beside: list[tuple[Found, Beside]], skipped: list[Skipped]) -> list[tuple[Found, str | None]]:
    """The subtitles to be read: of each language the fullest, and if there are several such the first by name."""
    named = [(found, role.subtitles) for found, role in beside if role.subtitles is not None]
    best: dict[str | None, tuple[Found, str | None]] = {}
    for found, name in sorted(named, key=lambda each: (_FULLEST.index(each[1].variant), len(each[0].relative))):
        chosen, _ = best.setdefault(primary_language(name.language), (found, name.language))
        if chosen is not found:
            detail = f"the subtitles of this language are read from {chosen.relative}"
            skipped.append(Skipped(found.relative, "other_subtitles", detail))
    return sorted(best.values(), key=lambda each: each[0].relative)


def _read_written(
    file: Found, role: str, read: Callable[[Found], dict[str, JsonValue]], skipped: list[Skipped]
) -> dict[str, JsonValue]:
    """What a file of metadata says. One that people wrote is theirs to mend and ends the scan; one that a downloader
    left, cut short say, costs only itself."""
    try:
        return read(file)
    except UsageError as error:
        if role == "metadata":
            raise
        skipped.append(Skipped(file.relative, "metadata_unreadable", str(error).removeprefix(file.where).lstrip(":, ")))
        return {}


def _read_description(file: Found) -> dict[str, JsonValue]:
    return {"description": _text_of(file)}


def _read_downloaded(file: Found) -> dict[str, JsonValue]:
    """What of a downloader's `.info.json` people wrote about the video; the rest is about the download."""
    found = parse_object(_text_of(file), file.where)
    told = {name: found[name] for name in ("title", "description", "tags", "language") if found.get(name)}
    chapters = found.get("chapters")
    if isinstance(chapters, list):
        titles = [each.get("title") for each in chapters if isinstance(each, dict)]
        told["chapters"] = [title for title in titles if isinstance(title, str)]
    if found.get("license"):
        told["licence"] = found["license"]
    return told


def _read_sidecar(file: Found) -> dict[str, JsonValue]:
    return parse_object(_text_of(file), file.where)


def _text_of(file: Found) -> str:
    if file.size > MAX_SIDECAR:
        raise UsageError(f"{file.where}: {file.size} bytes are more than {MAX_SIDECAR}: not a sidecar, move it away")
    try:
        return file.read().decode("utf-8-sig")
    except OSError as error:
        raise UsageError(f"{file.where}: the sidecar cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{file.where}: not UTF-8 ({error.reason} at byte {error.start}): save it as UTF-8") from error


_WRITTEN: Mapping[str, Callable[[Found], dict[str, JsonValue]]] = {
    "description": _read_description,
    "downloaded": _read_downloaded,
    "metadata": _read_sidecar,
}
"""How files of metadata are read, by their role. What a later one says goes before what an earlier one does."""
