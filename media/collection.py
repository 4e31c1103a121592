"""What is on disk: the videos under a root with what lies beside them. Opens no video.

Found are the files with a video's suffix, in the folder and all folders below; with a manifest, the files that it
lists. Beside `talk.mp4` belong `talk.json` (a JSON object: metadata), subtitles such as `talk.srt`, `talk.en.vtt` or
`talk.en.forced.ass`, and what a downloader leaves: `talk.info.json`, `talk.description`, thumbnails.

Hidden files and folders (a name that starts with a dot) and thumbnails are left out in silence. Everything else that is
not taken is in `skipped`.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from hardcut.media.fetched import FetchedFiles
from hardcut.media.known_sidecars import KnownSidecars
from hardcut.media.manifest import ManifestEntry, read_manifest
from hardcut.media.video_files import VIDEO_SUFFIXES, Found, Skipped, VideoFile, videos_of
from hardcut.schemas.errors import UsageError


@dataclass(frozen=True, slots=True)
class Collection:
    """The videos under a root, sorted by id, and what was found beside them and not taken, sorted by name. Where they
    lie elsewhere, `fetched` brings them under the root."""

    root: Path
    files: tuple[VideoFile, ...]
    skipped: tuple[Skipped, ...]
    fetched: FetchedFiles | None = None


def scan(
    root: Path, manifest: Path | None = None, ours: Iterable[Path] = (), known: KnownSidecars | None = None
) -> Collection:
    """Lists the videos under `root`. What a manifest says about a video goes before what its sidecar says. Sidecars of
    videos that are `known` are not read.

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
        videos.extend(videos_of([file for file in files if file.location != own], entries, skipped, known))
    _check_listed(root, entries or {}, videos, skipped)
    check_ids(videos)
    if known is not None:
        known.save()
    if not videos:
        seen = f" ({len(skipped)} other files were found)" if skipped else ""
        if tar := next((each.item for each in skipped if each.item.endswith(".tar")), None):
            tars = (root / tar).parent / "*.tar"
            raise UsageError(f"{root} holds no video{seen}: name its tars themselves, such as '{tars}'")
        raise UsageError(f"{root} holds no video{seen}: put files in it that end in {', '.join(VIDEO_SUFFIXES)}")
    return Collection(root, tuple(sorted(videos, key=lambda video: video.video_id)), tuple(sorted(skipped)))


def _walk(root: str, folder: str, ours: frozenset[str], skipped: list[Skipped]) -> Iterator[list[Found]]:
    """The regular files of every folder, sorted by name, one list for each folder."""
    try:
        with os.scandir(f"{root}/{folder}") as found:
            entries = sorted(
                (entry for entry in found if not entry.name.startswith(".")), key=lambda e: os.fsencode(e.name)
            )
    except OSError as error:
        skipped.append(Skipped(_printable(folder) or ".", "unreadable", f"the folder cannot be read: {error.strerror}"))
        return
    files: list[Found] = []
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


def _file(root: str, relative: str, entry: os.DirEntry[str]) -> Found | Skipped:
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
    read, changed = partial(_bytes_of, real), max(status.st_mtime_ns, status.st_ctime_ns)
    return Found(relative, stem, suffix.lower(), real, real, status.st_size, str(status.st_mtime_ns), read, changed)


def _bytes_of(path: str) -> bytes:
    return Path(path).read_bytes()


def check_ids(videos: Iterable[VideoFile]) -> None:
    """Raises UsageError for two videos of one id."""
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
    found = videos_of([file for file in beside if file.relative.startswith(f"{stem}.")], None, skipped)
    for video in found:
        if video.location == str(where):
            return video
    why = next((item.detail for item in skipped if item.item == where.name), "it is hidden or no regular file")
    raise UsageError(f"{path}: not a video: {why}; its name ends in one of {', '.join(VIDEO_SUFFIXES)}")
