"""How long a record takes by keyboard alone: two keys in a real browser, until the next record's clip can be played.

    python -m benchmarks.review_keys RUN --videos DIR [--cache DIR] [--out FILE]

Pairs of the run are pushed into an embedded Argilla. A reviewer's Chromium opens the blind set, and every record but
the last is answered by the keys 3 and Enter. What is measured is the machine's time. VENV_ARGILLA names the server's
environment.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from playwright.sync_api import sync_playwright

from hardcut.annotate.embedded.environment import environment
from hardcut.annotate.embedded.server import Order, running
from hardcut.engine.files import atomic_writer
from hardcut.engine.progress import NullProgress
from hardcut.pipeline.cache import cache_folder
from hardcut.pipeline.review import Media, ServerOptions, push, review_settings
from tests.annotate.loop.browsing import by_keyboard, sign_in

RESULTS = Path(__file__).parent / "results" / "review_keys.json"
BUDGET = 200


def main() -> None:
    """Prints the figures, and writes them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--videos", type=Path, required=True)
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--out", type=Path, default=RESULTS)
    asked = parser.parse_args()
    venv = Path(os.environ.get("VENV_ARGILLA", cache_folder(asked.cache).argilla)).resolve()
    python = environment(venv, NullProgress(), print)
    settings = review_settings(asked.run, None, BUDGET)
    with tempfile.TemporaryDirectory() as folder:
        run, data = Path(folder) / "run", Path(folder) / "argilla"
        shutil.copytree(asked.run, run, ignore=shutil.ignore_patterns("review", "argilla"))
        with running(python, data, Order(port=0, reviewers=("bob",))) as server, ThreadPoolExecutor(1) as aside:
            told = (ServerOptions(run, data=data), Media(asked.videos), settings, cache_folder(asked.cache))
            aside.submit(push, *told, NullProgress()).result()
            with sync_playwright() as playwright:
                chromium = shutil.which("chromium") or shutil.which("google-chrome")
                browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
                took = by_keyboard(sign_in(browser, server, data, "run-blind"))
    found = {
        "records": len(took),
        "keys": 2,
        "median_s": round(statistics.median(took), 2),
        "longest_s": round(max(took), 2),
        "load": round(os.getloadavg()[0], 1),
        "cores": os.cpu_count(),
    }
    print(json.dumps(found))
    with atomic_writer(asked.out) as file:
        json.dump(found, file, indent=1)
        file.write("\n")


if __name__ == "__main__":
    main()
