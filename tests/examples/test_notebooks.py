"""The notebooks of `examples/` run from their first cell to their last, and show what they say."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("1-sample", "2-model", "3-reranker")
NEEDED = ("torch", "peft", "accelerate", "sentence_transformers")
INSTALLED = all(importlib.util.find_spec(name) for name in NEEDED)
STALE = "the outputs are not those of this version: python tests/tools/notebooks.py"


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    pytest.importorskip("nbclient", reason='nbclient is not installed: pip install -e ".[test]"')
    path = ROOT / "tests" / "tools" / "notebooks.py"
    spec = importlib.util.spec_from_file_location("hardcut_tests_notebooks", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def _kept(tool: ModuleType, name: str) -> list[str]:
    import nbformat

    found: list[str] = tool.shown(nbformat.read(ROOT / "examples" / "notebooks" / f"{name}.ipynb", as_version=4))
    return found


def test_there_is_no_other_notebook() -> None:
    assert {path.stem for path in (ROOT / "examples" / "notebooks").glob("*.ipynb")} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_is_small_and_names_no_machine(name: str) -> None:
    text = (ROOT / "examples" / "notebooks" / f"{name}.ipynb").read_text(encoding="utf-8")
    assert len(text) < 60_000
    assert not re.search(r"/(home|root|tmp|work|Users)/", text)
    notebook = json.loads(text)
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert all(cell["execution_count"] for cell in code), f"{name} was not executed: python tests/tools/notebooks.py"
    assert not any(output["output_type"] == "error" for cell in code for output in cell["outputs"])


@pytest.mark.timeout(900)
def test_the_sample(tool: ModuleType, tmp_path: Path) -> None:
    assert tool.shown(tool.execute("1-sample", tmp_path)) == _kept(tool, "1-sample"), STALE
    assert (tmp_path / "runs" / "sample" / "report.html").is_file()
    assert (tmp_path / "data" / "sample" / "README.md").is_file()


@pytest.mark.timeout(900)
def test_a_run_with_a_model(tool: ModuleType, tmp_path: Path) -> None:
    with tool.stand_in() as parameters:
        notebook = tool.execute("2-model", tmp_path, parameters)
    assert tool.shown(notebook) == _kept(tool, "2-model"), STALE
    assert "127.0.0.1:8000" in json.dumps(notebook), "the reader is shown the name of a real server"


@pytest.mark.torch
@pytest.mark.skipif(not INSTALLED, reason="what trains is not installed: `make test-train`")
@pytest.mark.timeout(1800)
def test_a_tiny_reranker(tool: ModuleType, tmp_path: Path) -> None:
    assert tool.shown(tool.execute("3-reranker", tmp_path)) == _kept(tool, "3-reranker"), STALE
    assert (tmp_path / "models" / "ranks" / "train.json").is_file()
