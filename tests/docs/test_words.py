"""One word for one thing, and paragraphs of at most 80 words: docs/glossary.md holds everywhere."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from hardcut.cli.app import app

ROOT = Path(__file__).resolve().parents[2]
GLOSSARY = ROOT / "docs" / "glossary.md"
PAGES = [ROOT / "README.md", *sorted(path for path in (ROOT / "docs").glob("*.md"))]
MADE = {"example-card.md"}
"""What an export wrote; its words are those of the card."""
PACKAGES = [path for path in ROOT.iterdir() if (ROOT / "src" / "hardcut" / path.name).is_symlink()]
MOST_WORDS = 80
OTHER_SENSES = {
    "annotation", "asset", "corpus (that is a config of the dataset)", "fold", "job", "phase", "prompt", "signal",
    "summary", "screenshot", "the books",
}  # fmt: skip
"""Words that are right for another thing too, so that no search can tell."""


def _rows() -> Iterator[tuple[str, list[str]]]:
    for line in GLOSSARY.read_text("utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and len(cells) == 3 and cells[0] not in ("term", "---"):
            yield cells[0], [word.strip() for word in cells[2].split(",") if word.strip()]


BANNED = sorted({word for _, words in _rows() for word in words if word not in OTHER_SENSES})
FOUND = re.compile(rf"\b({'|'.join(map(re.escape, BANNED))})s?\b", re.IGNORECASE)


def _paragraphs(text: str) -> Iterator[str]:
    """Paragraphs and items of lists; no code, tables or headings."""
    block: list[str] = []
    fenced = False
    for line in (*text.splitlines(), ""):
        bare = line.strip()
        fence = bare.startswith("```")
        if fenced or fence or not bare or bare.startswith(("|", "#", "<", "![")) or re.match(r"([-*+]|\d+\.) ", bare):
            if block:
                yield " ".join(block)
            block = []
        if fence:
            fenced = not fenced
        elif not fenced and bare and not bare.startswith(("|", "#", "<", "![")):
            block.append(bare)


def _help(command: typer.core.TyperGroup | typer.core.TyperCommand, name: str) -> Iterator[tuple[str, str]]:
    yield name, command.help or ""
    for parameter in command.params:
        yield f"{name} {parameter.name}", getattr(parameter, "help", None) or ""
    for other, sub in getattr(command, "commands", {}).items():
        yield from _help(sub, f"{name} {other}")


@pytest.mark.parametrize("page", [page for page in PAGES if page.name not in MADE], ids=lambda page: page.name)
def test_paragraphs_are_short(page: Path) -> None:
    for paragraph in _paragraphs(page.read_text("utf-8")):
        assert len(paragraph.split()) <= MOST_WORDS, paragraph


def test_a_long_paragraph_would_be_found() -> None:
    text = f"# T\n\n{'word ' * 81}\n\n```bash\n{'code ' * 100}\n```\n- {'item ' * 70}\n- {'item ' * 70}\n"
    assert [len(each.split()) for each in _paragraphs(text)] == [81, 71, 71]


def test_every_term_has_one_meaning() -> None:
    terms = [term for name, _ in _rows() for term in name.split(", ")]
    assert len(terms) == len(set(terms)) > 50
    assert not set(terms) & set(BANNED)


@pytest.mark.parametrize("page", [page for page in PAGES if page != GLOSSARY], ids=lambda page: page.name)
def test_pages_use_the_glossarys_words(page: Path) -> None:
    assert not FOUND.search(page.read_text("utf-8"))


def test_the_help_of_every_command_uses_them() -> None:
    for where, text in _help(typer.main.get_command(app), "hardcut"):  # type: ignore[arg-type]
        assert not FOUND.search(text), f"{where}: {text}"


def test_public_names_use_them() -> None:
    """Functions, classes and files. What others' formats call a thing keeps their word there."""
    for path in (file for package in PACKAGES for file in package.rglob("*.py")):
        names = [path.stem]
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and node.name[0] != "_":
                names.append(re.sub(r"(?<=[a-z])(?=[A-Z])", "_", node.name))
        for name in names:
            assert not FOUND.search(name.replace("_", " ")), f"{path}: {name}"


def test_blind_is_said_of_reviews_alone() -> None:
    """A teacher that judges without watching is `text_only`."""
    ours = {"annotate", "cli"}
    for path in (file for package in PACKAGES if package.name not in ours for file in package.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            name = getattr(node, "name", None) or getattr(node, "id", None)
            assert not (isinstance(name, str) and "blind" in name.lower()) or name in (
                "blind", "blind_answers", "blind_truth",
            ), f"{path}: {name}"  # fmt: skip


def test_the_glossary_is_linked() -> None:
    assert "(docs/glossary.md)" in (ROOT / "README.md").read_text("utf-8")
    assert "(glossary.md)" in (ROOT / "docs" / "architecture.md").read_text("utf-8")
