"""What is on disk: the videos under a root with what lies beside them. Opens no video.

Found are the files with a video's suffix, in the folder and all folders below; with a manifest, the files that it
lists. Beside `talk.mp4` belong `talk.json` (a JSON object: metadata), subtitles such as `talk.srt`, `talk.en.vtt` or
`talk.en.forced.ass`, and what a downloader leaves: `talk.info.json`, `talk.description`, thumbnails.

Hidden files and folders (a name that starts with a dot) and thumbnails are left out in silence. Everything else that is
not taken is in `skipped`.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from pydantic import JsonValue

from hardcut.media.beside import Beside, Variant, belonging
from hardcut.media.manifest import ManifestEntry, parse_object, read_manifest
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
_MAX_SIDECAR = 16 * 2**20


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

    `fingerprint` changes with the file (size, time of change), its metadata and its sidecars.
    """

    video_id: str
    location: str
    relative: str
    metadata: dict[str, JsonValue]
    subtitles: tuple[SubtitleFile, ...]
    fingerprint: str

    @property
    def path(self) -> Path:
        return Path(self.location)


@dataclass(frozen=True, slots=True)
class Collection:
    """The videos under a root, sorted by id, and what was found beside them and not taken, sorted by name."""

    root: Path
    files: tuple[VideoFile, ...]
    skipped: tuple[Skipped, ...]


class _File(NamedTuple):
    """A regular file. `stem` and `suffix` are the parts of `relative`; `real` is where a link leads."""

    relative: str
    stem: str
    suffix: str
    real: str
    size: int
    mtime_ns: int


def scan(root: Path, manifest: Path | None = None, ours: Iterable[Path] = ()) -> Collection:
    """Lists the videos under `root`. What a manifest says about a video goes before what its sidecar says.

    Folders in `ours` are passed over in silence: what Hardcut itself writes (a run, a cache) may lie under the root.

    Raises UsageError: no folder, nothing in it, two videos of one id, a wrong manifest line or sidecar. The message
    names file and line.
    """
    if not root.is_dir():
        raise UsageError(f"{root} is not a folder" if root.exists() else f"{root}: no such folder")
    root = root.resolve()
    own_folders = frozenset(str(folder.resolve()) for folder in ours)
    if str(root) in own_folders:
        raise UsageError(f"{root} is the folder of videos, and what is written needs one of its own: give another")
    entries = read_manifest(manifest) if manifest else None
    own = str(manifest.resolve()) if manifest else None
    skipped: list[Skipped] = []
    videos: list[VideoFile] = []
    for files in _walk(str(root), "", own_folders, skipped):
        videos.extend(_videos([file for file in files if file.real != own], entries, skipped))
    _check_listed(root, entries or {}, videos, skipped)
    _check_ids(videos)
    if not videos:
        seen = f" ({len(skipped)} other files were found)" if skipped else ""
        raise UsageError(f"{root} holds no video{seen}: put files in it that end in {', '.join(VIDEO_SUFFIXES)}")
    return Collection(root, tuple(sorted(videos, key=lambda video: video.video_id)), tuple(sorted(skipped)))


def _walk(root: str, folder: str, ours: frozenset[str], skipped: list[Skipped]) -> Iterator[list[_File]]:
    """The regular files of every folder, sorted by name, one list for each folder."""
    try:
        with os.scandir(f"{root}/{folder}") as found:
            entries = sorted(
                (entry for entry in found if not entry.name.startswith(".")), key=lambda e: os.fsencode(e.name)
            )
    except OSError as error:
        skipped.append(Skipped(_printable(folder) or ".", "unreadable", f"the folder cannot be read: {error.strerror}"))
        return
    files: list[_File] = []
    folders: list[str] = []
    for entry in entries:
        relative = f"{folder}/{entry.name}" if folder else entry.name
        try:
            relative.encode("utf-8")
        except UnicodeEncodeError:
            skipped.append(Skipped(_printable(relative), "name_not_utf8", "the name is not UTF-8: rename it"))
            continue
        if entry.is_dir(follow_symlinks=False):
            if f"{root}/{relative}" not in ours:
                folders.append(relative)
            continue
        file = _file(root, relative, entry)
        if isinstance(file, Skipped):
            skipped.append(file)
        else:
            files.append(file)
    yield files
    for relative in folders:
        yield from _walk(root, relative, ours, skipped)


def _file(root: str, relative: str, entry: os.DirEntry[str]) -> _File | Skipped:
    real = entry.path
    try:
        if entry.is_symlink():
            real = os.path.realpath(entry.path)
            if os.path.commonpath([root, real]) != root:
                return Skipped(relative, "outside_root", "a link that leads out of the folder is not followed")
            if entry.is_dir():
                return Skipped(
                    relative, "linked_folder", "a link to a folder is not followed; its files are found where they are"
                )
        status = entry.stat()
    except OSError as error:
        return Skipped(relative, "unreadable", f"it leads nowhere or cannot be looked at: {error.strerror}")
    if not stat.S_ISREG(status.st_mode):
        return Skipped(relative, "not_a_file", "a pipe, socket or device, not a file")
    if not os.access(real, os.R_OK):
        return Skipped(relative, "unreadable", "no permission to read it")
    stem, suffix = os.path.splitext(relative)  # noqa: PTH122 (a Path for each of 100,000 files is slow)
    return _File(relative, stem, suffix.lower(), real, status.st_size, status.st_mtime_ns)


def _videos(
    files: list[_File], entries: dict[str, ManifestEntry] | None, skipped: list[Skipped]
) -> Iterator[VideoFile]:
    """The videos of one folder, each with its sidecars."""
    taken: list[_File] = []
    others: list[_File] = []
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
    beside: defaultdict[str, list[tuple[_File, Beside]]] = defaultdict(list)
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
        yield _video(file, video_id, entry, beside[file.stem], skipped)


def _video(
    file: _File,
    video_id: str,
    entry: ManifestEntry | None,
    beside: list[tuple[_File, Beside]],
    skipped: list[Skipped],
) -> VideoFile:
    written = {role.role: found for found, role in beside if role.role in _WRITTEN}
    metadata: dict[str, JsonValue] = {}
    for role, read in _WRITTEN.items():
        if role in written:
            metadata |= _read_written(written[role], role, read, skipped)
    metadata |= entry.metadata if entry else {}
    subtitles = _subtitles(beside, skipped)
    files = [file, *written.values(), *(found for found, _ in subtitles)]
    facts = "\0".join(f"{found.relative}\0{found.size}\0{found.mtime_ns}" for found in files)
    content = canonical_json(metadata) if metadata else ""
    return VideoFile(
        video_id=video_id,
        location=file.real,
        relative=file.relative,
        metadata=metadata,
        subtitles=tuple(SubtitleFile(Path(found.real), language) for found, language in subtitles),
        fingerprint=hashlib.sha256(f"{facts}\0{content}".encode()).hexdigest(),
    )


def _subtitles(beside: list[tuple[_File, Beside]], skipped: list[Skipped]) -> list[tuple[_File, str | None]]:
    """The subtitles to be read: of each language the fullest, and if there are several such the first by name."""
    named = [(found, role.subtitles) for found, role in beside if role.subtitles is not None]
    best: dict[str | None, tuple[_File, str | None]] = {}
    for found, name in sorted(named, key=lambda each: (_FULLEST.index(each[1].variant), len(each[0].relative))):
        chosen, _ = best.setdefault(primary_language(name.language), (found, name.language))
        if chosen is not found:
            detail = f"the subtitles of this language are read from {chosen.relative}"
            skipped.append(Skipped(found.relative, "other_subtitles", detail))
    return sorted(best.values(), key=lambda each: each[0].relative)


def _read_written(
    file: _File, role: str, read: Callable[[_File], dict[str, JsonValue]], skipped: list[Skipped]
) -> dict[str, JsonValue]:
    """What a file of metadata says. One that people wrote is theirs to mend and ends the scan; one that a downloader
    left, cut short say, costs only itself."""
    try:
        return read(file)
    except UsageError as error:
        if role == "metadata":
            raise
        skipped.append(Skipped(file.relative, "metadata_unreadable", str(error).removeprefix(file.real).lstrip(":, ")))
        return {}


def _read_description(file: _File) -> dict[str, JsonValue]:
    return {"description": _text_of(file)}


def _read_downloaded(file: _File) -> dict[str, JsonValue]:
    """What of a downloader's `.info.json` people wrote about the video; the rest is about the download."""
    found = parse_object(_text_of(file), file.real)
    told = {name: found[name] for name in ("title", "description", "tags", "language") if found.get(name)}
    chapters = found.get("chapters")
    if isinstance(chapters, list):
        titles = [each.get("title") for each in chapters if isinstance(each, dict)]
        told["chapters"] = [title for title in titles if isinstance(title, str)]
    if found.get("license"):
        told["licence"] = found["license"]
    return told


def _read_sidecar(file: _File) -> dict[str, JsonValue]:
    return parse_object(_text_of(file), file.real)


def _text_of(file: _File) -> str:
    if file.size > _MAX_SIDECAR:
        raise UsageError(f"{file.real}: {file.size} bytes are more than {_MAX_SIDECAR}: not a sidecar, move it away")
    try:
        return Path(file.real).read_text("utf-8-sig")
    except OSError as error:
        raise UsageError(f"{file.real}: the sidecar cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{file.real}: not UTF-8 ({error.reason} at byte {error.start}): save it as UTF-8") from error


_WRITTEN: Mapping[str, Callable[[_File], dict[str, JsonValue]]] = {
    "description": _read_description,
    "downloaded": _read_downloaded,
    "metadata": _read_sidecar,
}
"""How files of metadata are read, by their role. What a later one says goes before what an earlier one does."""


def _check_ids(videos: list[VideoFile]) -> None:
    seen: dict[str, str] = {}
    for video in videos:
        other = seen.setdefault(video.video_id, video.relative)
        if other != video.relative:
            raise UsageError(
                f"two videos have the id {video.video_id!r}: {other} and {video.relative}: "
                "rename one, or give them ids in a manifest"
            )


def _check_listed(
    root: Path, entries: dict[str, ManifestEntry], videos: list[VideoFile], skipped: list[Skipped]
) -> None:
    """Every line of the manifest must have become a video, or be among those skipped for what the file is."""
    found = {video.relative for video in videos}
    reasons = {item.item: item for item in skipped}
    for relative, entry in entries.items():
        if relative in found:
            continue
        if not os.path.lexists(root / relative):
            raise UsageError(f"{entry.where}: no such file: {relative}")
        if not (root / relative).resolve().is_relative_to(root):
            raise UsageError(f"{entry.where}: {relative} leads outside the folder by a link")
        if relative not in reasons:
            raise UsageError(
                f"{entry.where}: {relative} is hidden, a folder, or reached by a link: name the file itself"
            )


def _printable(name: str) -> str:
    """A name with bytes that are not UTF-8 shown as \\xNN."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def find_video(path: Path) -> VideoFile:
    """One video with what lies beside it. Raises UsageError where there is no such file, or it is no video."""
    if not path.is_file():
        raise UsageError(f"{path} is a folder, not a video" if path.is_dir() else f"{path}: no such file")
    where = path.resolve()
    skipped: list[Skipped] = []
    beside = next(_walk(str(where.parent), "", frozenset(), skipped), [])
    stem = where.name.removesuffix(where.suffix)
    found = _videos([file for file in beside if file.relative.startswith(f"{stem}.")], None, skipped)
    for video in found:
        if video.location == str(where):
            return video
    why = next((item.detail for item in skipped if item.item == where.name), "it is hidden or no regular file")
    raise UsageError(f"{path}: not a video: {why}; its name ends in one of {', '.join(VIDEO_SUFFIXES)}")
