"""TRL: prompts and completions with pictures. It has no column for videos, so a video is frames of it."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hardcut.media.readers import open_samples
from hardcut.publish.dataset import Row
from hardcut.publish.formats.chat import Turn, described, judged
from hardcut.publish.formats.given import Given
from hardcut.publish.formats.writing import write_table
from hardcut.schemas.errors import ItemError
from hardcut.schemas.settings import MediaSettings

if TYPE_CHECKING:
    from datasets import Features

SAMPLING = MediaSettings(fps=2, max_frames=8, max_pixels=448 * 448)
"""How many frames stand for a video, and how large they are: spread evenly over it."""
_UNREADABLE = "rows: a video of theirs can no longer be decoded"


def write(given: Given, out: Path) -> dict[str, int]:
    """`ranking/SPLIT-00000-of-00001.parquet`, a judged pair each, and `captions/…`, what pictures alone show of each
    caption: `load_dataset(FOLDER, "ranking")` opens them with their pictures, and `SFTTrainer` trains on the completion
    alone. Rows by file."""
    frames = _Frames(given)
    counts = {}
    for split in given.splits("corpus"):
        for name, turns in (("ranking", judged(given, split)), ("captions", described(given, split))):
            file = f"{name}/{split}-00000-of-00001.parquet"
            counts[file] = write_table(out / file, _rows(given, turns, frames), _features())
    return {file: count for file, count in counts.items() if count}


class _Frames:
    """The frames of videos as JPEGs; each is decoded once, and those of all are in memory."""

    def __init__(self, given: Given) -> None:
        self._paths = given.paths
        self._known: dict[str, list[bytes] | None] = {}

    def of(self, video_id: str) -> list[bytes] | None:
        """None where the file cannot be decoded."""
        if video_id not in self._known:
            try:
                self._known[video_id] = [_jpeg(one.image) for one in open_samples(self._paths[video_id], SAMPLING)]
            except ItemError:
                self._known[video_id] = None
        return self._known[video_id]


def _rows(given: Given, turns: Iterable[Turn], frames: _Frames) -> Iterator[Row]:
    for turn in turns:
        shown = [frames.of(id) for id in turn.videos]
        pictures = [each for each in shown if each]
        if len(pictures) < len(shown):
            given.left_out[_UNREADABLE] += 1
            continue
        waiting = iter(pictures)
        content: list[Row] = []
        for part in turn.parts:
            if part is None:
                content += [{"type": "image", "text": None} for _ in next(waiting)]
            else:
                content.append({"type": "text", "text": part})
        yield {
            "prompt": [{"role": "user", "content": content}],
            "completion": [{"role": "assistant", "content": [{"type": "text", "text": turn.answer}]}],
            "images": [{"bytes": picture, "path": None} for video in pictures for picture in video],
        }


def _features() -> Features:
    from datasets import Features, Image, Value

    said = [{"role": Value("string"), "content": [{"type": Value("string"), "text": Value("string")}]}]
    return Features({"prompt": said, "completion": said, "images": [Image()]})


def _jpeg(image: Any) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=SAMPLING.jpeg_quality)
    return buffer.getvalue()
