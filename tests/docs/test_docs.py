"""The documentation tells the truth: its commands parse, its links lead somewhere, its settings are the real ones."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path

import pytest
import typer
import yaml

from hardcut.cli.app import app
from hardcut.cli.init import template
from hardcut.publish.columns import features
from hardcut.schemas.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
FENCE = re.compile(r"^```bash\n(.*?)^```", re.MULTILINE | re.DOTALL)


def _commands() -> list[tuple[str, list[str]]]:
    found = []
    for page in PAGES:
        for block in FENCE.findall(page.read_text(encoding="utf-8")):
            for line in block.replace("\\\n", " ").splitlines():
                words = shlex.split(line, comments=True)
                if words and Path(words[0]).name == "hardcut":
                    found.append((page.name, words[1:]))
    return found


@pytest.mark.parametrize(
    ("page", "words"), _commands(), ids=lambda value: value if isinstance(value, str) else " ".join(value)
)
def test_every_command_in_the_documentation_parses(page: str, words: list[str]) -> None:
    group = typer.main.get_command(app)
    name, *arguments = words
    command = group.commands[name]  # type: ignore[attr-defined]
    command.make_context(name, arguments)


def test_there_are_commands_to_check() -> None:
    assert {words[0] for _, words in _commands()} >= {"run", "status", "export", "doctor", "init", "schema"}


def test_every_make_target_in_the_readme_is_one() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for block in FENCE.findall((ROOT / "README.md").read_text(encoding="utf-8")):
        for target in re.findall(r"^make (\w+)", block, re.MULTILINE):
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_inside_the_project_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_settings_page_shows_the_settings() -> None:
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    block = page.split("```toml\n")[1].split("```")[0]
    assert block.strip() == template().strip(), "render docs/settings.md again: paste what `hardcut init` writes"
    assert Settings.model_validate(tomllib.loads(template())) == Settings()


def test_the_example_card_is_of_this_version() -> None:
    """Its sections and columns; the figures are of one run of `hardcut demo`."""
    card = (ROOT / "docs" / "example-card.md").read_text(encoding="utf-8")
    body = (ROOT / "publish" / "card.md.jinja").read_text(encoding="utf-8")
    for heading in re.findall(r"^##+ .*", body, re.MULTILINE):
        assert heading in card, f"{heading}: copy README.md and plots/ of a fresh demo's dataset to docs/"
    _, front, _ = card.split("---\n", 2)
    for told in yaml.safe_load(front)["dataset_info"]:
        named = [feature["name"] for feature in told["features"]]
        assert named == list(features(told["config_name"])), f"{told['config_name']}: copy a fresh demo's README.md"


def test_every_command_is_in_the_reference() -> None:
    page = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    for name in typer.main.get_command(app).commands:  # type: ignore[attr-defined]
        assert f"`hardcut {name}" in page, name


def test_the_readme_is_one_screen() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 60
