"""The documentation as a site: it builds without a warning, tells of every record's fields, and fetches nothing."""

from __future__ import annotations

import functools
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
INSTALLED = all(importlib.util.find_spec(name) for name in ("properdocs", "material", "mkdocstrings_handlers"))
pytestmark = pytest.mark.skipif(
    not INSTALLED and not os.environ.get("CI"), reason='the site\'s builder is not installed: pip install -e ".[docs]"'
)
LOADED = re.compile(r"<(?:script|img|iframe|source|video|link)\b[^>]*?\b(?:src|href)=\"?([^\"\s>]+)")


def _build(config: Path, out: Path) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "properdocs", "build", "--strict", "-f", str(config), "-d", str(out)]
    return subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=280, check=False)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("site")
    done = _build(ROOT / "mkdocs.yml", out)
    assert done.returncode == 0, done.stderr
    return out


def test_every_page_and_every_field_of_the_records_is_there(site: Path) -> None:
    for page in (ROOT / "docs").rglob("*.md"):
        assert (site / page.relative_to(ROOT / "docs")).with_suffix(".html").is_file(), page
    records = (site / "api" / "records.html").read_text(encoding="utf-8")
    assert 'id="hardcut.schemas.records.TeacherLabel"' in records and "logit_margin" in records
    found = json.loads((site / "search" / "search_index.json").read_text(encoding="utf-8"))["docs"]
    assert {"teachers.html", "api/stages.html"} <= {entry["location"].split("#")[0] for entry in found}
    settings = (site / "api" / "settings.html").read_text(encoding="utf-8")
    assert "times a second that text is looked for" in settings, "descriptions of fields are told"


def test_no_page_loads_anything_from_elsewhere(site: Path) -> None:
    for page in site.rglob("*.html"):
        for address in LOADED.findall(page.read_text(encoding="utf-8")):
            assert "//" not in address.split("?")[0], f"{page.relative_to(site)} loads {address}"
    for sheet in site.rglob("*.css"):
        text = sheet.read_text(encoding="utf-8")
        assert not re.search(r"@import|url\(\s*[\"']?(?:https?:)?//", text), sheet.relative_to(site)


@pytest.mark.parametrize(
    ("page", "text", "told"),
    [
        ("index.md", "[nowhere](nowhere.md)", "nowhere.md"),
        ("index.md", "[no part](cli.md#no-such-part)", "no-such-part"),
        ("api/stages.md", "::: hardcut.engine.no_such_module", "no_such_module"),
        ("api/stages.md", "[a class][hardcut.engine.stage.NoSuchClass]", "NoSuchClass"),
    ],
)
def test_what_leads_nowhere_ends_the_build(page: str, text: str, told: str, tmp_path: Path) -> None:
    for folder in ("templates", "css"):
        shutil.copytree(ROOT / "docs" / folder, tmp_path / "docs" / folder)
    (tmp_path / "docs" / "api").mkdir()
    for name in ("index.md", "cli.md", "api/stages.md"):
        (tmp_path / "docs" / name).write_text("# A page\n")
    (tmp_path / "docs" / page).write_text(f"# A page\n\n{text}\n")
    config = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").replace("paths: [src]", f"paths: [{ROOT / 'src'}]")
    head, rest = config.split("\nnav:\n")
    (tmp_path / "mkdocs.yml").write_text(f"{head}\nvalidation:\n{rest.split(chr(10) + 'validation:' + chr(10))[1]}")
    done = _build(tmp_path / "mkdocs.yml", tmp_path / "site")
    assert done.returncode != 0 and told in done.stderr


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


@pytest.fixture
def address(site: Path) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=str(site)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.mark.timeout(400)
def test_a_browser_asks_nobody_else(address: str) -> None:
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        pytest.skip("no Chromium on the path: `apt-get install chromium`")
    asked: list[str] = []
    with sync_api.sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"], timeout=120_000)
        except sync_api.Error as error:
            pytest.skip(f"the system's Chromium does not start: {error.message.splitlines()[0]}")
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.set_default_timeout(120_000)
        page.on("request", lambda request: asked.append(request.url))
        for name in ("index.html", "cli.html", "api/records.html"):
            page.goto(f"{address}/{name}")
            width = page.evaluate("document.documentElement.scrollWidth")
            assert width <= 1280, f"{name} is wider than the screen"
        browser.close()
    assert asked and all(url.startswith((address, "data:", "blob:")) for url in asked), asked
