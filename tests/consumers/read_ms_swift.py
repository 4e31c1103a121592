"""ms-swift: its own loader in strict mode, and a video for each tag."""

from __future__ import annotations

from consumer import FOLDER, Shown, judged, report
from swift.dataset import load_dataset

if __name__ == "__main__":
    rows = []
    for split in ("train", "test"):
        for kind in ("reranker", "embedding"):
            path = FOLDER / "ms-swift" / f"{split}.{kind}.jsonl"
            table, _ = load_dataset([str(path)], num_proc=1, strict=True)
            assert len(table) == len(path.read_text("utf-8").splitlines())
            for row in table:
                query, shown = row["messages"][0]["content"], row.get("videos") or []
                assert query.count("<video>") == len(shown)
                for side in ("positive", "negative"):
                    for said, videos in zip(row[f"{side}_messages"], row[f"{side}_videos"], strict=True):
                        assert said[0]["content"].count("<video>") == len(videos) == 1
                        rows.append(Shown(split, query, (*shown, *videos)))
    report("ms-swift", {"ms-swift": judged(rows)})
