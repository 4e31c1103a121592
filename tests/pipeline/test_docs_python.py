"""docs/python.md runs as it stands: as a script without a guard, in a notebook, and under asyncio; on real clips."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "python.md"
BLOCK = re.compile(r"(?P<needs><!-- needs: train -->\n)?^```python\n(?P<code>.*?)^```", re.MULTILINE | re.DOTALL)
Python = Callable[..., "subprocess.CompletedProcess[str]"]

pytestmark = pytest.mark.timeout(600)


def blocks(needs_train: bool = False) -> list[str]:
    found = BLOCK.finditer(PAGE.read_text(encoding="utf-8"))
    return [block["code"] for block in found if bool(block["needs"]) is needs_train]


@pytest.fixture(scope="module")
def script(place: Path, python: Python) -> subprocess.CompletedProcess[str]:
    """All blocks of the page, one after another, as one script."""
    return python("\n".join(blocks()), timeout=560)


def test_the_page_runs_as_a_script_without_a_guard(script: subprocess.CompletedProcess[str], place: Path) -> None:
    assert script.returncode == 0, script.stderr
    assert script.stdout.startswith("True [Caption(")
    assert script.stdout.count("True [Caption(") == 1, "no worker ran the script again"
    assert "did you mean 'max_words'?" in script.stdout
    assert "\n3.0\n" in script.stdout, "the margin of the function"
    assert (place / "runs" / "first" / "report.html").is_file() and (place / "data" / "first" / "README.md").is_file()
    page = (place / "pair.html").read_text(encoding="utf-8")
    assert "data:image/jpeg;base64," in page and "<script" not in page


def test_nothing_is_left_when_the_script_ends(script: subprocess.CompletedProcess[str]) -> None:
    assert "Traceback" not in script.stderr and "never awaited" not in script.stderr, script.stderr


def test_the_fifteen_lines_run_in_a_notebook(
    script: subprocess.CompletedProcess[str], place: Path, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel has a running loop. The page of a pair is shown in a frame."""
    nbclient = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    first = blocks()[0].replace("runs/first", "runs/notebook").replace("data/first", "data/notebook")
    cells = ["import asyncio; asyncio.get_running_loop()", first, "run.show(pair.pair_id)", "teacher"]
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    nbclient.NotebookClient(book, timeout=500, resources={"metadata": {"path": str(place)}}).execute()
    shown = book.cells[2].outputs[0]["data"]["text/html"]
    assert shown.startswith("<iframe sandbox") and "data:image/jpeg;base64," in shown
    told = "".join(output["text"] for output in book.cells[1].outputs if output.get("name") == "stdout")
    assert told.startswith("True [Caption("), told
    [bars] = [output["data"] for output in book.cells[1].outputs if output["output_type"] == "display_data"][:1]
    drawn = [line.split() for line in bars["text/plain"].splitlines() if line.strip()]
    assert [line[0] for line in drawn][-1] == "judgments" and ["captions", "3/3"] in [
        [line[0], line[2]] for line in drawn
    ]
    assert bars["text/html"].startswith("<pre>probe"), "what is drawn last stays in the notebook, once"
    assert (place / "runs" / "notebook" / "pairs.jsonl").read_bytes() == (
        place / "runs" / "first" / "pairs.jsonl"
    ).read_bytes()


ASYNC = """
import asyncio, time
import hardcut

ticks = 0

async def tick():
    global ticks
    while True:
        await asyncio.sleep(0.05)
        ticks += 1

async def main():
    ticking = asyncio.create_task(tick())
    run = await hardcut.arun("videos/", "runs/async", teacher="evidence")
    before = ticks
    assert before > 5, "the caller's loop went on"
    inside = hardcut.run("videos/", "runs/async", teacher="evidence")
    assert inside.status() == run.status(), "the same again does nothing, and may be called inside a loop"
    begun = asyncio.create_task(hardcut.arun("videos/", "runs/cancelled", **{"captions.max_words": 50}))
    await asyncio.sleep(1.0)
    begun.cancel()
    try:
        await begun
    except asyncio.CancelledError:
        print("cancelled")
    assert (await hardcut.arun("videos/", "runs/cancelled", **{"captions.max_words": 50})).status().finished
    print(len(run.pairs()))

asyncio.run(main())
"""


def test_it_runs_under_asyncio_and_can_be_cancelled(script: subprocess.CompletedProcess[str], python: Python) -> None:
    done = python(ASYNC, timeout=560)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[0] == "cancelled"


INTERRUPTED = """
import os, signal, threading, time
import hardcut

class Stop:
    def started(self, stage, total):
        if stage == "evidence":
            threading.Timer(0.3, os.kill, [os.getpid(), signal.SIGINT]).start()
    def advanced(self, stage): pass
    def finished(self, stage): pass

try:
    hardcut.run("videos/", "runs/interrupted", progress=Stop(), **{"evidence.ocr_fps": 4.0})
except KeyboardInterrupt:
    print("interrupted")
print(hardcut.run("videos/", "runs/interrupted", **{"evidence.ocr_fps": 4.0}).status().finished)
"""


def test_ctrl_c_ends_a_run_and_the_same_call_goes_on(script: subprocess.CompletedProcess[str], python: Python) -> None:
    done = python(INTERRUPTED)
    assert (done.returncode, done.stdout) == (0, "interrupted\nTrue\n"), done.stderr
