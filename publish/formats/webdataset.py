"""WebDataset: shards of tar files, a sample a video: its file as it is, and a .json of what is known of it."""

from __future__ import annotations

import io
import json
import tarfile
from collections import defaultdict
from pathlib import Path
from urllib.parse import quote

from hardcut.publish.dataset import Row
from hardcut.publish.formats.given import Given
from hardcut.publish.formats.writing import of_split, public_ids

BYTES_PER_SHARD = 500_000_000


def write(given: Given, out: Path) -> dict[str, int]:
    """`SUFFIX/SPLIT-00000.tar`, … for each split and each suffix of videos (`mp4`): readers take the members of
    the first sample for those of all. The members of a sample are `KEY.SUFFIX`, the video, and `KEY.json`:
    video_id, sha256, licence, caption, and `pairs`, each with query_id, query, label, logit_margin and the
    reference_video_id of a composed query. KEY is the video's id with `.`, `/` and whatever a file's name may not
    have percent-encoded: readers part a name at its first dot.

    A split holds the videos that its pairs name, also those of an earlier split. Samples by file.
    """
    names = public_ids(given)
    captions = {row["video_id"]: row["caption"] for _, row in given.rows("captions", ("video_id", "caption"))}
    corpus = {row["video_id"]: row for _, row in given.rows("corpus", ("video_id", "sha256", "licence", "video_path"))}
    counts: dict[str, int] = {}
    for split in given.splits("pairs"):
        pairs: defaultdict[str, list[Row]] = defaultdict(list)
        columns = ("query_id", "query", "video_id", "label", "logit_margin", "reference_video_id")
        for row in of_split(given, "pairs", split, columns):
            pairs[row["video_id"]].append({**row, "query_id": names[row["query_id"]]})
        for suffix in sorted({_suffix(corpus[id]) for id in pairs}):
            shards = _Shards(out, f"{suffix}/{split}", counts)
            for video_id in sorted(id for id in pairs if _suffix(corpus[id]) == suffix):
                video = corpus[video_id]
                about = {name: video[name] for name in ("video_id", "sha256", "licence")}
                about |= {"caption": captions.get(video_id), "pairs": pairs[video_id]}
                shards.add(f"{_key(video_id)}.{suffix}", Path(video["video_path"]), about)
            shards.close()
    return counts


class _Shards:
    """The tar files of one split. The same samples give the same bytes."""

    def __init__(self, out: Path, place: str, counts: dict[str, int]) -> None:
        self._out, self._place, self._counts = out, place, counts
        self._number = 0
        self._tar: tarfile.TarFile | None = None
        self._name = ""

    def add(self, member: str, video: Path, about: Row) -> None:
        """Adds a sample, in a new shard where the last one is full."""
        if self._tar is None or self._tar.offset >= BYTES_PER_SHARD:
            self.close()
            self._name = f"{self._place}-{self._number:05d}.tar"
            (self._out / self._name).parent.mkdir(exist_ok=True)
            self._tar = tarfile.open(self._out / self._name, "w", format=tarfile.PAX_FORMAT)  # noqa: SIM115
            self._number += 1
            self._counts[self._name] = 0
        told = json.dumps(about, ensure_ascii=False).encode("utf-8")
        self._put(member, video.stat().st_size, video)
        self._put(f"{member.rpartition('.')[0]}.json", len(told), told)
        self._counts[self._name] += 1

    def _put(self, name: str, size: int, source: Path | bytes) -> None:
        assert self._tar is not None
        info = tarfile.TarInfo(name)
        info.size = size
        if isinstance(source, bytes):
            self._tar.addfile(info, io.BytesIO(source))
        else:
            with source.open("rb") as file:
                self._tar.addfile(info, file)

    def close(self) -> None:
        """Ends the shard that is being written."""
        if self._tar is not None:
            self._tar.close()
            self._tar = None


def _suffix(video: Row) -> str:
    return Path(video["video_path"]).suffix.lower().removeprefix(".")


def _key(video_id: str) -> str:
    return quote(video_id, safe=" ").replace(".", "%2E")
