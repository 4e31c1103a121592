"""What is made of videos, and the folder, page and command of a diagnosis, on real clips."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hardcut.media.clip import write_pictures
from hardcut.media.ingest import ingest
from hardcut.reranker.clips import Clips
from hardcut.reranker.diagnosis.altering import altered_frames, burnt_in
from hardcut.reranker.diagnosis.findings import diagnose
from hardcut.reranker.diagnosis.folder import Made, read_folder, strip_of, write_folder
from hardcut.reranker.diagnosis.page import render
from hardcut.reranker.diagnosis.trials import Altered, plan
from hardcut.schemas.errors import UsageError
from hardcut.schemas.settings import MediaSettings
from hardcut.schemas.trec import read_qrels, read_run

COUNT = 24
"""Videos of the little collection."""


@dataclass
class Tables:
    tables: dict[str, list[tuple[str, dict[str, Any]]]]

    @property
    def configs(self) -> tuple[str, ...]:
        return tuple(self.tables)

    def rows(self, config: str, columns: Sequence[str] | None = None) -> Iterator[tuple[str, dict[str, Any]]]:
        for split, row in self.tables.get(config, ()):
            yield split, row if columns is None else {name: row[name] for name in columns}


def _film(n: int) -> list[Any]:
    """A square that moves to the right; in every third a bright caption-like bar."""
    pictures = []
    for at in range(8):
        picture = np.full((90, 160, 3), 30 + n, dtype=np.uint8)
        picture[20:50, 10 + 14 * at : 40 + 14 * at] = (200, 40 + 5 * n, 40)
        pictures.append(picture)
    return pictures


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> tuple[Tables, Clips]:
    root = tmp_path_factory.mktemp("collection")
    (root / "videos").mkdir()
    media, queries, pairs, blocks = MediaSettings(), [], [], []
    files = []
    for n in range(COUNT):
        path = root / "videos" / f"v{n}.mp4"
        write_pictures(_film(n), [at / 4 for at in range(8)], 2.0, path)
        found = ingest(str(path), str(root / "frames"), media)
        files.append({"video_id": f"v{n}", "video_path": path.name, "sha256": found.probe.sha256})
    for n, file in enumerate(files):
        kind = "moment" if n % 2 else "event"
        row = {"query_id": f"q{n}", "query": f"square number {n}", "kind": kind, "view": "caption", "facets": []}
        queries.append(("test", {**row, "reference_video_id": None}))
        pairs.append(("test", {"query_id": f"q{n}", **file, "label": 1}))
        pairs.append(("test", {"query_id": f"q{n}", **files[(n + 1) % COUNT], "label": 0}))
        sides = {
            side: {"query_id": f"q{n}-{way}", "query": f"square {n} moves {way}", "kind": "temporal"}
            for side, way in (("answered", "right"), ("unanswered", "left"))
        }
        blocks.append(("test", {"change": "reversed", **file, **sides, "mirror": None}))
    tables = Tables({"queries": queries, "pairs": pairs, "diagnostic": blocks})
    return tables, Clips(root / "videos", root / "frames", media)


def _no_text(picture: Any) -> Sequence[Any]:
    return []


@pytest.fixture(scope="module")
def made(collection: tuple[Tables, Clips], tmp_path_factory: pytest.TempPathFactory) -> Made:
    tables, clips = collection
    drawn = plan(tables, ("test",), (), most=24)
    folder = tmp_path_factory.mktemp("diagnosis")
    return write_folder(drawn, folder, clips, _no_text, lambda _: None)


def _frames_of(path: Path) -> list[Any]:
    import av

    with av.open(str(path)) as file:
        return [frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)]


def _at(frame: Any) -> float:
    """Where the square is, in pixels from the left."""
    red = (frame[:, :, 0].astype(int) - frame[:, :, 2]) > 80
    return float(np.argwhere(red)[:, 1].mean())


def test_videos_are_played_backwards_shuffled_and_as_one_frame(made: Made) -> None:
    of = {each.how: each for each in made.plan.altered if each.video_id == "v3" and each.how != "words"}
    ways = {how: [_at(frame) for frame in _frames_of(made.folder / "videos" / f"{of[how].id}.mp4")] for how in of}
    plain = ways["plain"]
    assert plain == sorted(plain) and len(plain) >= 8
    assert ways["reversed"] == sorted(ways["reversed"], reverse=True)
    assert max(ways["one-frame"]) - min(ways["one-frame"]) < 2
    assert ways["shuffled"] not in (sorted(ways["shuffled"]), sorted(ways["shuffled"], reverse=True))
    assert {round(each) for each in ways["shuffled"]} <= {round(each) + d for each in plain for d in (-2, -1, 0, 1, 2)}
    again, before = ((made.folder / "videos" / f"{of[how].id}.mp4").stat().st_size for how in ("again", "plain"))
    assert again < before, "less quality"


def test_words_are_burnt_in_and_text_is_blurred() -> None:
    frame = _film(0)[0]
    shown = burnt_in(frame, "a very long query that takes more than a single line of the picture to be shown in whole")
    assert shown.shape == frame.shape and (shown[:30] == frame[:30]).all()
    assert (shown[60:] > 200).any() and (shown[60:] < 20).any(), "white on a dark band"
    text = burnt_in(frame, "READ THIS")
    quad = np.array([[0, 60], [160, 60], [160, 90], [0, 90]])
    (blurred,) = altered_frames(Altered(id="x", video_id="v", how="muted"), [text], lambda _: [quad]) or [None]
    assert blurred is not None and (blurred[:50] == text[:50]).all()
    assert blurred[60:].std() < text[60:].std() / 2
    assert altered_frames(Altered(id="x", video_id="v", how="muted"), [text], _no_text) is None
    assert altered_frames(Altered(id="x", video_id="v", how="muted"), [text], None) is None


def test_the_folder_is_read_by_any_program(made: Made) -> None:
    folder = made.folder
    queries = dict(line.split("\t") for line in (folder / "queries.tsv").read_text().splitlines())
    whole, altered = (read_run(folder / name).scores for name in ("run.trec", "made.trec"))
    assert set(whole) | set(altered) <= set(queries)
    asked = {video for videos in altered.values() for video in videos}
    assert asked == {path.stem for path in (folder / "videos").iterdir()}
    for name in ("reversed", "moment"):
        qrels, run = read_qrels(folder / "sets" / f"{name}.qrels"), read_run(folder / "sets" / f"{name}.trec").scores
        assert {query: set(videos) for query, videos in qrels.items()} == {query: set(of) for query, of in run.items()}
    assert all("muted" in id for id in made.left_out) and len(made.left_out) > 10, "no text is seen in them"
    assert not any(trial.probe == "text" for trial in made.plan.trials)
    assert all(strip_of(folder, each.id).is_file() for each in made.plan.altered)


def test_it_goes_on_where_it_was_stopped_and_takes_no_other_plan(
    made: Made, collection: tuple[Tables, Clips], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import shutil

    tables, clips = collection
    drawn = plan(tables, ("test",), (), most=24)
    copy = tmp_path / "copy"
    shutil.copytree(made.folder, copy)
    (copy / "plan.json").unlink()
    lost = made.plan.altered[0].id
    (copy / "videos" / f"{lost}.mp4").unlink()
    written: list[str] = []

    def noted(pictures: Any, times: Any, duration: float, out: Path, crf: int) -> None:
        written.append(out.stem)
        write_pictures(pictures, times, duration, out, crf)

    monkeypatch.setattr("hardcut.reranker.diagnosis.folder.write_pictures", noted)
    again = write_folder(drawn, copy, clips, _no_text, lambda _: None)
    assert written == [lost] and again.plan == made.plan
    assert read_folder(copy).plan == made.plan
    with pytest.raises(UsageError, match="another dataset"):
        write_folder(plan(tables, ("test",), (), most=3), copy, clips, _no_text, lambda _: None)


def test_the_page_shows_a_picture_of_each_finding_and_escapes_what_it_shows(made: Made) -> None:
    hostile = {query: f"<script>alert(1)</script> {text}" for query, text in made.plan.queries.items()}
    spoiled = replace(made, plan=made.plan.model_copy(update={"queries": hostile}))
    run: dict[str, dict[str, float]] = {}
    how = {each.id: each for each in made.plan.altered}
    for altered in (False, True):
        for query, videos in made.plan.pairs(altered).items():
            for video in videos:
                what = how.get(video)
                number = (what.video_id if what else video).removeprefix("v")
                value = 3.0 * (query.removeprefix("q").split("-")[0] == number) - 2.0 * query.endswith("left")
                if what and what.how == "words" and what.words == made.plan.queries[query]:
                    value += 3
                run.setdefault(query, {})[video] = value + len(query + video) / 1000
    found = diagnose("<b>run</b>", made.plan, run)
    assert {"promotion", "order of frames"} <= {each.name for each in found.findings}
    page = render(spoiled, [found], {"<b>run</b>": run})
    assert "<script>" not in page and "<b>run</b>" not in page and "&lt;script&gt;" in page
    assert page.count("data:image/jpeg;base64,") >= 8 and "<rect" in page
    assert json.loads(found.model_dump_json())["figures"]


def test_what_is_no_folder_of_a_diagnosis_is_told(tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text("[]")
    with pytest.raises(UsageError, match="not the plan of a diagnosis"):
        read_folder(tmp_path)


def test_a_video_that_is_gone_and_one_whose_id_has_a_space_cost_their_trials(
    collection: tuple[Tables, Clips], tmp_path: Path
) -> None:
    tables, clips = collection
    renamed = json.loads(json.dumps(tables.tables).replace('"v5"', '"my video 5"').replace('"v7.mp4"', '"gone.mp4"'))
    other = Tables({name: [(split, row) for split, row in rows] for name, rows in renamed.items()})
    for rows in other.tables.values():
        for _, row in rows:
            if row.get("video_id") == "v7":
                row["sha256"] = "0" * 64
    drawn = plan(other, ("test",), (), most=24)
    found = write_folder(drawn, tmp_path / "out", clips, _no_text, lambda _: None)
    assert "white space" in found.left_out["my video 5"] and "gone.mp4" in found.left_out["v7"]
    asked = {video for videos in read_run(tmp_path / "out" / "run.trec").scores.values() for video in videos}
    assert "v6" in asked and not asked & {"my video 5", "v7"}
    nuances = [trial for trial in found.plan.trials if trial.probe == "nuance" and trial.name == "reversed"]
    assert len(nuances) == COUNT - 2
    of_renamed = {each.how for each in found.plan.altered if each.video_id == "my video 5"}
    assert {"plain", "reversed"} <= of_renamed, "what is made of it has an id of its own"
