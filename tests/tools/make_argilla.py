"""Makes the environment of the embedded Argilla in the folder given, before the tests that start it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from hardcut.annotate.embedded.environment import environment
from hardcut.pipeline.progress import TerminalProgress
from hardcut.schemas.errors import MissingDependency

try:
    with TerminalProgress() as progress:
        environment(Path(sys.argv[1]).resolve(), progress, print)
except MissingDependency as error:
    if os.environ.get("HARDCUT_ARGILLA") == "required":
        raise
    print(f"SKIPPED tests of the embedded Argilla: {error}")
