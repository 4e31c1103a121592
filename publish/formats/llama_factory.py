"""LLaMA-Factory: conversations with `<video>` tags, and the `dataset_info.json` that tells it of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from hardcut.engine.files import atomic_writer
from hardcut.publish.dataset import Row
from hardcut.publish.formats.chat import Turn, described, judged
from hardcut.publish.formats.given import Given
from hardcut.publish.formats.writing import write_lines

_TAGS = {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant"}
_INFO = {"formatting": "sharegpt", "columns": {"messages": "messages", "videos": "videos"}, "tags": _TAGS}


def write(given: Given, out: Path) -> dict[str, int]:
    """`SPLIT.ranking.jsonl`, a judged pair each, answered yes or no, and `SPLIT.captions.jsonl`, what pictures alone
    show of each caption. Each is a data set of its name in `dataset_info.json`. Rows by file."""
    counts, info = {}, {}
    for name, config, turns in (("ranking", "pairs", judged), ("captions", "captions", described)):
        for split in given.splits(config):
            file = f"{split}.{name}.jsonl"
            count = write_lines(out / file, _rows(given, turns(given, split)))
            if not count:  # captions of which nothing can be seen: a data set without rows cannot be loaded
                (out / file).unlink()
                continue
            counts[file] = count
            info[f"hardcut_{name}_{split}"] = {"file_name": file, **_INFO}
    with atomic_writer(out / "dataset_info.json") as file_of_info:
        json.dump(info, file_of_info, indent=2)
    return counts


def _rows(given: Given, turns: Iterable[Turn]) -> Iterator[Row]:
    for turn in turns:
        question = "".join("<video>" if part is None else part for part in turn.parts)
        messages = [{"role": "user", "content": question}, {"role": "assistant", "content": turn.answer}]
        yield {"messages": messages, "videos": [given.paths[id] for id in turn.videos]}
