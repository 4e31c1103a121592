"""A run mined by vectors: run until there are queries, embed, go on with the vectors as its first stage."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("bm25s")


@pytest.mark.timeout(900)
def test_a_run_takes_vectors_as_its_first_stage(server: Any, tmp_path: Path, hardcut_command: Any) -> None:
    from hardcut.data.render import render_world
    from hardcut.data.world import make_world

    render_world(make_world(11, clips=6), tmp_path / "world")
    run, videos, vectors = tmp_path / "run", tmp_path / "world" / "videos", tmp_path / "vectors"
    start = ("run", videos, "--out", run, "--cache", tmp_path / "cache")
    assert hardcut_command(*start, "--until", "composed").returncode == 0
    call = ("embed", run, "--model", f"openai:words@{server.url}", "--what", "captions", "--what", "queries")
    done = hardcut_command(*call, "--out", vectors, "--json")
    assert done.returncode in (0, 1), done.stderr  # 1: a composed query whose reference has no caption
    told = json.loads(done.stdout)
    assert told["vectors"]["captions"] == 6 and told["vectors"]["queries"] == told["made"] - 6
    given = (*start, "--first-stage", vectors)
    settings = tmp_path / "fused.toml"
    settings.write_text('[negatives]\nfirst_stage = "fused"\n')
    runs = {}
    for name, more in (("dense", ()), ("bm25+dense", ("--config", settings))):
        ended = hardcut_command(*given, "--until", "negatives", *more)
        assert ended.returncode == 0, ended.stderr
        pairs = [json.loads(line) for line in (run / "pairs.jsonl").read_text().splitlines()]
        runs[name] = pairs
        assert {stage["run"] for pair in pairs for stage in pair["first_stage"]} == {name}
        assert any("mined" in pair["origins"] for pair in pairs)
    before = (run / "pairs.jsonl").stat().st_mtime_ns
    again = hardcut_command(*given, "--until", "negatives", "--config", settings)
    assert again.returncode == 0 and (run / "pairs.jsonl").stat().st_mtime_ns == before  # nothing to do
    made_with = json.loads((run / "made_with.json").read_text())
    assert made_with["inputs"]["first_stage"]["name"] == "vectors"
    assert runs["dense"] != runs["bm25+dense"]

    import hardcut  # the same in Python: what is there is not made again

    model = f"openai:words@{server.url}"
    folder = hardcut.embed(run, model, vectors, what=("captions", "queries"), cache=tmp_path / "cache")
    assert folder.count("captions") == 6
    found = hardcut.search(vectors, tmp_path / "dense.trec", among="captions", depth=3)
    assert {len(scores) for scores in found.scores.values()} == {3}
