"""Takes all rows with a trace of something out of a dataset's folder, and notes its new digests."""

from __future__ import annotations

from pathlib import Path

from hardcut.engine.files import atomic_writer
from hardcut.engine.traces import Traces
from hardcut.publish.dataset import FILES, GUARDED, Dataset, digests
from hardcut.publish.export_dataset import write_marker
from hardcut.schemas.ids import canonical_json

_TEXTS = (".jsonl", ".md")


def forget_rows(folder: Path, traces: Traces) -> int:
    """Rewrites the tables, the lists and the card without what has a trace; returns how many rows went. The card's
    figures stay those of the export, until the run is exported again."""
    import pyarrow.parquet as pq

    dataset, gone, traces = Dataset(folder), 0, traces.by_name
    recipe = {name: value for name, value in dataset.marker.items() if name != FILES}
    rows = {config: dict(splits) for config, splits in recipe.get("rows", {}).items()}
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
    for path in sorted(folder.rglob("*")):
        if path.suffix in _TEXTS and path.is_file():
            lines = path.read_text("utf-8").splitlines(keepends=True)
            kept = [line for line in lines if not traces.in_text(line)]
            if len(kept) < len(lines):
                with atomic_writer(path) as file:
                    file.writelines(kept)
    guards = {
        name: {**told, "items": [item for item in told.get("items", ()) if not traces.in_text(item)]}
        for name, told in recipe.get(GUARDED, {}).items()
    }
    write_marker(folder, {**recipe, "rows": rows, GUARDED: guards}, digests(folder))
    return gone
