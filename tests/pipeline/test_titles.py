"""A query that only a video's title answers: no positive by default, since a reranker sees no title.

The clips show a grey field, so that nothing but their titles tells them apart.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

pytest.importorskip("rapidocr", reason='needs pip install "hardcut[ocr]"')
pytest.importorskip("bm25s", reason='needs pip install "hardcut[eval]"')

from hardcut.engine.progress import NullProgress
from hardcut.engine.status import read_status
from hardcut.pipeline.begun import as_begun
from hardcut.pipeline.cache import Cache
from hardcut.pipeline.carry_out import Job, carry_out
from hardcut.pipeline.merge import merge
from hardcut.publish.dataset import Dataset, digests
from hardcut.publish.export_dataset import write_marker
from hardcut.publish.recipe_file import RECIPE, portable_settings, read_recipe
from hardcut.schemas.config import load_settings
from hardcut.schemas.jsonl import read_records
from hardcut.schemas.judgments import Judgment
from hardcut.schemas.records import Query, TeacherLabel
from hardcut.schemas.settings import Settings

TITLES = {"a": "The ribbon is cut at Elmwood library", "b": "A heron wades in the Marlow canal"}
SEEN, NAMED = "the ribbon is cut at Elmwood library", 'a video titled "A heron wades in the Marlow canal"'
"""A query about what happens, which the title alone answers, and one that asks for the title."""


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("titled")
    for number, (name, title) in enumerate(TITLES.items()):
        with av.open(str(folder / f"{name}.mp4"), "w") as container:
            stream = container.add_stream("mpeg4", rate=4)
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
            for _ in range(8):
                picture = np.full((48, 64, 3), 120 + 40 * number, dtype=np.uint8)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            container.mux(stream.encode(None))
        (folder / f"{name}.json").write_text(json.dumps({"title": title}), encoding="utf-8")
    (folder / "queries.tsv").write_text(f"seen\t{SEEN}\nnamed\t{NAMED}\n", encoding="utf-8")
    return folder


def start(videos: Path, folder: Path, **overrides: Any) -> Path:
    """A start of the run in `folder`, and its folder."""
    settings = load_settings(None, {"inputs.queries": str(videos / "queries.tsv"), **overrides})
    asyncio.run(carry_out(Job(videos, folder / "run", settings, Cache(folder / "cache")), NullProgress()))
    return folder / "run"


def positives(run: Path) -> set[tuple[str, str]]:
    """The user's queries with the videos that are judged to answer them."""
    names = {query.query_id: query.external_id for query in read_records(run / Query.FILE, Query)}
    found = read_records(run / Judgment.FILE, Judgment)
    return {(str(names[each.query_id]), each.video_id) for each in found if each.grade > 0 and names[each.query_id]}


def test_a_query_that_only_the_title_answers(videos: Path, tmp_path: Path) -> None:
    """By default it has no positive; one that asks for the title has."""
    assert positives(start(videos, tmp_path / "new")) == {("named", "b")}
    told = start(videos, tmp_path / "told", **{"scores.show_metadata": True})
    assert positives(told) == {("named", "b"), ("seen", "a")}, "the title does answer it"


def test_a_run_that_was_begun_with_titles_keeps_them(videos: Path, tmp_path: Path) -> None:
    """Whether its settings say so or are older than that setting; what was judged is not judged again."""
    run = start(videos, tmp_path, **{"scores.show_metadata": True})
    before, labels = positives(run), (run / TeacherLabel.FILE).read_bytes()
    for line in ("show_metadata = true\n", ""):
        own = run / "run.toml"
        own.write_text(own.read_text("utf-8").replace("show_metadata = true\n", line), encoding="utf-8")
        start(videos, tmp_path)
        assert "show_metadata = true\n" in own.read_text("utf-8")
        assert (positives(run), (run / TeacherLabel.FILE).read_bytes()) == (before, labels)
    start(videos, tmp_path, **{"scores.show_metadata": False})
    assert positives(run) == {("named", "b")}, "what the settings say goes before"
    start(videos, tmp_path)
    assert positives(run) == {("named", "b")}, "and is how the run goes on"
    assert read_status(run).finished


def test_runs_that_are_merged_keep_what_they_were_begun_with(videos: Path, tmp_path: Path) -> None:
    run = start(videos, tmp_path, **{"scores.show_metadata": True})
    merge(tmp_path / "merged", [run])
    assert as_begun(Settings(), tmp_path / "merged").scores.show_metadata is True
    assert as_begun(Settings(), tmp_path / "new").scores.show_metadata is False


def test_a_recipe_that_is_older_than_the_setting_is_of_a_run_that_was_told_titles(tmp_path: Path) -> None:
    for given, told in ((Settings(), True), (load_settings(None, {"scores.show_metadata": False}), False)):
        line = {"kind": "run", "settings": portable_settings(given)}
        (tmp_path / RECIPE).write_text(json.dumps(line) + "\n", encoding="utf-8")
        write_marker(tmp_path, {}, digests(tmp_path))
        assert read_recipe(Dataset(tmp_path)).settings["scores"]["show_metadata"] is told
