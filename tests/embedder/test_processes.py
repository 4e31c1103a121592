"""Negatives are gathered over processes: two make the step of one that has all the examples."""

from __future__ import annotations

import importlib.util
import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).with_name("two_processes.py")


@pytest.mark.torch
def test_two_processes_make_the_step_of_one(tiny: str, tmp_path: Path) -> None:
    import torch

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    given = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2", "ACCELERATE_USE_CPU": "true"}
    running = [
        subprocess.Popen(
            [sys.executable, str(SCRIPT), tiny, "-", str(tmp_path)],
            env={**os.environ, **given, "OMP_NUM_THREADS": "1", "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    errors = [process.communicate(timeout=280)[1] for process in running]
    assert [process.returncode for process in running] == [0, 0], "\n".join(each[-1500:] for each in errors)
    spec = importlib.util.spec_from_file_location("hardcut_two_processes", SCRIPT)
    assert spec and spec.loader
    script: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    loss, whole = script.gradients(tiny, script.TEXTS, spread=False)
    losses = [json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(2)]
    assert sum(losses) / 2 == pytest.approx(loss, abs=1e-6)
    for rank in range(2):
        found = torch.load(tmp_path / f"{rank}.pt")
        assert set(found) == set(whole)
        worst = max(float((found[name] - whole[name]).abs().max()) for name in whole)
        assert worst < 1e-5 * max(float(each.abs().max()) for each in whole.values())
