"""Makes this folder importable under its usual name, without the rest of Hardcut, and starts the server.

The environment has none of our dependencies, and our packages must not be on its path: they would bring their own.
"""

import runpy
import sys
import types
from pathlib import Path

_INSIDE = Path(__file__).resolve().parent

for _name in ("hardcut", "hardcut.annotate", "hardcut.annotate.embedded"):
    _package = types.ModuleType(_name)
    _package.__path__ = []
    sys.modules[_name] = _package
sys.modules["hardcut.annotate.embedded"].__path__ = [str(_INSIDE.parent)]

if __name__ == "__main__":
    runpy.run_module("hardcut.annotate.embedded.inside.launcher", run_name="__main__")
