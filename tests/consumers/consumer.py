"""What each script here shares: a consumer's rows in one shape, and what is asked of them. Imports nothing of Hardcut,
for it runs in the consumers' own environments."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

os.environ.setdefault("HF_HUB_OFFLINE", "1")
FOLDER = Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else Path()
TRUTH = json.loads((FOLDER / "truth.json").read_text("utf-8")) if (FOLDER / "truth.json").exists() else {}


class Shown(NamedTuple):
    """A row as the consumer has it: the split, the query, and the videos that it shows beside it, in their order."""

    split: str
    query: str
    videos: tuple[str, ...]


def judged(rows: Iterable[Shown]) -> dict[str, str]:
    """What the rows mean: whether there is a video in each, its reference with a composed query, and no video of a
    later split."""
    found = list(rows)
    assert found, "no row"
    order = ("train", "validation", "test")
    for row in found:
        assert row.videos and all(Path(path).is_file() for path in row.videos), f"no video: {row}"
        late = [path for path in row.videos if order.index(TRUTH["splits"][path]) > order.index(row.split)]
        assert not late, f"{row.split} shows {late}"
    composed = [row for row in found if TRUTH["composed"] in row.query]
    assert all(row.videos[0] == TRUTH["reference"] and len(row.videos) > 1 for row in composed), composed
    told = "with its reference" if composed else "left out"
    return {"a video is a video": "yes", "composed queries": told, "no later split's video": "yes"}


def report(package: str, found: dict[str, dict[str, str]], told_version: str | None = None) -> None:
    """Prints what a consumer made of each format. `told_version`: of what is no installed package."""
    about = {"consumer": package, "version": told_version or version(package), "formats": found}
    print(json.dumps(about, ensure_ascii=False))


def blob(path: Path) -> str:
    """The version of a file of a checkout: the name that git has for its content, which finds the commits it is in."""
    content = path.read_bytes()
    name = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
    return f"blob {name[:10]}"
