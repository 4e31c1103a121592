"""The table of docs/architecture.md: what may import what, the links, and what must not be loaded at start-up."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MAY_IMPORT: dict[str, set[str]] = {
    "schemas": set(),
    "engine": {"schemas"},
    "media": {"schemas", "engine"},
    "teacher": {"schemas", "engine", "media"},
    "synth": {"schemas", "engine", "media", "teacher"},
    "report": {"schemas", "engine", "media"},
    "annotate": {"schemas", "engine", "media", "teacher", "report"},
    "publish": {"schemas", "engine", "media", "teacher", "report"},
    "reranker": {"schemas", "engine", "media", "teacher", "report"},
    "embedder": {"schemas", "engine", "media", "teacher", "report", "reranker"},
    "data": {"schemas"},
    "pipeline": {
        *("schemas", "engine", "media", "teacher", "synth", "annotate", "publish", "reranker", "embedder", "report"),
        "data",
    },
    "cli": {
        *("schemas", "engine", "media", "teacher", "synth", "annotate", "publish", "reranker", "embedder", "report"),
        *("data", "pipeline"),
    },
}
HEAVY = {
    "torch", "transformers", "datasets", "ray", "cv2", "av", "numpy", "PIL", "pyarrow", "pandas",
    "rapidocr", "onnxruntime", "scenedetect", "bm25s", "ir_measures", "huggingface_hub", "aiohttp", "jinja2",
    "argilla", "httpx", "sklearn",
}  # fmt: skip


def _ours(path: Path) -> set[str]:
    """The packages of ours that a file imports."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            parts = name.split(".")
            if parts[0] == "hardcut" and len(parts) > 1:
                found.add(parts[1])
            assert parts[0] not in MAY_IMPORT, f"{path} imports {name}, which bypasses the package name hardcut"
    return found & set(MAY_IMPORT)


@pytest.mark.parametrize("package", sorted(MAY_IMPORT))
def test_imports_run_one_way(package: str) -> None:
    for path in sorted((ROOT / package).rglob("*.py")):
        extra = _ours(path) - MAY_IMPORT[package] - {package}
        assert not extra, f"{path.relative_to(ROOT)} imports {sorted(extra)}"


SERVER = {"argilla_server", "sqlalchemy", "starlette", "uvicorn", "alembic", "rq", "bcrypt", "fastapi"}
INSIDE = ROOT / "annotate" / "embedded" / "inside"


def _imported(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(str(node.module))
    return found


def test_only_what_runs_inside_the_servers_environment_imports_the_server() -> None:
    for package in MAY_IMPORT:
        for path in sorted((ROOT / package).rglob("*.py")):
            tops = {name.split(".")[0] for name in _imported(path)}
            assert INSIDE in path.parents or not tops & SERVER, path


def test_what_runs_inside_the_servers_environment_imports_nothing_else_of_ours() -> None:
    """Nor any of our dependencies: only what `requirements.txt` brings and the standard library."""
    for path in sorted(INSIDE.glob("*.py")):
        for name in _imported(path):
            top = name.split(".")[0]
            inside = name.startswith("hardcut.annotate.embedded.inside")
            assert inside or top in SERVER or top in sys.stdlib_module_names, f"{path} imports {name}"


def test_the_table_in_the_documentation_is_this_one() -> None:
    rows = {}
    for line in (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 3 and cells[0].startswith("`") and cells[0].endswith("/`"):
            rows[cells[0].strip("`/")] = cells[2]
    assert set(rows) == set(MAY_IMPORT)
    for package, cell in rows.items():
        said = {
            "nothing of ours": set(),
            "the above": {"schemas", "engine", "media", "teacher"},
            "all but `cli`": set(MAY_IMPORT) - {"pipeline", "cli"},
            "all": set(MAY_IMPORT) - {"cli"},
        }.get(cell, {word.strip() for word in cell.split(",")})
        assert said == MAY_IMPORT[package], package


def test_every_package_is_linked_and_src_holds_no_other_code() -> None:
    source = ROOT / "src" / "hardcut"
    links = {path.name: path for path in source.iterdir() if path.is_symlink()}
    assert set(links) == set(MAY_IMPORT)
    for name, link in links.items():
        assert link.readlink() == Path("..") / ".." / name, f"{link} must be relative"
        assert (link / "__init__.py").is_file()
    rest = {path.name for path in source.iterdir()} - set(links) - {"__pycache__"}
    assert rest == {"__init__.py", "py.typed"}


@pytest.mark.parametrize("statement", ["import hardcut", "from hardcut.cli.app import main; main(['--help'])"])
def test_nothing_heavy_is_loaded_at_start_up(statement: str) -> None:
    code = f"import sys\ntry:\n {statement}\nexcept SystemExit: pass\nprint('LOADED', *sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in done.stdout.split("LOADED")[-1].split()}
    assert not loaded & HEAVY


MOST_ROOMS = 15
CODE = (*sorted(MAY_IMPORT), "benchmarks")
PLAIN = {"__init__.py", "__main__.py", "conftest.py"}
SCENARIOS = {Path("annotate/loop"): "people, server and run together"}
"""Folders of tests that mirror no folder of code, and why."""


def _modules() -> dict[str, Path]:
    """Every file of code by its import name."""
    found = {}
    for room in CODE:
        for path in (ROOT / room).rglob("*.py"):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(("hardcut", *parts) if room in MAY_IMPORT else parts).removesuffix(".__init__")] = path
    return found


def _arrows(modules: Mapping[str, Path]) -> dict[str, set[str]]:
    """What each file imports of ours, inside functions and for types too."""
    arrows = {}
    for name, path in modules.items():
        found = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module:
                dotted = {f"{node.module}.{alias.name}" for alias in node.names}
                found |= {each for each in dotted if each in modules} or {node.module}
            elif isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
        arrows[name] = (found & set(modules)) - {name}
    return arrows


def test_there_are_few_rooms() -> None:
    rooms = {
        path.parent.relative_to(ROOT).parts[0]
        for path in ROOT.glob("*/**/*.py")
        if path.parts[len(ROOT.parts)][0] != "."
    }
    assert len(rooms - {"tests"}) <= MOST_ROOMS, sorted(rooms)


def test_no_file_imports_itself_through_others() -> None:
    arrows = _arrows(_modules())
    open_files = dict(arrows)
    while leaves := {name for name, targets in open_files.items() if not targets & set(open_files)}:
        open_files = {name: targets for name, targets in open_files.items() if name not in leaves}
    assert not open_files, f"in a circle, or above one: {sorted(open_files)}"


def test_no_file_name_stands_three_times() -> None:
    names = Counter(path.name for path in _modules().values() if path.name not in PLAIN)
    assert not [name for name, count in names.items() if count > 2]


def test_tests_mirror_the_packages() -> None:
    """Their folders are folders of code, and a test named like a file of its package lies where that file does."""
    for room in MAY_IMPORT:
        homes: dict[str, set[Path]] = {}
        for path in (ROOT / room).rglob("*.py"):
            homes.setdefault(f"test_{path.name}", set()).add(path.parent.relative_to(ROOT))
        for test in (ROOT / "tests" / room).rglob("test_*.py"):
            folder = test.parent.relative_to(ROOT / "tests")
            if folder in SCENARIOS:
                continue
            assert (ROOT / folder).is_dir(), f"{test}: there is no {folder}/"
            assert folder in homes.get(test.name, {folder}), f"{test}: what it tests is in {homes[test.name]}"


def test_no_merge_was_left_half_done() -> None:
    """A marker of a conflict in a script, a document or a table is a syntax error that nobody sees until it is run."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode:
        pytest.skip("no repository of git")
    for name in filter(None, listed.stdout.decode().split("\0")):
        data = (ROOT / name).read_bytes() if (ROOT / name).is_file() else b""
        assert not any(line.startswith((b"<" * 7 + b" ", b">" * 7 + b" ")) for line in data.splitlines()), name
