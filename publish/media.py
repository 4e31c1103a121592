"""The config `media`: clips whose licence lets them be passed on, in Parquet as the Hub's viewer plays them.

A clip lies in a row group of its own, below the 300 MB that the viewer reads at once, byte for byte as it was.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from pathlib import Path

from hardcut.media.container import open_video
from hardcut.publish._parquet import ConfigWriter, SplitSize
from hardcut.publish.dataset import Dataset, Row
from hardcut.publish.licences import allows_redistribution
from hardcut.schemas.errors import ItemError, UsageError
from hardcut.schemas.records import Dropped

MAX_BYTES = 250_000_000
_PLAYED = {"mp4": {"h264", "vp9", "av1", "libdav1d"}, "webm": {"vp8", "vp9", "av1", "libdav1d"}}
GONE, NO_CLIP = "missing_file", "no_clip"
"""The reason of a clip whose file is not there, or is another; and of the others without a clip."""
_MISSING, _CHANGED = "its file is missing", "its file has changed since the run"
_PIXELS = {"yuv420p", "yuvj420p", "yuva420p"}


def write_media(dataset: Dataset, root: Path) -> tuple[dict[str, dict[str, SplitSize]], list[Dropped]]:
    """Packs the clips of the corpus; the sizes of the config, and every video without one with the reason as `detail`.
    No clip, no config.

    Raises UsageError where `root` is no folder. A file that is not the one of the run is left out, not packed.
    """
    if not root.is_dir():
        raise UsageError(f"{root}: no such folder: name the folder of the videos with --with-media")
    writer: ConfigWriter | None = None
    left_out = []
    for split, row in dataset.rows("corpus", ("video_id", "video_path", "sha256", "licence", "duration_s")):
        content = _clip(root, row)
        if isinstance(content, str):
            reason = GONE if content in (_MISSING, _CHANGED) else NO_CLIP
            left_out.append(Dropped.create(item=row["video_id"], stage="export", reason=reason, detail=content))
            continue
        if writer is None:
            writer = ConfigWriter(dataset.folder / "data", "media", dataset.splits("corpus"), rows_per_group=1)
        name = f"{row['video_id']}{Path(row['video_path']).suffix}"
        kept = {name: row[name] for name in ("video_id", "sha256", "licence", "duration_s")}
        writer.add(split, {**kept, "video": {"path": name, "bytes": content}})
    if writer is None:
        return {}, left_out
    writer.close()
    return {"media": writer.sizes}, left_out


def _clip(root: Path, row: Row) -> bytes | str:
    """The file's bytes, or why it is left out."""
    if not allows_redistribution(row["licence"]):
        return "its licence does not let it be passed on, or is not given"
    path = (root / row["video_path"]).resolve()
    if not path.is_relative_to(root.resolve()) or not path.is_file():
        return _MISSING
    if path.stat().st_size > MAX_BYTES:
        return f"larger than {MAX_BYTES // 10**6} MB"
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != row["sha256"]:
        return _CHANGED
    return content if _plays(path) else "browsers do not play its container or codec"


def _plays(path: Path) -> bool:
    """Whether browsers play it: codec and pixels of the picture in a container that they take for it."""
    with suppress(ItemError), open_video(path) as container:
        for stream in container.streams.video[:1]:
            codec, pixels = stream.codec_context.name, stream.codec_context.pix_fmt
            family = next((kind for kind in _PLAYED if kind in container.format.name.split(",")), None)
            return family is not None and codec in _PLAYED[family] and pixels in _PIXELS
    return False
