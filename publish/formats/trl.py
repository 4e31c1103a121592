"""TRL: prompts and completions with pictures. It has no column for videos, so a video is frames of it."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
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
_HELD = 256
"""Videos whose frames stay in memory, some 100 MB: pairs of one query come together, and many have the same videos."""
Frames = Callable[[str], tuple[bytes, ...] | None]
_UNREADABLE = "rows: a video of theirs can no longer be decoded"


def write(given: Given, out: Path) -> dict[str, int]:
    """`ranking/SPLIT-00000-of-00001.parquet`, a judged pair each, and `captions/…`, what pictures alone show of each
    caption: `load_dataset(FOLDER, "ranking")` opens them with their pictures, and `SFTTrainer` trains on the completion
    alone. Rows by file."""
    frames = _reader(given)
    counts = {}
    for name, config, turns in (("ranking", "pairs", judged), ("captions", "captions", described)):
        for split in given.splits(config):
            file = f"{name}/{split}-00000-of-00001.parquet"
            counts[file] = write_table(out / file, _rows(given, turns(given, split), frames), _features())
    return {file: count for file, count in counts.items() if count}


def _reader(given: Given) -> Frames:
    """Reads the frames of a video as JPEGs; None where its file cannot be decoded. The last `_HELD` are in memory."""

    @lru_cache(maxsize=_HELD)
    def frames_of(video_id: str) -> tuple[bytes, ...] | None:
        try:
            return tuple(_jpeg(one.image) for one in open_samples(given.paths[video_id], SAMPLING))
        except ItemError:
            return None

    return frames_of


def _rows(given: Given, turns: Iterable[Turn], frames: Frames) -> Iterator[Row]:
    for turn in turns:
        shown = [frames(id) for id in turn.videos]
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
