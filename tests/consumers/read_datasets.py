"""datasets: the dataset by folder, by file and as a stream; JSON for sentence-transformers; shards of WebDataset."""

from __future__ import annotations

from consumer import FOLDER, TRUTH, Shown, judged, report
from datasets import Video, load_dataset

CACHE = str(FOLDER / "cache")


def dataset() -> dict[str, str]:
    hf = FOLDER / "hf"
    ids = {}
    for config in sorted(path.name for path in (hf / "data").iterdir()):
        whole = load_dataset(str(hf), config, cache_dir=CACHE)
        streamed = load_dataset(str(hf), config, streaming=True)
        for split, rows in whole.items():
            files = [str(path) for path in (hf / "data" / config).glob(f"{split}-*.parquet")]
            assert load_dataset("parquet", data_files=files, cache_dir=CACHE)["train"].num_rows == rows.num_rows > 0
            if config != "media":  # a stream of clips decodes them, which takes torchcodec
                assert sum(1 for _ in streamed[split]) == rows.num_rows
        if config == "media":
            assert all(isinstance(rows.features["video"], Video) for rows in whole.values())
        if config == "corpus":
            videos = FOLDER / "videos"
            ids = {row["video_id"]: str(videos / row["video_path"]) for rows in whole.values() for row in rows}
    pairs = load_dataset(str(hf), "pairs", cache_dir=CACHE)
    return judged(
        Shown(split, row["query"], tuple(ids[id] for id in (row["reference_video_id"], row["video_id"]) if id))
        for split, rows in pairs.items()
        for row in rows
    )


def webdataset() -> dict[str, str]:
    rows = []
    for name, count in TRUTH["counts"]["webdataset"].items():
        shard = load_dataset("webdataset", data_files=str(FOLDER / "webdataset" / name), cache_dir=CACHE)["train"]
        assert shard.num_rows == count
        assert name.split("/")[0] in shard.column_names  # `datasets` knows videos by .mp4 alone, others are bytes
        ids = {path.rsplit("/", 1)[1].split(".")[0]: path for path in TRUTH["splits"]}
        for about in shard.select_columns(["json"])["json"]:
            for pair in about["pairs"]:
                shown = (pair["reference_video_id"], about["video_id"])
                split = name.split("/")[1].split("-")[0]
                rows.append(Shown(split, pair["query"], tuple(ids[id] for id in shown if id)))
    return judged(rows)


if __name__ == "__main__":
    report("datasets", {"hf": dataset(), "webdataset": webdataset()})
