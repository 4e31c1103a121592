"""The page of `hardcut diff`: two versions of a dataset side by side, in one file without network or script."""

from __future__ import annotations

from pathlib import Path

from hardcut.publish.changes import NAMES, changes, version_of
from hardcut.publish.dataset import Dataset
from hardcut.publish.diff import DatasetDiff
from hardcut.report.templates import html_template, write_page


def write_diff_page(out: Path, old: Dataset, new: Dataset, found: DatasetDiff) -> None:
    """Writes the page. Raises StorageError where `out` cannot be written."""
    text = html_template("hardcut.publish", "diff.html.jinja").render(
        old=old.folder.name,
        new=new.folder.name,
        before=version_of(old),
        after=version_of(new),
        breaks=found.breaks,
        lines=changes(old, new, found).lines,
        sections={**{NAMES[config]: each for config, each in found.configs.items()}, **found.made},
    )
    write_page(out, text)
