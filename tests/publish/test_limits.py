"""Every reader of other people's files: an id of 5,000 digits, a grade of 10^400, a number without end. One line each,
which names file and line and is no screen long."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from hardcut.media.manifest import read_manifest
from hardcut.publish.formats.imported import write_import
from hardcut.publish.formats.registry import read
from hardcut.publish.given_splits import read_splits
from hardcut.schemas.errors import UsageError
from hardcut.schemas.trec import read_qrels, read_run
from hardcut.schemas.user_judgments import read_judgments
from hardcut.synth.user_queries import read_queries

LONG, HUGE = "7" * 5000, str(10**400)

FILES: list[tuple[str, Callable[[Path], object], str]] = [
    ("a.qrels", read_qrels, f"q 0 v 1\n{LONG} 0 v 1\n"),
    ("a.qrels", read_qrels, f"q 0 v 1\nq 0 {LONG} 1\n"),
    ("a.qrels", read_qrels, f"q 0 v 1\nq 0 w {HUGE}\n"),
    ("a.qrels", read_qrels, f"q 0 v 1\nq 0 w -{LONG}\n"),
    ("a.qrels", read_qrels, "q 0 v 1\nq 0 w 2147483647\n"),
    ("a.run", read_run, f"q Q0 v 1 1 t\nq Q0 {LONG} 2 1 t\n"),
    ("a.run", read_run, f"q Q0 v 1 1 t\nq Q0 w 2 {HUGE} t\n"),
    ("a.jsonl", read_judgments, f'\n{{"query_id": "q", "video_id": "v", "grade": {HUGE}}}\n'),
    ("a.jsonl", read_judgments, '\n{"query_id": "q", "video_id": "v", "grade": 4000000000}\n'),
    ("a.jsonl", read_judgments, f'\n{{"query_id": {LONG}, "video_id": "v", "grade": 1}}\n'),
    ("a.jsonl", read_judgments, f'\n{{"query_id": "{LONG}", "video_id": "v", "grade": 1}}\n'),
    ("a.jsonl", read_queries, f'\n{{"query_id": {LONG}, "query": "a door"}}\n'),
    ("a.jsonl", read_queries, f'\n{{"query_id": "{LONG}", "query": "a door"}}\n'),
    ("a.tsv", read_queries, f"1\ta door\n{LONG}\ta door\n"),
    ("a.csv", read_queries, f"id,query\n{LONG},a door\n"),
    ("a.jsonl", read_manifest, f'\n{{"path": "a.mp4", "id": {LONG}}}\n'),
    ("a.jsonl", read_manifest, f'\n{{"path": "a.mp4", "id": {"7" * 299}, "video_id": "{LONG}"}}\n'),
    ("a.jsonl", read_manifest, '\n{"path": "a.mp4", "width": 1e400}\n'),
    ("a.csv", read_manifest, f"path,id\na.mp4,{LONG}\n"),
    ("a.jsonl", read_splits, f'\n{{"id": {LONG}, "split": "train"}}\n'),
    ("a.csv", read_splits, f"id,split\n{'7' * 200_000},train\n"),
    ("a.csv", lambda path: read("multivent", [path]), f"Query_id,query\n{LONG},a door\n"),
    ("a.jsonl", lambda path: read("multivent", [path]), f'\n{{"query_id": 1, "doc_id": {LONG}, "relevance": 1}}\n'),
    ("a.jsonl", lambda path: read("multivent", [path]), f'\n{{"query_id": 1, "doc_id": 2, "relevance": {HUGE}}}\n'),
    ("a.jsonl", lambda path: read("rankvideo", [path]), f'\n{{"query_id": "{LONG}", "query": "x", "doc_id": 1}}\n'),
]  # fmt: skip


@pytest.mark.parametrize(("name", "reader", "text"), FILES)
def test_what_is_far_too_large_is_told_by_file_and_line(
    tmp_path: Path, name: str, reader: Callable[[Path], object], text: str
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(UsageError) as error:
        reader(tmp_path / name)
    told = str(error.value).removeprefix(f"{tmp_path}/")
    assert told.startswith(f"{name}, line ") and len(told) < 300 and "\n" not in told, told


def test_a_rating_of_a_moment_is_a_grade_too(tmp_path: Path) -> None:
    row = '{"qid": 1, "query": "x", "vid": "v", "relevant_windows": [[0, 2]], "relevant_clip_ids": [0], '
    (tmp_path / "a.jsonl").write_text(row + f'"saliency_scores": [[{10**200}, 1, 1]]}}\n')
    with pytest.raises(UsageError, match="line 1: saliency_scores"):
        write_import(read("qvhighlights", [tmp_path / "a.jsonl"]), tmp_path / "out")
