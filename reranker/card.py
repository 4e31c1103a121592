"""The card of a trained model: what it is, how to use it, how it was trained and how well it ranks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hardcut import __version__
from hardcut.report.templates import markdown_template, write_page
from hardcut.schemas.training import TrainSettings


def write_card(
    out: Path,
    stage: str,
    model: str,
    settings: TrainSettings,
    trained: Mapping[str, Any],
    package: str = "hardcut.reranker",
) -> None:
    """Writes README.md into the model's folder, by the template of a package. A model that is a folder is named by its
    last part."""
    local = Path(model).exists()
    text = markdown_template(package, "card.md.jinja").render(
        version=__version__,
        stage=stage,
        base=Path(model).name if local else model,
        on_hub=not local,
        settings=settings,
        trained=trained,
    )
    write_page(out / "README.md", text)
