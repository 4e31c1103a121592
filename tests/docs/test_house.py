"""What keeps the house: hooks run what the environment has, forms are forms, the changelog has the version."""

from __future__ import annotations

import re
import shlex
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
CHANGELOG = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
KINDS = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
"""Of https://keepachangelog.com."""


def _hooks() -> dict[str, dict[str, Any]]:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    assert [repo["repo"] for repo in config["repos"]] == ["local"], "a hook from elsewhere would be fetched"
    return {hook["id"]: hook for hook in config["repos"][0]["hooks"]}


def test_hooks_run_what_the_environment_has() -> None:
    for hook in _hooks().values():
        assert hook["language"] == "system", hook["id"]
        program = shlex.split(hook["entry"])[0]
        assert program == "awk" or Path(program).parent == Path(".venv/bin"), program


@pytest.mark.parametrize(("letters", "status"), [(72, 0), (73, 1)])
def test_the_hook_on_subjects_knows_72_from_73(letters: int, status: int, tmp_path: Path) -> None:
    message = tmp_path / "message"
    message.write_text(f"{'s' * letters}\n\n{'b' * 200}\n")
    line = [*shlex.split(_hooks()["subject"]["entry"]), str(message)]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode == status and ("at most 72" in done.stdout) == bool(status)


def test_issue_forms_ask_questions_that_have_names() -> None:
    for path in (ROOT / ".github" / "ISSUE_TEMPLATE").glob("*_*.yml"):
        form = yaml.safe_load(path.read_text(encoding="utf-8"))
        assert form["name"] and form["description"], path.name
        asked = [part for part in form["body"] if part["type"] != "markdown"]
        assert len({part["id"] for part in asked}) == len(asked) > 2, path.name
        assert all(part["attributes"]["label"] for part in asked), path.name


def test_the_changelog_names_pages_without_links() -> None:
    """It is read at the top of the repository and as a page of the site, where a relative link leads elsewhere."""
    assert not re.findall(r"\]\((?!https?://)", CHANGELOG)


def test_the_changelog_has_this_version_and_a_place_for_the_next() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    sections = re.findall(r"^## (.*)$", CHANGELOG, re.MULTILINE)
    assert sections[0] == "Unreleased"
    assert all(re.fullmatch(r"\d+\.\d+\.\d+ - \d{4}-\d\d-\d\d", section) for section in sections[1:]), sections
    assert version in {section.split(" - ")[0] for section in sections[1:]}, f"CHANGELOG.md has no section {version}"
    assert set(re.findall(r"^### (.*)$", CHANGELOG, re.MULTILINE)) <= KINDS
