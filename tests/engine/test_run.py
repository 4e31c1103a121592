"""The engine over a chain of two unit stages, a collection stage and a unit stage that regroups."""

from __future__ import annotations


async def test_second_run_does_nothing(tmp_path, new_chain, given, files_of):
    chain = new_chain()
    first = await chain.run(tmp_path, given(60))
    assert first["look"] == 60 and first["mine"] == 1 and first["tell"] > 30 and first["judge"] > 10
    files = files_of(tmp_path)
    assert set(files) == {"evidence.jsonl", "captions.jsonl", "queries.jsonl", "pairs.jsonl", "labels.jsonl", "dropped.jsonl"}
    assert all(files.values())
    stamps = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.jsonl")}
    assert set((await chain.run(tmp_path, given(60))).values()) == {0}
    assert stamps == {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.jsonl")}
