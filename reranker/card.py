"""The card of a trained model: what it is, how to use it, how it was trained and how well it ranks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hardcut import __version__
from hardcut.engine.files import atomic_writer
from hardcut.schemas.training import TrainSettings


def write_card(out: Path, stage: str, model: str, settings: TrainSettings, trained: Mapping[str, Any]) -> None:
    """Writes README.md into the model's folder. A model that is a folder is named by its last part."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("hardcut.reranker", "."), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    local = Path(model).exists()
    text = environment.get_template("card.md.jinja").render(
        version=__version__,
        stage=stage,
        base=Path(model).name if local else model,
        on_hub=not local,
        settings=settings,
        trained=trained,
    )
    with atomic_writer(out / "README.md") as file:
        file.write(text)
