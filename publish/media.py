"""The config `media`: clips whose licence lets them be passed on, in Parquet as the Hub's viewer plays them.

A clip lies in a row group of its own, below the 300 MB that the viewer reads at once, byte for byte as it was.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from hardcut.publish._parquet import ConfigWriter, SplitSize
from hardcut.publish.card import Facts
from hardcut.publish.dataset import Dataset, Row
from hardcut.publish.licences import allows_redistribution
from hardcut.schemas.errors import UsageError

MAX_BYTES = 250_000_000
_CODECS = {"h264", "vp8", "vp9", "av1"}
_CONTAINERS = {"mp4", "webm"}


def write_media(dataset: Dataset, root: Path, facts: Facts) -> dict[str, dict[str, SplitSize]]:
    """Packs the clips of the corpus and counts in `facts` those that are left out, by reason. No clip, no config.

    Raises UsageError where `root` is no folder. A file that is not the one of the run is left out, not packed.
    """
    if not root.is_dir():
        raise UsageError(f"{root}: no such folder: name the folder of the videos with --with-media")
    writer: ConfigWriter | None = None
    for split, row in dataset.rows("corpus", ("video_id", "video_path", "sha256", "licence", "duration_s")):
        content = _clip(root, row)
        if isinstance(content, str):
            facts.unpacked[content] += 1
            continue
        if writer is None:
            writer = ConfigWriter(dataset.folder / "data", "media", dataset.splits("corpus"), rows_per_group=1)
        name = f"{row['video_id']}{Path(row['video_path']).suffix}"
        kept = {name: row[name] for name in ("video_id", "sha256", "licence", "duration_s")}
        writer.add(split, {**kept, "video": {"path": name, "bytes": content}})
    if writer is None:
        return {}
    writer.close()
    return {"media": writer.sizes}


def _clip(root: Path, row: Row) -> bytes | str:
    """The file's bytes, or why it is left out."""
    if not allows_redistribution(row["licence"]):
        return "licence"
    path = (root / row["video_path"]).resolve()
    if not path.is_relative_to(root.resolve()) or not path.is_file():
        return "missing"
    if path.stat().st_size > MAX_BYTES:
        return "too large"
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != row["sha256"]:
        return "altered since the run"
    return content if _plays(path) else "does not play in a browser"


def _plays(path: Path) -> bool:
    """Whether browsers play it: container and codec of the picture."""
    import av

    try:
        with av.open(str(path)) as container:
            names = set(container.format.name.split(","))
            codec = container.streams.video[0].codec_context.name if container.streams.video else ""
    except (av.FFmpegError, OSError):
        return False
    return bool(names & _CONTAINERS) and codec in _CODECS
