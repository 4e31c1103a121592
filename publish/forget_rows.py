"""Takes all rows with a trace of something out of a dataset's folder, and notes its new digests."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hardcut.engine.files import atomic_writer
from hardcut.engine.traces import Traces, lines_of
from hardcut.publish.dataset import FILES, GUARDED, Dataset, digests
from hardcut.publish.export_dataset import write_marker
from hardcut.schemas.ids import canonical_json

_NOTE = """> Rows were taken out of this version after its card was written. The front matter above counts what is left;
> figures and plots below still count those rows.

"""
_TEXTS = (".jsonl", ".md")


def forget_rows(folder: Path, traces: Traces) -> int:
    """Rewrites the tables, the lists and the card without what has a trace; returns how many rows went. The card says
    so, since its own figures stay those of the export until the run is exported again; what loads the tables by it
    finds the rows that are left."""
    import pyarrow.parquet as pq

    dataset, gone, traces = Dataset(folder), 0, traces.by_name
    recipe = {name: value for name, value in dataset.marker.items() if name != FILES}
    rows = {config: dict(splits) for config, splits in recipe.get("rows", {}).items()}
    sizes: dict[tuple[str, str], int] = {}
    for path in sorted((folder / "data").rglob("*.parquet")):
        table = pq.read_table(path)
        config, split = path.parent.name, path.name.split("-")[0]
        plain = [name for name in table.column_names if name != "video"]  # the clip's own bytes
        keep = [not traces.in_text(canonical_json(row)) for row in table.select(plain).to_pylist()]
        if not all(keep):
            building = path.with_suffix(".building")
            pq.write_table(table.filter(keep), building, compression="zstd")
            building.replace(path)
            gone += keep.count(False)
            rows[config][split] -= keep.count(False)
        if not any(keep):
            path.unlink()  # datasets refuses a whole config where one of its files has no row
        sizes[config, split] = sizes.get((config, split), 0) + table.filter(keep).nbytes
    for path in sorted(folder.rglob("*")):
        if path.suffix in _TEXTS and path.is_file():
            lines = lines_of(path.read_text("utf-8"))
            kept = [line for line in lines if not traces.in_text(line)]
            if len(kept) < len(lines):
                with atomic_writer(path) as file:
                    file.writelines(kept)
    rows = {config: {split: left for split, left in splits.items() if left} for config, splits in rows.items()}
    if gone:
        card = folder / "README.md"
        told = card_without(card.read_text("utf-8"), rows, sizes)
        with atomic_writer(card) as file:
            file.write(told)
    guards = {
        name: {**told, "items": [item for item in told.get("items", ()) if not traces.in_text(item)]}
        for name, told in recipe.get(GUARDED, {}).items()
    }
    write_marker(folder, {**recipe, "rows": rows, GUARDED: guards}, digests(folder))
    return gone


def card_without(card: str, rows: Mapping[str, Mapping[str, int]], sizes: Mapping[tuple[str, str], int]) -> str:
    """The card with the rows and bytes that are left, by config and split, in its front matter, without splits that
    have none, and with a word above its text. Of an emptied split no file is left."""
    from huggingface_hub import DatasetCard, DatasetCardData

    read = DatasetCard(card, ignore_metadata_errors=False)
    front: dict[str, Any] = read.data.to_dict()  # type: ignore[no-untyped-call]
    for config in front["configs"]:
        left = rows[config["config_name"]]
        config["data_files"] = [each for each in config["data_files"] if left.get(each["split"])]
    front["configs"] = [config for config in front["configs"] if config["data_files"]]
    for info in front["dataset_info"]:
        name = info["config_name"]
        info["splits"] = [
            {**each, "num_examples": rows[name][each["name"]], "num_bytes": sizes[name, each["name"]]}
            for each in info["splits"]
            if rows[name].get(each["name"])
        ]
        info["dataset_size"] = sum(each["num_bytes"] for each in info["splits"])
    front["dataset_info"] = [info for info in front["dataset_info"] if info["splits"]]
    read.data = DatasetCardData(**front)
    text = read.text.lstrip("\n")
    return f"---\n{read.data.to_yaml()}\n---\n\n{'' if text.startswith(_NOTE) else _NOTE}{text}"
