"""The exports that consumers are tried on: ten clips of 12 seconds in every format, and what is true of them.

With a query in each of four scripts, one with a tag in it, one that starts from a video, a .webm, a copy of a clip, and
a split that `groups` has no row for.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import av
import numpy as np

from hardcut.publish.dataset import Dataset
from hardcut.publish.export_dataset import ExportOptions, export
from hardcut.publish.formats.registry import EXPORTERS, OF_TRIPLETS, convert
from hardcut.schemas.dataset_settings import ExportSettings
from hardcut.schemas.settings import Settings

COMPOSED, REFERENCE = "now from behind", "v6.mp4"
TEXTS = ("門を開ける男", "человек идёт домой", "the tag <video> in a query", "سيارة حمراء", *(c * 9 for c in "abcdef"))


def build(folder: Path) -> Path:
    """Writes `FORMAT/` for each format, `hf/` and `truth.json`, and returns the folder."""
    folder = folder.resolve()  # consumers know their files by whole paths
    helpers, videos = _helpers(), folder / "videos"
    videos.mkdir(parents=True)
    make = helpers.Make()
    records: list[Any] = []
    for i in range(10):
        path = videos / ("v1.webm" if i == 1 else f"v{i}.mp4")
        if i == 7:
            path.write_bytes((videos / "v2.mp4").read_bytes())  # a copy
        else:
            _clip(path, i)
        video = make.video(f"v{i}", split="train" if i < 8 else "test" if i == 8 else "validation", licence="CC0-1.0")
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        records.append(video.model_copy(update={"path": path.name, "sha256": sha256}))
        records.append(make.caption(f"v{i}", f"Caption {i}."))
    queries = [make.query(text, f"v{i}") for i, text in enumerate(TEXTS)]
    queries.append(make.query(COMPOSED, "v5", kind="composed", reference_video_id="v6"))
    for query in queries:
        at = int(query.source_video_id[1:])
        for step in range(2 if at == 9 else 4):  # too few for a group
            pair = make.pair(query, f"v{(at + step) % 7 if at < 7 or step else at}")
            label = make.label(pair, "no" if step else "yes", -8.0 - step if step else 5.0)
            records += [pair, label, make.judgment(pair, int(not step), label)]
    run = helpers.written(folder / "run", [*records, *queries])
    settings = Settings(export=ExportSettings(licence="cc0-1.0", train=0.8, validation=0.1))
    dataset = Dataset(export(run, folder / "hf", settings, options=ExportOptions(media=videos)).out)
    assert dataset.splits("groups") == ("train", "test"), "the case of a split without rows"
    counts = {name: dict(convert(dataset, name, folder / name, videos).rows) for name in EXPORTERS.keys() - OF_TRIPLETS}
    convert(dataset, "mteb", folder / "mteb-texts")
    splits = {str(videos / row["video_path"]): split for split, row in dataset.rows("corpus")}
    truth = {"splits": splits, "composed": COMPOSED, "reference": str(videos / REFERENCE), "counts": counts}
    (folder / "truth.json").write_text(json.dumps(truth), encoding="utf-8")
    return folder


def _clip(path: Path, shade: int) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libvpx" if path.suffix == ".webm" else "mpeg4", rate=2)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for at in range(24):
            picture = np.full((48, 64, 3), 10 * at + shade, dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))


def _helpers() -> ModuleType:
    path = Path(__file__).parents[1] / "publish" / "conftest.py"
    spec = importlib.util.spec_from_file_location("consumers_records", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    build(Path(sys.argv[1]))
