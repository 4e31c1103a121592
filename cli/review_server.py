"""Which Argilla a review command speaks to: the run's own, or the one at `--url`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hardcut.annotate.argilla import ArgillaServer, key_of_environment
from hardcut.annotate.embedded.server import connection, data_folder
from hardcut.schemas.config import load_settings
from hardcut.schemas.errors import UsageError
from hardcut.schemas.settings import Settings

WORKSPACE = "hardcut"
"""Where the sets are; the embedded server makes it."""


@dataclass(frozen=True, slots=True)
class Where:
    """The options that say which server. `name` is what the run's sets are called there, its folder's by default."""

    run: Path
    url: str | None = None
    data: Path | None = None
    workspace: str | None = None
    name: str | None = None

    @property
    def set_name(self) -> str:
        """What the sets of the run are called."""
        return self.name or self.run.resolve().name


@dataclass(frozen=True, slots=True)
class Reached:
    """A server that answered, at `url`. `media`, for an embedded one alone, is the folder of its clips and their paths
    there."""

    server: ArgillaServer
    url: str
    media: tuple[Path, Callable[[str], str]] | None


def reach(where: Where) -> Reached:
    """Connects. Raises Unreachable, with how to start one, where nobody answers."""
    if where.url is not None:
        if not where.url.startswith(("http://", "https://")):
            raise UsageError(f"--url {where.url!r}: expected http:// or https:// and an address")
        hint = f"start it, or `hardcut review serve {where.run}` and leave --url out"
        server = ArgillaServer(where.url, key_of_environment(), where.workspace or WORKSPACE, hint)
        return Reached(server, where.url, None)
    data = data_folder(where.run, where.data)
    found = connection(data)
    hint = f"start one with `hardcut review serve {where.run}`"
    server = ArgillaServer(found.url, found.api_key, where.workspace or WORKSPACE, hint)
    return Reached(server, found.url, (found.media_root, found.media_url))


def settings_of(run: Path, config: Path | None) -> Settings:
    """The settings in force: those given, else the run's own. Raises UsageError where there is no run."""
    if not (run / "run.toml").is_file():
        raise UsageError(f"{run}: no run is there: `hardcut run VIDEOS --out {run}` makes one")
    return load_settings(config or run / "run.toml")
