"""Triplets of texts without videos as a dataset: Parquet by split, TARA's files, a marker and a short card."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from hardcut import __version__
from hardcut.publish._folder import replaced_folder
from hardcut.publish._parquet import ConfigWriter, SplitSize, info
from hardcut.publish.checks.result import CheckResult
from hardcut.publish.checks.texts import triplets as check_triplets
from hardcut.publish.dataset import LEFT_OUT, Dataset, digests
from hardcut.publish.export_dataset import write_marker
from hardcut.publish.formats.tara import write as write_tara
from hardcut.publish.recipe import recipe_settings
from hardcut.publish.splits import SPLITS, hashed_place
from hardcut.publish.triplets import Fit, write_sets
from hardcut.schemas.dataset_settings import ExportSettings
from hardcut.schemas.errors import UsageError
from hardcut.schemas.jsonl import write_records
from hardcut.schemas.records import Split
from hardcut.schemas.settings import Settings
from hardcut.schemas.triplets import Triplet

_CONFIG = "triplets"


@dataclass(frozen=True, slots=True)
class TextSummary:
    """What was written: rows by split and by nuance, sets that were left out by reason, what the check says."""

    out: Path
    rows: Mapping[str, int]
    nuances: Mapping[str, int]
    left_out: Mapping[str, int]
    check: CheckResult


def write_text_dataset(out: Path, triplets: Iterable[Triplet], settings: Settings) -> TextSummary:
    """Writes the dataset to `out`, which is replaced: `data/triplets/`, `tara/SPLIT.csv`, `left_out.jsonl`,
    `hardcut.json`, `README.md`. Texts of the same words share a split; the shares are those of `[export]`.

    Raises UsageError where there is no whole set, or `out` is a folder that Hardcut did not write.
    """
    left: Counter[str] = Counter()
    nuances: Counter[str] = Counter()
    with replaced_folder(out) as folder:

        def fits() -> Iterator[Fit]:
            return (Fit(_split(each.family or each.set_id, settings.export), each) for each in triplets)

        with (
            ConfigWriter(folder / "data", _CONFIG, SPLITS) as writer,
            (folder / LEFT_OUT).open("w", encoding="utf-8", newline="\n") as file,
        ):
            for record in write_sets(writer, fits(), folder):
                left[record.reason] += 1
                write_records(file, [record])
        if not writer.sizes:
            raise UsageError(f"{out}: no triplet could be made of these texts: dropped.jsonl of the run says why")
        rows = {split: size.rows for split, size in writer.sizes.items()}
        recipe = {
            "hardcut": __version__,
            "format": 2,
            "settings": recipe_settings(settings),
            "rows": {_CONFIG: rows},
            "gate": {},
        }
        write_marker(folder, recipe)
        dataset = Dataset(folder)
        nuances.update(row["nuance"] for _, row in dataset.rows(_CONFIG, ("nuance",)))
        (folder / "tara").mkdir()
        write_tara(dataset, folder / "tara")
        result = check_triplets(dataset, settings)
        (folder / "README.md").write_text(_card(settings, writer.sizes, nuances, left, result), "utf-8", newline="\n")
        recipe["gate"] = {result.name: result.state}
        write_marker(folder, recipe, digests(folder))
    return TextSummary(out, rows, dict(sorted(nuances.items())), dict(sorted(left.items())), result)


def _split(family: str, settings: ExportSettings) -> Split:
    place = hashed_place(f"text:{family}", settings.seed)
    if place < settings.train:
        return "train"
    return "validation" if place < settings.train + settings.validation else "test"


def _card(
    settings: Settings,
    sizes: dict[str, SplitSize],
    nuances: Mapping[str, int],
    left: Mapping[str, int],
    result: CheckResult,
) -> str:
    from datasets.info import DatasetInfosDict
    from huggingface_hub import DatasetCardData

    name = settings.export.name
    files = [{"split": split, "path": f"data/{_CONFIG}/{split}-*.parquet"} for split in sizes]
    front = DatasetCardData(
        pretty_name=name,
        license=settings.export.licence,
        task_categories=["sentence-similarity", "text-ranking"],
        tags=["hardcut", "triplets", "hard-negatives"],
        configs=[{"config_name": _CONFIG, "default": True, "data_files": files}],
    )
    DatasetInfosDict({_CONFIG: info(_CONFIG, sizes)}).to_dataset_card_data(front)
    counted = ", ".join(f"{nuance} {count:,}" for nuance, count in sorted(nuances.items()))
    missing = ", ".join(f"{reason} {count:,}" for reason, count in sorted(left.items())) or "none"
    rows = sum(size.rows for size in sizes.values())
    return f"""---
{front.to_yaml()}
---

# {name}

{rows:,} triplets of texts for embedding models, made with Hardcut out of texts alone: {counted}.

A row has an `anchor`, a `positive` that says the same, and a `hard_negative` that differs from both in its `nuance`.
The anchor of a composed one is a caption and an edit. Each text of a `set_id` is as often a positive as a hard
negative. `tara/` has the same as `sent0,sent1,hard_neg`.

Sets, and halves of sets, that are left out: {missing}; `left_out.jsonl` names each. Check `{result.name}`:
{result.state} ({result.message}). The source of a text names the line that it is from or was made of (`given`,
`written`, `paraphrase`, `edited`).
"""
