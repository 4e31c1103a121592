"""The documentation tells the truth: its commands parse, its links lead somewhere, its settings are the real ones."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
import yaml

from hardcut.cli.app import app
from hardcut.cli.init import template
from hardcut.publish.columns import features
from hardcut.schemas.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")])
FENCE = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
NAMED = re.compile(r"`([\w.-]+/[\w./-]*(?:/|\.(?:py|md|toml|yml|json|jinja|html|sh|txt|ipynb)))`")


def _name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def _blocks(language: str) -> Iterator[tuple[str, str]]:
    for page in PAGES:
        for found, block in FENCE.findall(page.read_text(encoding="utf-8")):
            if found == language:
                yield _name(page), block


def _lines() -> Iterator[tuple[str, list[str]]]:
    """The words of every line of every bash block."""
    for page, block in _blocks("bash"):
        for line in block.replace("\\\n", " ").splitlines():
            if words := shlex.split(line, comments=True):
                yield page, words


def _commands() -> list[tuple[str, list[str]]]:
    return [(page, words[1:]) for page, words in _lines() if Path(words[0]).name == "hardcut"]


@pytest.mark.parametrize(
    ("page", "words"), _commands(), ids=lambda value: value if isinstance(value, str) else " ".join(value)
)
def test_every_command_in_the_documentation_parses(page: str, words: list[str]) -> None:
    command = typer.main.get_command(app)
    while hasattr(command, "commands"):  # `review serve` is a command inside a command
        name, *words = words
        command = command.commands[name]
    command.make_context(name, words)


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_commands_inside_a_sentence_are_commands_and_their_flags_are_theirs(page: Path) -> None:
    for named in re.findall(r"`hardcut ([a-z][^`]*)`", page.read_text(encoding="utf-8")):
        command, words = typer.main.get_command(app), named.replace("\\|", " ").split()
        while hasattr(command, "commands") and words:
            assert words[0] in command.commands, f"{_name(page)}: hardcut {named}"
            command = command.commands[words.pop(0)]
        flags = {flag for parameter in command.params for flag in (*parameter.opts, *parameter.secondary_opts)}
        wrong = set(re.findall(r"(?<!\w)--[a-z-]+", " ".join(words))) - flags - {"--help"}
        assert not wrong, f"{_name(page)}: hardcut {named} has no {sorted(wrong)}"


def test_there_are_commands_to_check() -> None:
    assert {words[0] for _, words in _commands()} >= {"run", "status", "export", "doctor", "init", "schema", "review"}


def test_every_make_target_that_is_named_is_one() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = {target for _, words in _lines() if words[0] == "make" for target in words[1:]}
    targets |= {found for page in PAGES for found in re.findall(r"`make ([\w-]+)`", page.read_text(encoding="utf-8"))}
    assert targets >= {"demo", "test", "docs"}
    for target in targets:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


@pytest.mark.parametrize(("page", "block"), list(_blocks("python")), ids=lambda value: str(value).splitlines()[0])
def test_every_python_block_compiles_and_imports_what_there_is(page: str, block: str) -> None:
    for node in ast.walk(ast.parse(block, page)):
        if isinstance(node, ast.ImportFrom) and str(node.module).split(".")[0] == "hardcut":
            module = importlib.import_module(str(node.module))
            for alias in node.names:
                assert hasattr(module, alias.name), f"{page}: {node.module} has no {alias.name}"


def test_every_extra_that_is_named_is_one() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    for page in PAGES:
        for named in re.findall(r"hardcut\[([\w,]+)\]", page.read_text(encoding="utf-8")):
            assert set(named.split(",")) <= set(extras), f"{_name(page)}: {named}"


def _anchors(page: Path) -> set[str]:
    """What the headings of a page are called in links."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", [*PAGES, ROOT / ".github" / "PULL_REQUEST_TEMPLATE.md"], ids=_name)
def test_links_inside_the_project_lead_somewhere(page: Path) -> None:
    for target, anchor in re.findall(r"\]\(([^)#]*)#?([^)]*)\)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            there = page.parent / target if target else page
            assert there.exists(), f"{_name(page)}: {target}"
            assert not anchor or anchor in _anchors(there), f"{_name(page)}: {target}#{anchor}"


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_file_of_the_project_that_is_named_is_there(page: Path) -> None:
    folders = {path.name for path in ROOT.iterdir() if path.is_dir()} - {"runs", "site"}
    ours = {name for name in NAMED.findall(page.read_text(encoding="utf-8")) if name.split("/")[0] in folders}
    gone = sorted(name for name in ours if not (ROOT / name).exists())
    assert not gone, f"{_name(page)} names what was moved or removed: mend the page"


@pytest.mark.parametrize("page", sorted((ROOT / "docs" / "api").glob("*.md")), ids=_name)
def test_everything_that_a_page_is_built_from_is_there(page: Path) -> None:
    for named in re.findall(r"^::: ([\w.]+)$", page.read_text(encoding="utf-8"), re.MULTILINE):
        place, _, name = named.rpartition(".")
        there = hasattr(importlib.import_module(place), name) or importlib.util.find_spec(named)
        assert there, f"{_name(page)}: {named} was moved or removed"


def test_every_page_is_in_the_navigation() -> None:
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    listed = set(re.findall(r"[\w/-]+\.md", text.split("\nnav:\n")[1].split("\nvalidation:\n")[0]))
    pages = {str(page.relative_to(ROOT / "docs")) for page in (ROOT / "docs").rglob("*.md")}
    assert pages == listed, "a page of docs/ has one line under `nav` in mkdocs.yml"


def test_every_folder_of_tests_is_on_the_map() -> None:
    page = (ROOT / "docs" / "testing.md").read_text(encoding="utf-8")
    for folder in (ROOT / "tests").iterdir():
        if folder.is_dir() and any(folder.rglob("test_*.py")) and folder.name != "benchmarks":
            assert f"`tests/{folder.name}/" in page, f"docs/testing.md says nothing of tests/{folder.name}/"


def test_every_test_that_the_map_names_is_there() -> None:
    page = (ROOT / "docs" / "testing.md").read_text(encoding="utf-8")
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", page)
    assert len(named) > 15
    for file, name in named:
        assert f"def {name}(" in (ROOT / file).read_text(encoding="utf-8"), f"docs/testing.md: {file} has no {name}"


def test_the_settings_page_shows_the_settings() -> None:
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    block = page.split("```toml\n")[1].split("```")[0]
    assert block.strip() == template().strip(), "render docs/settings.md again: paste what `hardcut init` writes"
    assert Settings.model_validate(tomllib.loads(template())) == Settings()


def test_every_block_of_toml_is_settings_that_exist() -> None:
    for page, block in _blocks("toml"):
        if "[project]" in block:  # a package of the reader's own
            continue
        assert Settings.model_validate(tomllib.loads(block)), page


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


def test_the_example_of_the_readme_says_what_it_says(tmp_path: Path) -> None:
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    (code,) = (block for language, block in FENCE.findall(page) if language == "python")
    (said,) = (block for language, block in FENCE.findall(page) if language == "text")
    (tmp_path / "example.py").write_text(code, encoding="utf-8")
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    line = [sys.executable, str(tmp_path / "example.py")]
    done = subprocess.run(line, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=280, check=False)
    assert done.stdout == said, done.stderr


def test_the_readme_is_one_screen() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 60
