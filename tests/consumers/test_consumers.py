"""Those who read our files without Hardcut: what they make of them, and the page that says so (`docs/consumers.md`).

Here run the consumers that the test environment has. `make test-consumers` makes the others' environments and the page.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hardcut.publish.formats.registry import EXPORTERS, IMPORTERS

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "consumers.md"
TEXTS_ALONE = {"triplets"}
"""Formats without a video, of which the page's columns would say nothing."""
OF_NO_REGISTRY = {"RANKVIDEO", "Tevatron"}
SCRIPTS = {
    "datasets": ("read_datasets.py",),
    "pandas": ("read_tables.py", "pandas"),
    "polars": ("read_tables.py", "polars"),
    "duckdb": ("read_tables.py", "duckdb"),
    "ir_measures": ("read_ir_measures.py",),
}


def _page() -> dict[tuple[str, str], list[str]]:
    """The cells of the page's table by format and consumer."""
    lines = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {(row[0].strip("`"), row[1]): row[2:] for row in rows}


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    spec = importlib.util.spec_from_file_location("consumers_world", HERE / "world.py")
    assert spec and spec.loader
    world = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(world)
    folder: Path = world.build(tmp_path_factory.mktemp("exports") / "exports")
    return folder


@pytest.mark.parametrize("consumer", SCRIPTS)
def test_a_consumer_finds_what_the_page_says(consumer: str, exports: Path) -> None:
    pytest.importorskip(consumer)
    script, *more = SCRIPTS[consumer]
    line = [sys.executable, str(HERE / script), str(exports), *more]
    env = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(exports / "home")}
    done = subprocess.run(line, capture_output=True, text=True, env=env, timeout=200, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    told = json.loads(done.stdout.splitlines()[-1])
    page = _page()
    for format, found in told["formats"].items():
        assert page[format, consumer][1:4] == list(found.values()), (format, consumer)


def test_the_page_has_every_format_and_no_empty_cell() -> None:
    page = _page()
    assert {format for format, _ in page} == {"hf", *EXPORTERS} - TEXTS_ALONE
    for (format, consumer), cells in page.items():
        assert len(cells) == 6 and all(cells), (format, consumer)
        assert cells[4] == ("yes" if format in IMPORTERS else "no importer"), (format, consumer)


def test_every_library_of_a_registry_is_tried_in_two_versions() -> None:
    versions: dict[tuple[str, str], set[str]] = {}
    for (format, consumer), (version, *_) in _page().items():
        versions.setdefault((format, consumer.split(" ")[0]), set()).add(version)
    once = {consumer for (_, consumer), found in versions.items() if len(found) < 2}
    assert once == OF_NO_REGISTRY
