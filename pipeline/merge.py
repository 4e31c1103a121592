"""Shards: a run over a part of the videos on each machine, and one run made of them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hardcut.engine.files import atomic_writer
from hardcut.engine.ledger import Ledger
from hardcut.engine.merging import Taken, book_spent, take_results
from hardcut.pipeline.begun import as_begun
from hardcut.pipeline.stages import STAGES
from hardcut.publish.recipe import flat
from hardcut.schemas.config import format_settings, load_settings
from hardcut.schemas.errors import UsageError
from hardcut.schemas.settings import Settings
from hardcut.synth.queries import QueryStage

LAST_STAGE = QueryStage.name
"""The last stage of a shard: the later ones look at videos of other shards."""
_FREE = re.compile(r"(resources|budget)\.|.*\b(urls|key_variable)$")
"""Settings that may be others from machine to machine."""
_ADDRESS = re.compile(r"@https?://[^\s'\"]+")
"""Where a model is served; which one it is may not be another."""


@dataclass(frozen=True, slots=True)
class Shard:
    """Part `number` of `count`, counted from 1."""

    number: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Shard:
        """From `3/16`. Raises UsageError."""
        found = re.fullmatch(r"(\d+)/(\d+)", text)
        if not found or not 1 <= int(found[1]) <= int(found[2]):
            raise UsageError(f"--shard {text}: give the part and how many there are, such as 3/16")
        return cls(int(found[1]), int(found[2]))

    def of(self, items: Sequence[str]) -> Sequence[str]:
        """Its part of a list: parts differ in length by one at most, and together are the list."""
        return items[(self.number - 1) * len(items) // self.count : self.number * len(items) // self.count]


def last_stage(until: str | None) -> str:
    """The stage that a shard ends with, where `until` is asked for. Raises UsageError where that is a later one."""
    names = [entry.name for entry in STAGES]
    wanted = until or LAST_STAGE
    if wanted in names[names.index(LAST_STAGE) + 1 :]:
        raise UsageError(
            f"--until {wanted}: a shard ends with {LAST_STAGE}, since {wanted} needs the other shards: merge them "
            "(`hardcut merge`), then run over all videos"
        )
    return wanted


def merge(out: Path, runs: Sequence[Path]) -> list[Taken]:
    """Makes the new run `out` of what other runs did at each video. `hardcut run VIDEOS --out OUT`, over all their
    videos, finds it and goes on from there. What that start leaves open is as these runs began (`begun.py`).

    A merge that was killed is done again by the same call. Raises UsageError where `out` is a run that was started or
    merged, and where the settings of two runs are not the same.
    """
    if not runs:
        raise UsageError("nothing to merge: name the folders of the runs")
    _check_settings(runs)
    stages = {entry.name for entry in STAGES if entry.stage.kind == "unit"}
    with Ledger(out) as ledger:
        if ledger.stages() or ledger.database.read("SELECT 1 FROM spend LIMIT 1"):
            raise UsageError(f"{out}: a run is here already: merge into a new folder")
        taken = [take_results(ledger, run, stages) for run in runs]
        with atomic_writer(out / "run.toml") as file:
            file.write(format_settings(_begun(runs[0])))
        book_spent(ledger, runs)  # of all at once, at the end: a merge that is begun again books nothing twice
    return taken


def _check_settings(runs: Sequence[Path]) -> None:
    first, *others = [(run, _settings(run)) for run in runs]
    for run, told in others:
        for name in sorted(first[1].keys() | told.keys()):
            if first[1].get(name) != told.get(name):
                raise UsageError(
                    f"{run}: {name} is {told.get(name)}, and {first[1].get(name)} in {first[0]}: a run has one set "
                    "of settings; make one of them anew, what is the same comes out of its cache"
                )


def _begun(run: Path) -> Settings:
    own = run / "run.toml"
    if not own.exists():
        raise UsageError(f"{run}: no run is here (run.toml is missing): give the folder that --out named")
    return as_begun(load_settings(own), run)


def _settings(run: Path) -> dict[str, str]:
    told = _begun(run).model_dump(mode="json")
    return {name: _ADDRESS.sub("", str(value)) for name, value in flat("", told) if not _FREE.match(name)}
