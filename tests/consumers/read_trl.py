"""TRL: the rows as its SFTTrainer's collator takes them, with as many pictures as tags."""

from __future__ import annotations

from consumer import FOLDER, TRUTH, Shown, judged, report
from datasets import load_dataset
from trl.data_utils import is_conversational, prepare_multimodal_messages

if __name__ == "__main__":
    rows = []
    folder = str(FOLDER / "trl" / "ranking")
    for split, table in load_dataset("parquet", data_dir=folder, cache_dir=str(FOLDER / "cache")).items():
        assert table.num_rows == TRUTH["counts"]["trl"][f"ranking/{split}-00000-of-00001.parquet"]
        for row in table:
            assert is_conversational(row)
            messages = prepare_multimodal_messages(row["prompt"] + row["completion"], images=row["images"])
            pictures = [part for part in messages[0]["content"] if part["type"] == "image"]
            assert len(pictures) == len(row["images"]) and all(part["image"].size == (64, 48) for part in pictures)
            assert row["completion"][0]["content"][0]["text"] in ("yes", "no")
            query = row["prompt"][0]["content"][-1]["text"]
            assert (len(pictures) == 16) == (TRUTH["composed"] in query), "8 frames a video"
            shown = TRUTH["reference"]
            rows.append(Shown(split, query, (shown, shown) if TRUTH["composed"] in query else (shown,)))
    report("trl", {"trl": {**judged(rows), "a video is a video": "8 frames of it"}})
