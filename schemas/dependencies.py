"""Optional libraries: their versions for a stage's key, or one line that says how to get them."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from hardcut.schemas.errors import MissingDependency


def installed(package: str, extra: str, otherwise: str = "") -> str:
    """The version of an installed package. Raises MissingDependency: the extra that brings it, and what else helps."""
    try:
        return version(package)
    except PackageNotFoundError:
        hint = f", or set {otherwise}" if otherwise else ""
        raise MissingDependency(f'{package} is not installed: pip install "hardcut[{extra}]"{hint}') from None


def opencv(otherwise: str) -> str:
    """The version of OpenCV, whichever of its packages brings it. Raises MissingDependency."""
    for package in ("opencv-python", "opencv-python-headless", "opencv-contrib-python"):
        try:
            return version(package)
        except PackageNotFoundError:
            continue
    raise MissingDependency(f'OpenCV is not installed: pip install "hardcut[vision]", or set {otherwise}')
