"""What changed between versions: by reason, in text, on a page, in the changelog and on the card."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from hardcut.cli.app import app
from hardcut.publish.changes import next_version, version_of
from hardcut.publish.dataset import LEFT_OUT, Dataset
from hardcut.publish.diff import DatasetDiff, diff
from hardcut.publish.diff_page import write_diff_page
from hardcut.publish.export_dataset import ExportOptions, export
from hardcut.schemas.base import Record
from hardcut.schemas.dataset_settings import ExportSettings
from hardcut.schemas.ids import digest
from hardcut.schemas.jsonl import read_records
from hardcut.schemas.judgments import Judgment
from hardcut.schemas.records import Dropped, Pair, Video
from hardcut.schemas.settings import Settings

WriteRun = Callable[[Path, Iterable[Record]], Path]
SETTINGS = Settings(export=ExportSettings(train=0.5, validation=0.2, licence="cc0-1.0", name="clips"))


def records(make: Any, count: int) -> list[Record]:
    """Videos with a query each and four judged candidates, always the same four."""
    ids, found = [f"v{i:02}" for i in range(count)], list[Record]()
    for place, video_id in enumerate(ids):
        query = make.query(digest(video_id), video_id, facets=())
        found += [make.video(video_id), query, make.caption(video_id, f"Caption of {video_id}.")]
        for step in range(4):
            pair = make.pair(query, ids[place // 20 * 20 + (place + step) % 20 % (count - place // 20 * 20)])
            label = make.label(pair, *(("yes", 5.0) if step == 0 else ("no", -2.0 - 3 * step)))
            found += [pair, label, make.judgment(pair, int(step == 0), label)]
    return found


@pytest.fixture
def versions(make: Any, tmp_path: Path, write_run: WriteRun) -> list[Path]:
    """Three of them: the first, one with ten more videos, one with another label, another file and two pairs less."""
    first, grown = records(make, 20), records(make, 30)
    one = export(write_run(tmp_path / "r1", first), tmp_path / "one", SETTINGS).out
    two = export(write_run(tmp_path / "r2", grown), tmp_path / "two", SETTINGS, options=ExportOptions(like=one)).out
    rows = [row for split, row in Dataset(two).rows("pairs") if split == "test" and not row["label"]]
    judged, told, silent = (row["pair_id"] for row in rows[:3])
    other: list[Record] = []
    for record in grown:
        if isinstance(record, Judgment) and record.pair_id == judged:
            record = record.model_copy(update={"grade": 1, "source": "human", "support": ()})
        if isinstance(record, Video) and record.video_id == "v03":
            record = record.model_copy(update={"sha256": digest("another file")})
        gone = isinstance(record, Pair | Judgment) and record.pair_id in (told, silent)
        if not gone and getattr(record, "pair_id", "") not in (told, silent):
            other.append(record)
    other.append(make.dropped(told, "judgments", "suspected_positive", "margin 9.00"))
    three = export(write_run(tmp_path / "r3", other), tmp_path / "three", SETTINGS, options=ExportOptions(like=two)).out
    return [one, two, three]


def test_rows_are_added_gone_and_changed_by_reason(versions: list[Path]) -> None:
    one, two, three = map(Dataset, versions)
    grown = diff(one, two)
    assert (grown.total("gone"), grown.total("changed"), grown.total("moved"), grown.breaks) == (0, 0, 0, False)
    assert grown.configs["pairs"].added.total() == two.count("pairs") - one.count("pairs") > 20
    assert grown.configs["corpus"].added.total() == grown.configs["queries"].added.total() == 10
    changed = diff(two, three)
    assert changed.configs["pairs"].gone == {"suspected_positive": 1, "not_in_run": 1}
    assert changed.configs["pairs"].changed == {"0 -> 1": 1} and changed.configs["corpus"].changed == {
        "another file": 1
    }
    assert changed.breaks and not changed.total("moved")
    assert diff(two, two).is_empty and not diff(two, two).breaks
    back = diff(two, one)
    assert back.configs["pairs"].gone == {"no reason told": two.count("pairs") - one.count("pairs")}


def test_versions_are_semantic_and_the_changelog_goes_along(versions: list[Path]) -> None:
    assert [version_of(Dataset(each)) for each in versions] == ["1.0.0", "1.1.0", "2.0.0"]
    assert next_version("1.4.2", DatasetDiff({})) == "1.4.3" and next_version("odd", DatasetDiff({})) == "1.0.1"
    text = (versions[2] / "CHANGELOG.md").read_text()
    assert re.findall(r"^## (.*)", text, re.MULTILINE) == ["2.0.0", "1.1.0", "1.0.0"]
    assert "- pairs: 2 gone (not_in_run 1, suspected_positive 1); 1 changed (0 -> 1 1); " in text
    card = (versions[2] / "README.md").read_text()
    assert "**Version 2.0.0**, after 1.1.0" in card and "pairs\\: 2 gone" in card
    first = (versions[0] / "README.md").read_text()
    assert "**Version 1.0.0**, the first of its line" in first and not (versions[0] / "CHANGELOG.md").exists()


def test_rows_that_are_made_by_settings_and_the_settings_are_told(
    versions: list[Path], make: Any, tmp_path: Path, write_run: WriteRun
) -> None:
    """Of the same pairs other groups come: whoever trains on them must know."""
    export_settings = SETTINGS.export.model_copy(update={"negatives_per_group": 3, "name": "others"})
    run = write_run(tmp_path / "same", records(make, 20))
    other = export(
        run, tmp_path / "other", Settings(export=export_settings), options=ExportOptions(like=versions[0])
    ).out
    found = diff(Dataset(versions[0]), Dataset(other))
    assert list(found.made) == ["groups"] and not found.breaks and not found.is_empty
    assert found.made["groups"].gone.total() == Dataset(versions[0]).count("groups") > 0
    assert version_of(Dataset(other)) == "1.1.0"
    entry = (other / "CHANGELOG.md").read_text().split("\n## ")[1]
    assert f"- groups: {Dataset(other).count('groups')} added, " in entry
    assert '- settings: export.name "clips" -> "others"; export.negatives_per_group 2 -> 3\n' in entry
    assert "export.negatives\\_per\\_group 2" in (other / "README.md").read_text()
    write_diff_page(tmp_path / "diff.html", Dataset(versions[0]), Dataset(other), found)
    page = (tmp_path / "diff.html").read_text()
    assert "<h2>Groups</h2>" in page and "export.negatives_per_group 2 -&gt; 3" in page
    assert found.made["groups"].examples["gone"][0] in page


def test_every_pair_of_the_version_before_is_a_row_or_has_a_line(versions: list[Path]) -> None:
    for old, new in pairwise(versions):
        before = {row["pair_id"] for _, row in Dataset(old).rows("pairs", ("pair_id",))}
        now = {row["pair_id"] for _, row in Dataset(new).rows("pairs", ("pair_id",))}
        assert before <= now | {each.item for each in read_records(new / LEFT_OUT, Dropped)}


def test_the_command_and_its_page(versions: list[Path], tmp_path: Path) -> None:
    page = tmp_path / "diff.html"
    done = CliRunner().invoke(app, ["diff", str(versions[1]), str(versions[2]), "--html", str(page)])
    assert done.exit_code == 0 and "figures of both do not compare" in done.stdout, done.output
    text = page.read_text()
    assert "suspected_positive" in text and "version 1.1.0" in text and "<script" not in text
    found = CliRunner().invoke(app, ["diff", str(versions[0]), str(versions[1]), "--json"])
    told = json.loads(found.stdout)
    assert sum(told["configs"]["corpus"]["added"].values()) == 10 and told["breaks"] is False
    wrong = CliRunner().invoke(app, ["diff", str(tmp_path), str(versions[1])])
    assert wrong.exit_code != 0


def test_a_planted_move_is_found(versions: list[Path], tmp_path: Path, make: Any, write_run: WriteRun) -> None:
    """Exported without --like, a grown run moves what it had."""
    loose = export(write_run(tmp_path / "r4", records(make, 30)), tmp_path / "loose", SETTINGS).out
    found = diff(Dataset(versions[0]), Dataset(loose))
    assert found.breaks and found.total("moved") and "train -> test" in str(found.configs["corpus"].moved)
