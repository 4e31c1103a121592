"""The guard itself: what it says of a changed result, of a new version, and of what has no golden result."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(bool(os.environ.get("HARDCUT_GOLDENS")), reason="goldens are being written")

KEPT = Path(__file__).parent / "results" / "stages" / "captions.json"


def test_what_is_told(hold: Any) -> None:
    golden = json.loads(KEPT.read_text())
    version, result = golden["version"], golden["result"]
    hold("stages/captions", version, result)
    unit = min(result["units"])
    changed = {**result, "units": {**result["units"], unit: {}}}
    with pytest.raises(
        pytest.fail.Exception, match=rf"its version is still {version}: count it up\n  /units/{unit}/c_"
    ):
        hold("stages/captions", version, changed)
    with pytest.raises(pytest.fail.Exception, match=rf"is of version {version + 1}, its golden result of {version}"):
        hold("stages/captions", version + 1, changed)
    with pytest.raises(pytest.fail.Exception, match="no golden result"):
        hold("stages/strange", 1, {})
    with pytest.raises(pytest.skip.Exception, match="another key"):
        hold("stages/captions", version, changed, libraries={"opencv": "1"})


def test_numbers_differ_by_what_machines_may(hold: Any) -> None:
    golden = json.loads((KEPT.parents[1] / "sampler.json").read_text())
    frame = golden["result"]["frames"][0]
    frame["colour"][0] *= 1.01
    hold("sampler", golden["version"], golden["result"], tolerance=0.02)
    with pytest.raises(pytest.fail.Exception, match=r"/frames/0/colour/0: .* became"):
        hold("sampler", golden["version"], golden["result"], tolerance=0.001)
