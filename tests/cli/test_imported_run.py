"""Composed queries and moments of others go through a whole run, and stand in its dataset."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hardcut.publish.dataset import Dataset


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_composed_queries_and_moments_of_others_are_run_and_exported(
    hardcut: Callable[..., Any], world: Path, tmp_path: Path
) -> None:
    ids = sorted(path.relative_to(world).with_suffix("").as_posix() for path in world.rglob("*.mp4"))
    start, target, gone = ids[0], ids[1], "no/such"
    (tmp_path / "covr_test.csv").write_text(f"pth1,pth2,edit\n{start},{target},the same with another sign\n")
    assert hardcut("import", "webvid-covr", tmp_path / "covr_test.csv", "--out", tmp_path / "covr").returncode == 0
    seeker = {"qry_text": "when does a thing move", "qry_img_path": "", "qry_video_path": "",
              "src_video_path": f"{target}.mp4", "answering_time_interval": [[0.5, 1.0], [1.5, 3.0]]}  # fmt: skip
    (tmp_path / "t2v.json").write_text(json.dumps([seeker]))
    done = hardcut("import", "momentseeker", tmp_path / "t2v.json", "--out", tmp_path / "seeker", "--videos", world)
    assert done.returncode == 0, done.stderr
    queries, judgments = (
        lines(tmp_path / "covr" / name) + lines(tmp_path / "seeker" / name)
        for name in ("queries.jsonl", "judgments.jsonl")
    )
    queries.append({"query_id": "lost", "query": "the same at night", "reference_video_id": gone})
    for row in judgments:
        row["video_id"] = target  # the second goes by its name alone
    for name, rows in (("queries", queries), ("judgments", judgments)):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    run = tmp_path / "run"
    given = ("--queries", tmp_path / "queries.jsonl", "--judgments", tmp_path / "judgments.jsonl")
    done = hardcut("run", world, "--out", run, *given, "--cache", tmp_path / "cache")
    assert done.returncode in (0, 1), done.stderr
    known = {row["external_id"]: row for row in lines(run / "queries.jsonl") if row["external_id"]}
    composed, moment = known["covr_test-0"], known["t2v-0"]
    assert (composed["kind"], composed["reference_video_id"], moment["kind"]) == ("composed", start, "moment")
    pairs = [row for row in lines(run / "pairs.jsonl") if row["query_id"] == composed["query_id"]]
    assert target in {row["video_id"] for row in pairs} and start not in {row["video_id"] for row in pairs}
    assert all(row["reference"] for row in pairs), "judges are shown what it starts from"
    dropped = {row["item"]: row for row in lines(run / "dropped.jsonl")}
    assert dropped[known["lost"]["query_id"]]["reason"] == "source_missing"
    judged = {(row["query_id"], row["video_id"]): row for row in lines(run / "judgments.jsonl")}
    assert judged[composed["query_id"], target]["source"] == "imported"
    assert [span["end"] for span in judged[moment["query_id"], target]["spans"]] == [1.0, 3.0]
    assert sum("spans" in row for row in judged.values()) == 1, "the others are written as earlier versions wrote them"
    done = hardcut("export", run, "--out", tmp_path / "dataset")
    assert done.returncode in (0, 1), done.stderr
    rows = {(row["query_id"], row["video_id"]): row for _, row in Dataset(tmp_path / "dataset").rows("pairs")}
    assert rows[moment["query_id"], target]["moment"] == {"start": 1.5, "end": 3.0}
    assert rows[composed["query_id"], target]["reference_video_id"] == start
