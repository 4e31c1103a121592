"""A run held against the recipe and the rows of a dataset: what is different, line by line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hardcut.engine.files import sha256_of
from hardcut.engine.scratch import scratch_folder
from hardcut.engine.status import read_status
from hardcut.pipeline.run_export import Choices, export_run
from hardcut.publish.assigned import ASSIGNED
from hardcut.publish.changes import rows_told
from hardcut.publish.dataset import FILES, Dataset
from hardcut.publish.diff import diff
from hardcut.publish.recipe import flat
from hardcut.publish.recipe_file import given_files, portable_settings
from hardcut.schemas.ids import digest
from hardcut.schemas.recipe import OURS, Environment, MadeWith, Recipe, prompt_folders
from hardcut.schemas.settings import Settings

MANIFEST = "manifest.jsonl"
"""The list of videos that `hardcut reproduce` writes into the folder of a run."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as it was: what kind of thing, its name, the dataset's value and the value here."""

    kind: str
    name: str
    there: str
    here: str
    note: str = ""

    def __str__(self) -> str:
        told = f"{self.kind} {self.name}: {self.there} -> {self.here}"
        return f"{told} ({self.note})" if self.note else told


def compare_versions(recipe: Recipe, here: Environment) -> Iterator[Difference]:
    """Versions of Hardcut, Python and libraries: those of the latest start of the dataset's run, and these."""
    if not recipe.environments:
        yield Difference("version", "all", "not known", "see `hardcut doctor`", "the run noted none")
        return
    was, now = recipe.environments[-1].flat(), here.flat()
    for name in sorted(was.keys() | now.keys()):
        if was.get(name) != now.get(name):
            yield Difference("version", name, was.get(name, "not needed"), now.get(name, "not installed"))
    if len(recipe.environments) > 1:
        more = f"{len(recipe.environments) - 1} earlier environments"
        yield Difference("version", "of earlier starts", more, "one", "records of these starts were made with them")


def compare_settings(recipe: Recipe, settings: Settings) -> Iterator[Difference]:
    """Settings by dotted name. Prompts, and files of the user, are compared by their content elsewhere."""
    was, now = (dict(flat("", _plain(told))) for told in (recipe.settings, portable_settings(settings)))
    for name in sorted(was.keys() | now.keys()):
        if was.get(name) != now.get(name):
            yield Difference("setting", name, str(was.get(name, "not set")), str(now.get(name, "not set")))


def _plain(told: Mapping[str, Any]) -> dict[str, Any]:
    """Settings without names of prompt folders, and with the judges of a list by number."""
    scores = dict(told["scores"])
    judges = scores.pop("teachers", [])
    teachers = {"teacher": told["teacher"], **{f"scores.teachers.{n}": each for n, each in enumerate(judges)}}
    teachers |= {f"teachers.{name}": each for name, each in told["teachers"].items()}
    bare = {name: {key: value for key, value in each.items() if key != "prompts"} for name, each in teachers.items()}
    return {**told, "scores": scores, "teachers": {}, **bare}


def compare_prompts(recipe: Recipe, settings: Settings, here: Mapping[str, Mapping[str, str]]) -> Iterator[Difference]:
    """Prompts by role and name, of the dataset's run and of this one."""
    if not recipe.prompts:
        return
    was = _by_role(Settings.model_validate(recipe.settings), recipe.prompts, {})
    now = _by_role(settings, here, prompt_folders(settings))
    told: dict[str, tuple[str, str]] = {}
    for role in was.keys() & now.keys():
        for name in was[role].keys() | now[role].keys():
            before, after = was[role].get(name), now[role].get(name)
            if before != after:
                told[name] = _short(before), _short(after)
    for name, (before, after) in sorted(told.items()):
        yield Difference("prompt", name, before, after)


def _short(text: str | None) -> str:
    return digest(text)[:12] if text is not None else "not there"


def _by_role(
    settings: Settings, prompts: Mapping[str, Mapping[str, str]], folders: Mapping[str | None, str]
) -> dict[str, Mapping[str, str]]:
    """The prompts of each role. `folders` says what the folders in the settings are called; without it, they have the
    names of a recipe."""
    found = {
        "captions": settings.writer("captions"),
        "check": settings.writer("check"),
        "queries": settings.writer("queries"),
        "counterfactuals": settings.writer("counterfactuals"),
        **{f"judge {number}": judge for number, judge in enumerate(settings.judges)},
    }
    names = {role: folders.get(each.prompts, each.prompts or OURS) for role, each in found.items()}
    return {role: prompts[name] for role, name in names.items() if name in prompts}


def compare_inputs(recipe: Recipe, made: MadeWith, run: Path) -> Iterator[Difference]:
    """Files that the user gave, by content: those of the dataset's run and those of this one. The list of videos that
    `hardcut reproduce` wrote is none."""
    now = {**made.inputs, **dict(given_files(run))}
    listed = run / MANIFEST
    if "manifest" in now and listed.is_file() and now["manifest"].sha256 == sha256_of(listed):
        del now["manifest"]
    for name in sorted((recipe.inputs.keys() | now.keys()) - {"splits"}):
        was, here = recipe.inputs.get(name), now.get(name)
        if (was and was.sha256) != (here and here.sha256):
            yield Difference(
                "file", name,
                f"{was.name} {was.sha256[:12]}" if was else "not given",
                f"{here.name} {here.sha256[:12]}" if here else "not given",
            )  # fmt: skip


def compare_records(dataset: Dataset, recipe: Recipe, run: Path) -> tuple[bool, list[Difference]]:
    """Whether the run is finished; then the rows that it would be exported with are compared with the dataset's, in a
    folder that is removed again."""
    if not read_status(run).finished:
        return False, []
    inherits = "splits" in recipe.inputs or (dataset.folder / ASSIGNED).exists()
    with scratch_folder() as folder:
        export_run(run, folder / "dataset", Choices(like=dataset.folder if inherits else None))
        new = Dataset(folder / "dataset")
        found = diff(dataset, new)
        lines = [
            Difference("rows", name, "the dataset", told)
            for name, told in (line.split(": ", 1) for line in rows_told(found))
            if not told.startswith("none changed")
        ]
        was, now = _tables(dataset), _tables(new)
        other = sorted(path for path in was.keys() | now.keys() if was.get(path) != now.get(path))
        lines += [
            Difference("table", path, was.get(path, "not there")[:12], now.get(path, "not there")[:12])
            for path in other
        ]
        lines += _teachers(dataset, new)
    return True, lines


def _tables(dataset: Dataset) -> dict[str, str]:
    """The digests of the tables. Clips are the user's own files."""
    listed = dataset.marker[FILES]
    return {
        path: str(file["sha256"])
        for path, file in listed.items()
        if path.startswith("data/") and not path.startswith("data/media/")
    }


def _teachers(dataset: Dataset, new: Dataset) -> Iterator[Difference]:
    """Who made what, with revision and prompt."""
    was, now = (
        {(each["made"], each["name"], each["revision"], each["prompt_digest"]) for each in one.marker["teachers"]}
        for one in (dataset, new)
    )
    for made, name, revision, prompt in sorted(was - now):
        yield Difference("teacher", f"of {made}", _named(name, revision, prompt), "not among those of this run")
    for made, name, revision, prompt in sorted(now - was):
        yield Difference("teacher", f"of {made}", "not among those of the dataset", _named(name, revision, prompt))


def _named(name: str, revision: str, prompt: str) -> str:
    return ", ".join(filter(None, (name, revision and f"revision {revision}", prompt and f"prompt {prompt[:12]}")))
