"""A process of ours never imports the main module of the script that started it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = """
import asyncio, sys
print("main")
sys.path.insert(0, {here!r})
import pool_work
from hardcut.engine.pool import WorkerPool

async def work():
    with WorkerPool(2, timeout_s=60) as pool:
        print(await asyncio.gather(*(pool.call(pool_work.square, n) for n in range(4))))

asyncio.run(work())
"""


def test_a_script_without_a_guard_is_run_once(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(here=str(Path(__file__).parent)))
    done = subprocess.run([sys.executable, script.name], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "main\n[0, 1, 4, 9]\n"), done.stderr


def test_a_file_beside_the_script_does_not_take_the_place_of_a_library(tmp_path: Path) -> None:
    """A worker's path is that of the script, in its order: nothing else comes before it."""
    (tmp_path / "ctypes.py").write_text("raise SystemExit('the wrong ctypes')")
    code = SCRIPT.format(here=str(Path(__file__).parent))
    done = subprocess.run([sys.executable, "-P", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
