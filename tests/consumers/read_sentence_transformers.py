"""sentence-transformers: the columns of each file, and what its own parser takes each value for."""

from __future__ import annotations

from consumer import FOLDER, TRUTH, Shown, judged, report
from datasets import load_dataset
from sentence_transformers.base.modality import infer_modality

if __name__ == "__main__":
    rows = []
    for name, count in TRUTH["counts"]["sentence-transformers"].items():
        if count == 0:
            continue
        path = str(FOLDER / "sentence-transformers" / name)
        table = load_dataset("json", data_files=path, cache_dir=str(FOLDER / "cache"))["train"]
        labels = [column for column in table.column_names if column in ("label", "labels", "score")]
        assert len(labels) <= 1 and table.num_rows == count
        for row in table:
            inputs = [value for column, value in row.items() if column not in labels]
            documents = inputs[1] if isinstance(inputs[1], list) else inputs[1:]
            assert infer_modality(inputs[0]) == "text", inputs[0]
            assert all(infer_modality(one) in ("video", ("video",)) for one in documents), documents
            rows.append(Shown(name.split(".")[0], inputs[0], tuple(one["video"] for one in documents)))
    report("sentence-transformers", {"sentence-transformers": judged(rows)})
