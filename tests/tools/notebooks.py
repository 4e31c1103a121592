"""Executes the notebooks of `examples/` and keeps their outputs small.

    python tests/tools/notebooks.py [NAME ...]     # writes the outputs anew, in the environment that the notebook needs

The tests execute them through `execute`, in a folder of their own, and compare what comes out with what is kept.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "examples" / "notebooks"
LIMIT = 20_000
"""Characters of an output at most; what is longer, such as a page with pictures, is kept as its plain text alone."""


def execute(name: str, cwd: Path, parameters: str | None = None, timeout_s: float = 1500.0) -> Any:
    """The notebook with its outputs, executed in `cwd` by a kernel of this Python. `parameters` take the place of the
    cell with that tag, and the cell is put back afterwards."""
    notebook = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    cell = next((cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])), None)
    kept = cell.source if cell else ""
    if parameters is not None:
        assert cell is not None, f"{name} has no cell with the tag 'parameters'"
        cell.source = parameters
    client = NotebookClient(notebook, timeout=timeout_s, kernel_name="python3", resources={"metadata": {"path": cwd}})
    client.execute(env={**os.environ, "XDG_CACHE_HOME": str(cwd / "cache"), "HF_HUB_OFFLINE": "1", "COLUMNS": "100"})
    if cell is not None:
        cell.source = kept
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = list(_small(cell.outputs))
    return notebook


def _small(outputs: list[Any]) -> Iterator[Any]:
    text = "".join(output.text for output in outputs if output.output_type == "stream" and output.name == "stdout")
    if text:
        yield nbformat.v4.new_output("stream", name="stdout", text=text)
    for output in outputs:
        if output.output_type in ("execute_result", "display_data"):
            output.data = {kind: value for kind, value in output.data.items() if len(str(value)) <= LIMIT}
            yield output


def shown(notebook: Any) -> list[str]:
    """What each code cell shows, for comparison: its words. Numbers and the width of columns are left out: a picture
    is read a little differently on another machine."""
    cells = (cell for cell in notebook.cells if cell.cell_type == "code")
    return ["\n".join(_words(output) for output in cell.outputs) for cell in cells]


def _words(output: Any) -> str:
    text = output.text if output.output_type == "stream" else output.data.get("text/plain", "")
    return re.sub(r"\s+", " ", re.sub(r"-?\d[\d,.]*", "#", str(text))).strip()


@contextlib.contextmanager
def stand_in() -> Iterator[str]:
    """The `parameters` of the notebook that asks a model: the tests' server in its place."""
    server = _load("teacher_server").TeacherServer(models=("Qwen/Qwen3-VL-8B-Instruct",), tokenizes=True)
    with server:
        yield f'teacher = "openai:Qwen/Qwen3-VL-8B-Instruct@{server.url}"'


def _load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"hardcut_tests_{name}", ROOT / "tests" / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def main(names: list[str]) -> None:
    """Writes the outputs of these notebooks, or of all of them, into their files."""
    for path in sorted(FOLDER.glob("*.ipynb")):
        if names and path.stem not in names:
            continue
        with tempfile.TemporaryDirectory() as cwd, contextlib.ExitStack() as stack:
            parameters = stack.enter_context(stand_in()) if path.stem == "2-model" else None
            notebook = execute(path.stem, Path(cwd), parameters)
        path.write_text(nbformat.writes(notebook) + "\n", encoding="utf-8")
        print(f"wrote {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main(sys.argv[1:])
