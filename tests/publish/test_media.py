"""Clips that are packed: those whose licence lets them be passed on and that a browser plays; the others are told."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from hardcut.publish.dataset import Dataset
from hardcut.publish.export_dataset import ExportOptions, export
from hardcut.publish.gate import CHECKS
from hardcut.schemas.dataset_settings import ExportSettings
from hardcut.schemas.errors import UsageError
from hardcut.schemas.settings import Settings

SETTINGS = Settings(export=ExportSettings(licence="cc0-1.0", train=1, validation=0))
LICENCE = "its licence does not let it be passed on, or is not given"
CODEC = "browsers do not play its container or codec"
CLIPS = {
    "talks/été 1.mp4": ("libx264", "yuv420p", "CC-BY-4.0", None),
    "sign.webm": ("libvpx-vp9", "yuv420p", "cc0", None),
    "closed.mp4": ("libx264", "yuv420p", "all rights reserved", LICENCE),
    "unsaid.mp4": ("libx264", "yuv420p", None, LICENCE),
    "box.mkv": ("libx264", "yuv420p", "cc0", CODEC),
    "old.mp4": ("mpeg4", "yuv420p", "cc0", CODEC),
    "studio.mp4": ("libx264", "yuv444p", "cc0", CODEC),
    "gone.mp4": ("libx264", "yuv420p", "cc0", "its file is missing"),
    "cut.mp4": ("libx264", "yuv420p", "cc0", "its file has changed since the run"),
}


def film(path: Path, codec: str, pixels: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as file:
        stream: Any = file.add_stream(codec, rate=5)
        stream.width, stream.height, stream.pix_fmt = 64, 48, pixels
        for shade in (0, 120, 240):
            picture = np.full((48, 64, 3), shade, dtype=np.uint8)
            file.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        file.mux(stream.encode())


@pytest.fixture
def collection(tmp_path: Path, make: Any, write_run: Callable[..., Path]) -> tuple[Path, Path]:
    """The folder of the videos, and a run over it."""
    root, records = tmp_path / "videos", []
    for name, (codec, pixels, licence, _) in CLIPS.items():
        film(root / name, codec, pixels)
        digest = hashlib.sha256((root / name).read_bytes()).hexdigest()
        given = {"licence": licence} if licence else {}
        video = make.video(name.rsplit(".", 1)[0], **given).model_copy(update={"path": name, "sha256": digest})
        query = make.query(f"what is to be seen in {name}", video.video_id)
        pair = make.pair(query, video.video_id)
        records += [video, query, pair, make.judgment(pair, 1)]
    (root / "gone.mp4").unlink()
    (root / "cut.mp4").write_bytes((root / "cut.mp4").read_bytes()[:-1])
    return root, write_run(tmp_path / "run", records)


def test_clips_are_packed_or_told(collection: tuple[Path, Path], tmp_path: Path) -> None:
    from datasets import Video, load_dataset

    root, run = collection
    found = export(run, tmp_path / "out", SETTINGS, options=ExportOptions(media=root))
    wanted = {name.rsplit(".", 1)[0]: told for name, (*_, told) in CLIPS.items()}
    packed = {row["video_id"]: row["video"] for _, row in Dataset(found.out).rows("media")}
    assert set(packed) == {id for id, told in wanted.items() if told is None}
    for id, clip in packed.items():
        assert clip["bytes"] == (root / clip["path"]).read_bytes() and clip["path"].startswith(id)
    left_out = [json.loads(line) for line in (found.out / "left_out.jsonl").read_text().splitlines()]
    assert {row["item"]: row["detail"] for row in left_out} == {id: told for id, told in wanted.items() if told}
    assert sum(found.unpacked.values()) == 7 and found.unpacked[LICENCE] == 2 and found.unpacked[CODEC] == 3
    card = (found.out / "README.md").read_text()
    assert "2 of 9" in card and f"{LICENCE} 2" in card
    assert CHECKS["licence"](Dataset(found.out), SETTINGS).state == "passed"
    gone = CHECKS["media"](Dataset(found.out), SETTINGS)
    assert gone.state == "failed"
    assert set(gone.examples) == {"gone: its file is missing", "cut: its file has changed since the run"}

    streamed = load_dataset(str(found.out), "media", split="train", streaming=True)
    assert isinstance(streamed.features["video"], Video), "what the Hub's viewer plays"
    rows = list(streamed.cast_column("video", Video(decode=False)))
    assert {row["video_id"]: row["video"]["bytes"] for row in rows} == {id: one["bytes"] for id, one in packed.items()}


def test_an_export_again_without_clips_has_no_line_about_them(collection: tuple[Path, Path], tmp_path: Path) -> None:
    """The same rows are the same version: its lines about what left are carried on, and clips are none of them."""
    root, run = collection
    out = tmp_path / "out"
    bare = export(run, out, SETTINGS).out.joinpath("left_out.jsonl").read_bytes()
    export(run, out, SETTINGS, options=ExportOptions(media=root))
    assert (out / "left_out.jsonl").read_bytes() != bare
    again = export(run, out, SETTINGS)
    assert (again.version, again.unpacked) == ("1.0.0", {})
    assert (out / "left_out.jsonl").read_bytes() == bare


def test_where_no_clip_can_be_packed_the_card_says_so(collection: tuple[Path, Path], tmp_path: Path) -> None:
    root, run = collection
    for path in root.rglob("*.*"):
        path.unlink()
    found = export(run, tmp_path / "out", SETTINGS, options=ExportOptions(media=root))
    assert "media" not in found.rows and sum(found.unpacked.values()) == len(CLIPS)
    assert "none could be packed: its file is missing 7" in (found.out / "README.md").read_text()
    with pytest.raises(UsageError, match="no such folder"):
        export(run, tmp_path / "other", SETTINGS, options=ExportOptions(media=tmp_path / "nowhere"))
