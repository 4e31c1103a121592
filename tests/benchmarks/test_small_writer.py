"""The benchmark of small writers, with the writer that needs no model."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("espeakng_loader", reason='worlds are made with pip install "hardcut[render]"')

from benchmarks.small_writer import _measured
from hardcut.engine.budget import current_stage


async def test_what_rules_write_is_read_and_true(tmp_path: Path) -> None:
    current_stage.set("test")
    found = await _measured("evidence", tmp_path, clips=6)
    assert found["queries"] >= 6 and found["queries_true"] == {
        "read": found["queries"],
        "right": found["queries"],
        "unread": 0,
    }
    written = sum(found["counterfactuals_verified"].values())
    assert written >= 12 and found["counterfactuals_true"] == {"read": written, "right": written, "unread": 0}
    assert found["audit"] != found["audit_kept"] or found["blocks"] == found["blocks_kept"]
