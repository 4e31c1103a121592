"""One small world, rendered once for all tests here, with nothing but Pillow's own font."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("espeakng_loader", reason="the speech of the sample needs hardcut[render]")

from hardcut.data.fonts import Fonts
from hardcut.data.model import World
from hardcut.data.render import render_world
from hardcut.data.world import make_world


@pytest.fixture(scope="session")
def world() -> World:
    return make_world(31, 8, scripts=("latin",), families=("ball", "talk", "launch", "order"))


@pytest.fixture(scope="session")
def rendered(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("world") / "out"
    render_world(world, out, Fonts())
    return out


@pytest.fixture(scope="session")
def truth(rendered: Path) -> dict[str, dict[str, Any]]:
    lines = (rendered / "truth.jsonl").read_text(encoding="utf-8").splitlines()
    return {record["video_id"]: record for record in map(json.loads, lines)}
