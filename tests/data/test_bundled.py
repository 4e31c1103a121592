"""The bundled sample: small, whole, and the world of its seed."""

from __future__ import annotations

import json

from hardcut.data.bundled import sample_files
from hardcut.data.render import judgment_files
from hardcut.data.world import make_world


def test_the_sample_is_the_world_of_its_seed() -> None:
    with sample_files() as sample:
        for name, lines in judgment_files(make_world(seed=7)).items():
            assert (sample / name).read_text(encoding="utf-8").splitlines() == lines, f"{name}: render the sample again"


def test_every_video_of_the_truth_is_there_and_nothing_else() -> None:
    with sample_files() as sample:
        truths = [json.loads(line) for line in (sample / "truth.jsonl").read_text(encoding="utf-8").splitlines()]
        files = [path.relative_to(sample / "videos") for path in (sample / "videos").rglob("*") if path.is_file()]
        videos = {file.with_suffix("").as_posix() for file in files if file.suffix in (".mp4", ".webm")}
        assert videos == {truth["video_id"] for truth in truths}
        assert {file.with_suffix("").as_posix() for file in files if file.suffix == ".json"} == videos
        spoken = {truth["video_id"] for truth in truths if truth["speech"]}
        assert {file.with_suffix("").as_posix() for file in files if file.suffix in (".srt", ".vtt")} == spoken


def test_the_sample_is_small_and_has_enough_to_read() -> None:
    with sample_files() as sample:
        assert sum(path.stat().st_size for path in sample.rglob("*") if path.is_file()) < 4_000_000
        truths = [json.loads(line) for line in (sample / "truth.jsonl").read_text(encoding="utf-8").splitlines()]
    texts = [text for truth in truths for text in truth["texts"]]
    standing = [t for t in texts if t["legible"] and t["span"]["end"] - t["span"]["start"] >= 1]
    words = [word for t in standing if t["script"] == "latin" for word in t["text"].split() if word.isalpha()]
    assert len(words) >= 60
    assert {t["script"] for t in standing} == {"latin", "cyrillic", "greek", "chinese"}
    assert any(not t["legible"] for t in texts)
    assert any(t["span"]["end"] - t["span"]["start"] < 1 for t in texts)
