"""WebVid-CoVR (lucas-ventura/CoVR), and Dense-WebVid-CoVR, whose edits are longer: from a video and an edit to the
edited video, among the targets of all queries.

The video that a query starts from is no candidate of its own (`remove_self_similarity`). The paper's figures are R@1,
5, 10 and 50.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from hardcut.reranker.nuance.benchmark import Asked, Benchmark, Choice, Part, trec_id
from hardcut.reranker.nuance.files import csv_rows, one_file
from hardcut.schemas.errors import UsageError


def read_covr(files: Sequence[Path]) -> Benchmark:
    """Reads a .csv with pth1, pth2 (of videos: folder/id) and edit; other columns are passed over."""
    path = one_file("webvid-covr", files, ".csv")
    queries: dict[str, Asked] = {}
    pairs: dict[str, tuple[str, str]] = {}
    for where, row in csv_rows(path, ("pth1", "pth2", "edit")):
        if not row["edit"].strip():
            raise UsageError(f"{where}: it has no edit")
        id = trec_id(f"{row['pth1']}|{row['pth2']}|{row['edit']}")
        queries[id] = Asked(row["edit"], row["pth1"])
        pairs[id] = trec_id(row["pth1"]), trec_id(row["pth2"])
    targets = dict.fromkeys(target for _, target in pairs.values())
    shown = {trec_id(path): Asked(video=path) for path in _paths(path)}
    part = Part(path.stem, ("R@1", "R@5", "R@10", "R@50"), partial(_choices, pairs, tuple(targets)))
    return Benchmark("webvid-covr", (part,), queries, {id: shown[id] for id in targets})


def _choices(pairs: dict[str, tuple[str, str]], targets: tuple[str, ...]) -> Iterator[Choice]:
    for query, (source, target) in pairs.items():
        yield Choice(query, tuple(each for each in targets if each != source or each == target), frozenset({target}))


def _paths(path: Path) -> Iterator[str]:
    return (row["pth2"] for _, row in csv_rows(path, ("pth2",)))
