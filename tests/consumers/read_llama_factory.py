"""LLaMA-Factory: its own parser, loader and converter, by `dataset_info.json`."""

from __future__ import annotations

import json
from types import SimpleNamespace

from consumer import FOLDER, TRUTH, Shown, judged, report
from llamafactory.data.loader import _load_single_dataset
from llamafactory.data.parser import get_dataset_list
from llamafactory.hparams import DataArguments

if __name__ == "__main__":
    folder, rows = FOLDER / "llama-factory", []
    names = list(json.loads((folder / "dataset_info.json").read_text()))
    data = DataArguments(dataset=",".join(names), dataset_dir=str(folder), media_dir=str(folder))
    model = SimpleNamespace(cache_dir=str(FOLDER / "cache"), hf_hub_token=None, trust_remote_code=False)
    training = SimpleNamespace(seed=0, should_log=False, local_process_index=0)
    for name, one in zip(names, get_dataset_list(data.dataset, data.dataset_dir), strict=True):
        table = _load_single_dataset(one, model, data, training)
        _, kind, split = name.split("_")
        assert len(table) == TRUTH["counts"]["llama-factory"][f"{split}.{kind}.jsonl"]
        for row in table:
            question = row["_prompt"][0]["content"]
            assert question.count("<video>") == len(row["_videos"])
            assert kind == "captions" or row["_response"][0]["content"] in ("yes", "no")
            rows.append(Shown(split, question, tuple(row["_videos"])))
    report("llamafactory", {"llama-factory": judged(rows)})
