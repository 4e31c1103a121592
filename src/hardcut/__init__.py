"""Hardcut turns a folder of videos into training data for video rerankers.

Each name is loaded when it is first used, so `import hardcut` is quick. docs/python.md shows how to use them. The
packages are folders at the top of the repository and are linked here; see docs/architecture.md.
"""

from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hardcut.pipeline.api import arun, caption, judge, run
    from hardcut.pipeline.evaluate_runs import evaluate
    from hardcut.pipeline.open_dataset import open_dataset
    from hardcut.pipeline.open_reranker import load_reranker
    from hardcut.pipeline.open_run import Run, open_run
    from hardcut.pipeline.open_teacher import open_teacher, teacher_from
    from hardcut.pipeline.vectors_api import embed, search
    from hardcut.schemas.errors import HardcutError
    from hardcut.schemas.settings import Settings

try:
    __version__ = version("hardcut")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0.0.0+source"

_WHERE = {
    "run": "pipeline.api",
    "arun": "pipeline.api",
    "caption": "pipeline.api",
    "judge": "pipeline.api",
    "embed": "pipeline.vectors_api",
    "search": "pipeline.vectors_api",
    "evaluate": "pipeline.evaluate_runs",
    "open_dataset": "pipeline.open_dataset",
    "Run": "pipeline.open_run",
    "open_run": "pipeline.open_run",
    "load_reranker": "pipeline.open_reranker",
    "open_teacher": "pipeline.open_teacher",
    "teacher_from": "pipeline.open_teacher",
    "HardcutError": "schemas.errors",
    "Settings": "schemas.settings",
}

__all__ = [
    "HardcutError",
    "Run",
    "Settings",
    "__version__",
    "arun",
    "caption",
    "embed",
    "evaluate",
    "judge",
    "load_reranker",
    "open_dataset",
    "open_run",
    "open_teacher",
    "run",
    "search",
    "teacher_from",
]


def __dir__() -> list[str]:
    return __all__


if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        if name not in _WHERE:
            raise AttributeError(f"module 'hardcut' has no attribute {name!r}")
        from importlib import import_module

        found = globals()[name] = getattr(import_module(f"hardcut.{_WHERE[name]}"), name)
        return found
