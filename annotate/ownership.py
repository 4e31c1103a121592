"""Which sets on a server are a run's own: by their ids and by the run's id, not by their names.

A set can be renamed, and two runs can have folders of one name. What a run has pushed to is in its folder.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hardcut.annotate.argilla import Listed
from hardcut.annotate.policy import SETS, SetName
from hardcut.annotate.sets import review_set
from hardcut.engine.files import atomic_writer
from hardcut.schemas.errors import UsageError

STATE = "review/pushed.json"
"""The sets that a run has pushed to, by the server's ids of them."""
RUN_ID = "review/run_id"
"""Who pushed: chosen by chance at the first push. Records carry it."""


@dataclass(frozen=True, slots=True)
class NotedSet:
    """A set that was pushed to: which it is, and the name that it had then; None where an early version noted it."""

    set: SetName | None
    name: str | None


@dataclass(frozen=True, slots=True)
class Ownership:
    """A run's id, and its sets by the server's ids of them."""

    run_id: str
    noted: Mapping[str, NotedSet] = field(default_factory=dict)

    def takes(self, run_id: str | None) -> bool:
        """Whether a record is this run's, by the id that it carries; records of early versions carry none."""
        return run_id is None or run_id == self.run_id

    def to_push(self, listed: Sequence[Listed], run_name: str, set_name: SetName) -> Listed | None:
        """The set on the server that a push goes on with: the one that was pushed to under this name, whatever it is
        called now, else one that has the name."""
        wanted = review_set(run_name, set_name, 1).name
        for one in listed:
            noted = self.noted.get(one.dataset_id)
            if noted is not None and wanted == (noted.name or one.name):
                return one
        return next((one for one in listed if one.name == wanted and one.dataset_id not in self.noted), None)

    def to_pull(self, listed: Sequence[Listed], run_name: str) -> list[tuple[SetName, Listed]]:
        """All sets that were ever pushed to and are there, and those that have the names, in the order of `SETS`."""
        found: list[tuple[SetName, Listed]] = []
        for set_name in SETS:
            wanted = review_set(run_name, set_name, 1).name
            for one in sorted(listed, key=lambda one: one.dataset_id):
                noted = self.noted.get(one.dataset_id)
                of = (noted.set or _told(one)) if noted is not None else set_name if one.name == wanted else None
                if of == set_name:
                    found.append((set_name, one))
        return found


def read_ownership(run: Path) -> Ownership:
    """What the run's folder says. Raises UsageError where it cannot be read. A run that has no id yet gets one."""
    path = run / STATE
    try:
        body: Any = json.loads(path.read_text(encoding="utf-8"))["datasets"] if path.exists() else {}
        if isinstance(body, list):  # as early versions wrote it
            body = {str(id): {} for id in body}
        noted = {id: NotedSet(_set(one.get("set")), one.get("name")) for id, one in body.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{path}: cannot be read ({error}): delete it, `review push` writes it anew") from error
    return Ownership(_run_id(run), noted)


def note_set(run: Path, dataset_id: str, set_name: SetName, name: str) -> None:
    """Notes that the run pushes to a set of the server."""
    before = read_ownership(run).noted
    if before.get(dataset_id) == NotedSet(set_name, name):
        return
    after = {**before, dataset_id: NotedSet(set_name, name)}
    body = {id: {"set": one.set, "name": one.name} for id, one in sorted(after.items())}
    with atomic_writer(run / STATE) as file:
        json.dump({"datasets": body}, file, indent=0)


def _run_id(run: Path) -> str:
    path = run / RUN_ID
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_writer(path) as file:
            file.write(uuid.uuid4().hex)
    return path.read_text(encoding="utf-8").strip()


def _set(name: object) -> SetName | None:
    return next((one for one in SETS if one == name), None)


def _told(listed: Listed) -> SetName | None:
    """Which set it is, by the first line of its guidelines: `# Blind`."""
    title = listed.guidelines.partition("\n")[0].removeprefix("# ").strip().lower()
    return _set(title)
