"""A dataset's folder, for scripts."""

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
        """The answer of every check of the gate. A result that `stops` blocks publishing.

        `allow` has findings to let be, `CHECK: ITEM because REASON`, beside those that the dataset's card has. Raises
        UsageError for another form, for an allowance of no check, and where the folder is no dataset.
        """
        return check(self, gate_settings(self), allow)

    def load(self, config: str) -> datasets.DatasetDict:
        """A config as the `datasets` library loads it, by split."""
        import datasets

        splits = self.splits(config)
        files = {split: [str(path) for path in self._shards(config, split)] for split in splits}
        return datasets.load_dataset("parquet", data_files=files)


def open_dataset(folder: str | Path) -> ExportedDataset:
    """Opens the dataset in a folder. Raises UsageError where Hardcut has written none."""
    dataset = ExportedDataset(Path(folder))
    dataset.marker  # noqa: B018 - refuses a folder that is no dataset
    return dataset
