"""A run's folder in, a Hugging Face dataset's folder out: Parquet and a card, the same bytes each time."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from hardcut import __version__
from hardcut.engine.run_files import RunFiles
from hardcut.publish._folder import MARKER, replaced_folder
from hardcut.publish.allowances import with_allowances
from hardcut.publish.assigned import read_earlier, write_assigned
from hardcut.publish.card import Agreement, CardInputs, FunnelStep, card
from hardcut.publish.card_facts import CardFacts
from hardcut.publish.changes import (
    FIRST_VERSION,
    VERSION,
    carry_on,
    changes,
    version_of,
    write_changelog,
    write_gone,
)
from hardcut.publish.checks.result import CheckResult
from hardcut.publish.compile import Sizes, write_configs
from hardcut.publish.dataset import FILES, GUARDED, LEFT_OUT, DamagedDataset, Dataset, digests
from hardcut.publish.diff import diff
from hardcut.publish.gate import check
from hardcut.publish.guarded import looked
from hardcut.publish.inherited import FIRST, Earlier
from hardcut.publish.media import write_media
from hardcut.publish.plots import write_plots
from hardcut.publish.recipe import recipe_settings
from hardcut.publish.recipe_file import write_recipe
from hardcut.publish.withheld import WITHHELD, withheld_note
from hardcut.report.statistics.audit import TeacherEstimate
from hardcut.schemas.base import Record
from hardcut.schemas.errors import UsageError
from hardcut.schemas.guards import Unchecked
from hardcut.schemas.jsonl import write_records
from hardcut.schemas.judgments import Judgment
from hardcut.schemas.records import TURNED, UNREAD_TEXT, Dropped
from hardcut.schemas.settings import Settings


@dataclass(frozen=True, slots=True)
class ExportSummary:
    """What an export wrote: rows by config and split. By reason: the judged pairs that it left out and, where
    clips were asked for, the videos without one. `before` is the version whose splits it keeps, None for the first of
    its line; the same as `version` where its rows were the same already."""

    out: Path
    version: str
    before: str | None
    rows: Mapping[str, Mapping[str, int]]
    left_out: Mapping[str, int]
    unpacked: Mapping[str, int]
    gate: Sequence[CheckResult]


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """`allow`: findings of the gate that are let be (`CHECK: ITEM because REASON`); they stand on the card.
    `media`: the root of the videos, to pack their clips.
    `like`: the dataset of the version before, whose splits are kept. Where none is named, it is the dataset that is
    replaced. Rows and settings that are all as they were there make no new version. `new_splits`: there is none.

    For the card: `agreement` of the run's reviewers, and how good the `teachers` are by their audit; `steps`, the
    stages that its table shows, each with the kind of record that is counted there. A stage that is not among them is
    shown where it left something out.
    """

    allow: Collection[str] = ()
    media: Path | None = None
    like: Path | None = None
    new_splits: bool = False
    agreement: Agreement | None = None
    teachers: Sequence[TeacherEstimate] = ()
    steps: Mapping[str, type[Record]] = field(default_factory=dict)


def export(
    run: Path,
    out: Path,
    settings: Settings,
    failed: Mapping[str, int] | None = None,
    options: ExportOptions = ExportOptions(),
) -> ExportSummary:
    """Writes the dataset of a run to the folder `out`, which is swapped in whole, and runs the gate over it.

    Every judged pair is in the dataset or, with a reason, in its `left_out.jsonl`. `settings` are the run's; `failed`
    is how many units failed, by stage, for the card. Rows are joined over sorted streams and tables on disk, so memory
    grows with the number of videos and queries alone.

    What the gate finds is on the card and in the summary, and does not keep the dataset from being written: its maker
    looks at it, and `publish` refuses it.

    Raises UsageError where the run has no judgment yet, where its files do not belong together, or where `out` is not
    ours to replace; StorageError where the disk fails.
    """
    if next(RunFiles(run).read(Judgment), None) is None:
        raise UsageError(f"{run}: no pair has a judgment yet, so there is nothing to export: `hardcut status {run}`")
    with replaced_folder(out) as folder:
        facts = CardFacts()
        settings = with_allowances(settings, options.allow)
        # Only now: what an export that died had put aside is in its place again.
        is_replaced = options.like is None and not options.new_splits and (out / MARKER).is_file()
        like = out if is_replaced else options.like
        earlier = _read_earlier(like, is_replaced) if like else FIRST
        sizes = write_configs(run, folder, settings, facts, earlier)
        write_marker(folder, _recipe(sizes, facts, settings, {}))
        guards = _guards(run, Dataset(folder), settings)
        if options.media is not None:
            clips, unpacked = write_media(Dataset(folder), options.media)
            sizes |= clips
            facts.unpacked.update(record.detail for record in unpacked)
            with (folder / LEFT_OUT).open("a", encoding="utf-8", newline="\n") as left_out:
                write_records(left_out, unpacked)
        changed = before = None
        if like:
            old = Dataset(like)
            before = version_of(old)
            write_gone(Dataset(folder), old, RunFiles(run).read(Dropped))
            found = diff(old, Dataset(folder))
            same = found.is_empty and old.marker.get("settings") == recipe_settings(settings)
            if same and _counts(old.marker.get("rows"), is_replaced) == _counts(_rows(sizes), is_replaced):
                changed = carry_on(Dataset(folder), old)
            else:
                write_assigned(folder, earlier.unnamed(facts.flags.videos))
                changed = changes(old, Dataset(folder), found)
                write_changelog(folder, old, changed)
        write_recipe(run, folder, settings, facts.flags)
        margins = write_plots(Dataset(folder), folder / "plots", settings.judgments)
        version = changed.version if changed else before or FIRST_VERSION
        recipe = _recipe(sizes, facts, settings, guards, version)
        write_marker(folder, recipe, digests(folder))
        results = check(Dataset(folder), settings)
        videos = {row["video_id"] for _, row in Dataset(folder).rows("corpus", ("video_id",))}
        told = CardInputs(
            _funnel(run, options.steps), failed, margins, results, options.agreement, changed, options.teachers,
            version, _unread(run, videos),
        )  # fmt: skip
        text = card(sizes, facts, told, settings)
        (folder / "README.md").write_text(text, encoding="utf-8", newline="\n")
        recipe["gate"] = {result.name: result.state for result in results}
        write_marker(folder, recipe, digests(folder))
    left = dict(sorted(facts.left_out.items()))
    return ExportSummary(out, version, before, recipe["rows"], left, dict(sorted(facts.unpacked.items())), results)


def _read_earlier(like: Path, is_replaced: bool) -> Earlier:
    try:
        return read_earlier(Dataset(like))
    except DamagedDataset as error:
        if not is_replaced:
            raise
        raise UsageError(
            f"{error}. Its splits cannot be kept: fetch that version (`hardcut pull`) and name it with --like, or draw"
            " splits anew with --new-splits"
        ) from error


def _funnel(run: Path, stages: Mapping[str, type[Record]]) -> list[FunnelStep]:
    dropped: defaultdict[str, Counter[str]] = defaultdict(Counter)
    files = RunFiles(run)
    for record in files.read(Dropped):
        dropped[record.stage][record.reason] += 1
    steps = [FunnelStep(stage, files.count(kind), dropped.pop(stage, Counter())) for stage, kind in stages.items()]
    return [*steps, *(FunnelStep(stage, None, dropped[stage]) for stage in sorted(dropped))]


def _unread(run: Path, videos: Collection[str]) -> Counter[str]:
    """How many places with text could not be read, by video of the dataset."""
    unread = (record.item for record in RunFiles(run).read(Dropped) if record.reason == UNREAD_TEXT)
    return Counter(item for item in unread if item in videos)


def _guards(run: Path, dataset: Dataset, settings: Settings) -> dict[str, dict[str, Any]]:
    """What the run's guards looked at of what is in the dataset; empty where the run is of a version that did not note
    it, whose stages made no such file."""
    files = RunFiles(run)
    unchecked = files.read(Unchecked) if files.has(Unchecked) else None
    videos = {row["video_id"] for _, row in dataset.rows("corpus", ("video_id",))}
    queries = {
        row["query_id"]: row["variant"] in TURNED
        for _, row in dataset.rows("queries", ("query_id", "variant", "source_video_id"))
        if row["source_video_id"] is not None
    }
    return looked(unchecked, videos, queries, settings)


def _recipe(
    sizes: Mapping[str, Sizes],
    facts: CardFacts,
    settings: Settings,
    guards: Mapping[str, Any],
    version: str = FIRST_VERSION,
) -> dict[str, Any]:
    """What the dataset was made with, for people and for later versions of Hardcut. Names no place of this machine."""
    return {
        "hardcut": __version__,
        "format": 2,
        VERSION: version,
        "settings": recipe_settings(settings),
        "teachers": [asdict(teacher) for teacher in facts.teachers],
        "rows": _rows(sizes),
        GUARDED: guards,
        WITHHELD: withheld_note(facts.flags, facts.withheld),
        **({"meaning": facts.meaning} if facts.meaning is not None else {}),
        "gate": {},
    }


def _rows(sizes: Mapping[str, Sizes]) -> dict[str, dict[str, int]]:
    return {config: {split: size.rows for split, size in splits.items()} for config, splits in sizes.items()}


def _counts(rows: Any, is_replaced: bool) -> Any:
    """The rows of each config and split. Of clips in place of others nobody asks: they are packed anew or not."""
    return {config: told for config, told in (rows or {}).items() if config != "media" or not is_replaced}


def write_marker(folder: Path, recipe: Mapping[str, Any], files: Mapping[str, Any] | None = None) -> None:
    """Writes `hardcut.json`: the recipe, and the digests of all other files of the dataset."""
    marker = {**recipe, **({FILES: files} if files is not None else {})}
    text = json.dumps(marker, indent=2, ensure_ascii=False) + "\n"
    (folder / MARKER).write_text(text, encoding="utf-8", newline="\n")
