"""A dataset's folder in the hands of a script."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from hardcut.publish.checks.result import CheckResult
from hardcut.publish.dataset import Dataset
from hardcut.publish.gate import check, gate_settings

if TYPE_CHECKING:
    import datasets


class ExportedDataset(Dataset):
    """A dataset that Hardcut wrote: `folder`, `configs`, `splits`, `rows`, `count`.

    Examples:
        >>> dataset = run.export("data/first")  # doctest: +SKIP
        >>> [result.name for result in dataset.check() if result.stops]  # doctest: +SKIP
    """

    def check(self, allow: Collection[str] = ()) -> list[CheckResult]:
        """What the gate says: every check with what it found. One that `stops` stands in the way of publishing.

        Raises UsageError where `allow` names no check, or the folder is no dataset.
        """
        return check(self, gate_settings(self), allow)

    def load(self, config: str) -> datasets.DatasetDict:
        """A config as the `datasets` library has it, by split."""
        import datasets

        splits = self.splits(config)
        files = {split: [str(path) for path in self._shards(config, split)] for split in splits}
        return datasets.load_dataset("parquet", data_files=files)


def open_dataset(folder: str | Path) -> ExportedDataset:
    """The dataset in a folder. Raises UsageError where there is none of Hardcut's."""
    dataset = ExportedDataset(Path(folder))
    dataset.marker  # noqa: B018 - refuses a folder that is no dataset
    return dataset
