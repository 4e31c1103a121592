"""What a worker process has to load before it reads text or looks for movement."""

from __future__ import annotations

import json
import subprocess
import sys

_CODE = """
import json, sys
import hardcut.synth.evidence.lines, hardcut.synth.evidence.motion, hardcut.media.holes
print(json.dumps([name for name in ("aiohttp", "asyncio", "jinja2", "rapidocr", "tesserocr") if name in sys.modules]))
"""


def test_workers_load_no_client_of_servers() -> None:
    """A client of HTTP takes a worker longer to load than a minute of video with still text takes to read."""
    told = subprocess.run([sys.executable, "-c", _CODE], check=True, capture_output=True, text=True)
    assert json.loads(told.stdout) == []


def test_a_run_that_asks_no_server_loads_no_client_of_servers() -> None:
    code = "import sys, hardcut.cli.run; print('aiohttp' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert told.stdout.strip() == "False"
