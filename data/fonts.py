"""Which fonts the machine has for which script."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path

from PIL import ImageFont

from hardcut.data.model import Script

_WANTED: dict[Script, tuple[str, ...]] = {
    "latin": ("DejaVuSans-Bold.ttf",),
    "cyrillic": ("DejaVuSans-Bold.ttf",),
    "greek": ("DejaVuSans-Bold.ttf",),
    "chinese": ("wqy-microhei.ttc", "wqy-zenhei.ttc", "NotoSansCJK-Bold.ttc", "NotoSansCJK-Regular.ttc"),
}
_CAPITAL: dict[Script, str] = {"latin": "H", "cyrillic": "Н", "greek": "Η", "chinese": "国"}


@dataclass(frozen=True)
class Fonts:
    """A font file for each script that can be drawn. Latin without a file is drawn with Pillow's own font (Aileron)."""

    files: dict[Script, Path] = field(default_factory=dict)

    @cached_property
    def scripts(self) -> tuple[Script, ...]:
        return tuple(script for script in _WANTED if script == "latin" or script in self.files)

    def sized(self, script: Script, height_px: float) -> ImageFont.FreeTypeFont:
        """The script's font, so large that a capital is `height_px` high."""
        file = str(self.files[script]) if script in self.files else None
        return _font(file, round(100 * height_px / _capital_per_100(file, _CAPITAL[script]), 2))


def installed_fonts() -> Fonts:
    """Looks for known fonts by name in the usual folders of the system and the user, and beside matplotlib."""
    found = {path.name: path for folder in reversed(_folders()) if folder.is_dir() for path in sorted(folder.rglob("*.tt[fc]"))}
    return Fonts({script: found[name] for script, names in _WANTED.items() for name in reversed(names) if name in found})


def _folders() -> list[Path]:
    home = Path.home()
    folders = [Path("/usr/share/fonts"), Path("/usr/local/share/fonts"), home / ".local/share/fonts", home / ".fonts"]
    folders += [Path("/Library/Fonts"), Path("/System/Library/Fonts"), home / "Library/Fonts"]
    if windows := os.environ.get("WINDIR"):
        folders.append(Path(windows) / "Fonts")
    return [*folders, *(Path(entry) / "matplotlib/mpl-data/fonts/ttf" for entry in sys.path if entry.endswith("-packages"))]


@lru_cache(maxsize=512)
def _font(file: str | None, size: float) -> ImageFont.FreeTypeFont:
    if file is not None:
        return ImageFont.truetype(file, size)
    font = ImageFont.load_default(size)
    if not isinstance(font, ImageFont.FreeTypeFont):
        raise RuntimeError("this Pillow was built without FreeType: install Pillow from PyPI")
    return font


@lru_cache(maxsize=64)
def _capital_per_100(file: str | None, capital: str) -> float:
    _, top, _, bottom = _font(file, 100).getbbox(capital)
    return bottom - top
