"""Hardcut: training data for video rerankers, out of a folder of videos.

The packages stand at the top of the repository and are linked here; see docs/architecture.md.
"""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("hardcut")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0.0.0+source"

__all__ = ["__version__"]
