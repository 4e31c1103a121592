"""The page of a run on a telephone: nothing is wider than the screen, and no line of a table is cut off."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from hardcut.engine.status import RunStatus, SlowUnit, StageStatus
from hardcut.publish.difficulty import difficulty
from hardcut.report.run_page import render
from hardcut.schemas.jsonl import write_records
from hardcut.schemas.records import Dropped
from hardcut.schemas.settings import Settings

LONG = "a_folder_with_a_long_name/and_a_clip_whose_name_is_long_too_2026_11_30"


def _page(folder: Path) -> Path:
    names = ("counterfactuals", "negatives", "judgments")
    stages = tuple(StageStatus(name, True, 12_345, 12_000, 300, 45, records={"Query": 98_765}) for name in names)
    slow = tuple(SlowUnit("counterfactuals", f"{LONG}_{place}", 1234.5 - place) for place in range(5))
    reasons = ("suspected_positive", "without_watching", "uncertain_positive")
    with (folder / Dropped.FILE).open("w", encoding="utf-8") as file:
        found = [Dropped.create(item=LONG, stage="judgments", reason=reason, detail="d") for reason in reasons]
        write_records(file, sorted(found, key=lambda record: record.id))
    html = render(folder, {}, RunStatus(stages, (), (), 0, slow), Settings(), lambda example: difficulty([], []))
    path = folder / "report.html"
    path.write_text(html, encoding="utf-8")
    return path


@pytest.mark.timeout(400)
def test_a_narrow_screen_shows_whole_lines(tmp_path: Path) -> None:
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        pytest.skip("no Chromium on the path: `apt-get install chromium`")
    path = _page(tmp_path)
    with sync_api.sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"], timeout=120_000)
        except sync_api.Error as error:
            pytest.skip(f"the system's Chromium does not start: {error.message.splitlines()[0]}")
        for width in (390, 1366):
            page = browser.new_page(viewport={"width": width, "height": 900})
            page.set_default_timeout(120_000)
            page.goto(path.as_uri())
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            cut = page.evaluate(
                "[...document.querySelectorAll('.scroll:has(.stack)')].some(e => e.scrollWidth > e.clientWidth)"
            )
            assert not cut, width
        browser.close()
