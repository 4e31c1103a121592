"""Sets the run of a dataset up again, out of its recipe and the videos, and says what is different here."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import tomli_w

from hardcut.engine.files import atomic_writer, sha256_of
from hardcut.media.collection import Collection
from hardcut.media.video_files import VideoFile
from hardcut.pipeline.cache import Cache
from hardcut.pipeline.carry_out import find_videos
from hardcut.pipeline.compare_runs import (
    MANIFEST,
    Difference,
    compare_inputs,
    compare_prompts,
    compare_records,
    compare_settings,
    compare_versions,
)
from hardcut.pipeline.note_made_with import environment, prompts_in_force
from hardcut.publish._folder import new_folder
from hardcut.publish.dataset import Dataset
from hardcut.publish.recipe_file import read_recipe
from hardcut.schemas.addresses import canonical_address, model_and_address
from hardcut.schemas.config import load_settings
from hardcut.schemas.errors import HardcutError, UsageError
from hardcut.schemas.ids import digest
from hardcut.schemas.jsonl import write_records
from hardcut.schemas.kept import KeptPair
from hardcut.schemas.recipe import OURS, MadeVideo, MadeWith, Recipe
from hardcut.schemas.settings import Inputs, Settings
from hardcut.schemas.teachers import Role, TeacherSettings
from hardcut.teacher.prompts.render import prompt_sources

CONFIG = "hardcut.toml"
_HEAD = """# Made by `hardcut reproduce`: the settings of the run of a dataset, without folders, addresses and keys.

"""


@dataclass(frozen=True, slots=True)
class Reproduction:
    """What was written for the run, the `flags` for files that `hardcut run` wants beside, and what differs.

    `compared`: the run had begun, so nothing was written and the run itself is compared; `finished`: its records too.
    """

    written: tuple[str, ...]
    flags: tuple[str, ...]
    differences: tuple[Difference, ...]
    compared: bool
    finished: bool


def reproduce(dataset: Path, videos: Path, out: Path, servers: Sequence[str], cache: Cache) -> Reproduction:
    """Writes what `hardcut run` needs to make the dataset's run again into the folder `out`: settings, prompts, the
    list of its videos where the folder has others too, and the pairs that it kept. Where a run has begun there, it is
    compared with the dataset instead. `servers` are addresses of teachers, `URL` or `MODEL=URL`.

    Raises UsageError for a dataset without a recipe, a folder that holds something, a server that nobody needs.
    """
    made = Dataset(dataset)
    recipe = read_recipe(made)
    if (out / "run.toml").is_file():
        return _compared(made, recipe, videos, out, cache)
    settings, written = _placed(recipe, out, servers)
    collection = find_videos(videos, Settings(), out, cache)
    found = [*compare_versions(recipe, environment(settings)), *_other_prompts(recipe), *_given(recipe)]
    listed, differences = compare_videos(recipe, collection)
    found += differences
    if listed is not None:
        written[MANIFEST] = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in listed)
        settings = load_settings(settings, {"inputs.manifest": str((out / MANIFEST).resolve())})
    table = settings.model_dump(mode="json", exclude_none=True, exclude={"train", "budget", "resources"})
    with new_folder(out) as folder:
        for name, text in {**written, CONFIG: _HEAD + tomli_w.dumps(table)}.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            with atomic_writer(folder / name) as file:
                file.write(text)
        if recipe.kept:
            with atomic_writer(folder / KeptPair.FILE) as file:
                write_records(file, recipe.kept)
    found += _teachers(settings, made)  # their prompts are in place now
    names = [CONFIG, *written, *([KeptPair.FILE] if recipe.kept else [])]
    given = [name for name in Inputs.model_fields if name in recipe.inputs]
    flags = tuple(f"--{name.replace('_', '-')}={recipe.inputs[name].name}" for name in given)
    return Reproduction(tuple(names), flags, tuple(found), False, False)


def _placed(recipe: Recipe, out: Path, servers: Sequence[str]) -> tuple[Settings, dict[str, str]]:
    """The settings of the recipe with the places of here, and the prompts that are to be written, by path."""
    folders = _own_prompts(recipe)
    table = dict(recipe.settings)
    at = _Servers(servers)
    for teacher in (table["teacher"], *table["teachers"].values(), *table["scores"]["teachers"]):
        name = teacher.get("prompts", OURS)
        teacher.pop("prompts", None)
        if name in folders:
            teacher["prompts"] = str((out / "prompts" / name).resolve())
        teacher["spec"] = at.placed(teacher["spec"])
    table["evidence"]["speech"] = at.placed(table["evidence"]["speech"])
    at.refuse_unused()
    written = {
        f"prompts/{name}/{file}": text for name, files in folders.items() for file, text in sorted(files.items())
    }
    return load_settings(Settings.model_validate(table)), written


class _Servers:
    """Addresses that the user gave, by the model's name; an address without one is for all others."""

    def __init__(self, given: Sequence[str]) -> None:
        self._by_model: dict[str, str] = {}
        for text in given:
            model, sign, url = text.rpartition("=")
            self._by_model[model if sign else ""] = canonical_address(url)
        self._unused = set(self._by_model)

    def placed(self, spec: str) -> str:
        """The spec of a model behind a server with its address, where there is one; others as they are."""
        kind, _, model = spec.partition(":")
        name = model if model in self._by_model else ""
        if kind not in ("openai", "server") or name not in self._by_model:
            return spec
        self._unused.discard(name)
        return f"{spec}@{self._by_model[name]}"

    def refuse_unused(self) -> None:
        """Raises UsageError for an address that nothing of the recipe needs."""
        for model in sorted(self._unused):
            raise UsageError(f"--server {model or self._by_model[model]}: no teacher of the dataset is asked there")


def _own_prompts(recipe: Recipe) -> dict[str, Mapping[str, str]]:
    """The prompts that are not those of this version of Hardcut, by folder."""
    here = prompt_sources(None)
    return {name: files for name, files in recipe.prompts.items() if name != OURS or files != here}


def _other_prompts(recipe: Recipe) -> Iterator[Difference]:
    """Hardcut's own prompts that have changed since. The user's are set up as they were."""
    here = prompt_sources(None)
    if not recipe.prompts and any(each.spec != "evidence" for each in Settings.model_validate(recipe.settings).asked):
        yield Difference("prompts", "all", "not known", "this version's", "the run is of a version that noted none")
    for name, text in sorted(recipe.prompts.get(OURS, {}).items()):
        if text != here.get(name):
            yield Difference(
                "prompt", name, digest(text)[:12], digest(here[name])[:12] if name in here else "not there",
                "the dataset's is set up",
            )  # fmt: skip


def _given(recipe: Recipe) -> Iterator[Difference]:
    """Files of the user, which no dataset carries."""
    advice = {
        "reviews": "copy the reviewers' answers into the run's folder",
        "comparisons": "copy the reviewers' comparisons into the run's folder",
        "calibration": "`hardcut calibrate` makes it of people's answers",
        "splits": "`hardcut export --like` with this dataset keeps its splits",
    }
    for name, file in recipe.inputs.items():
        flag = name.replace("_", "-")
        told = advice.get(name, f"name it: `hardcut run --{flag}`")
        yield Difference("file", f"{name} ({file.name})", file.sha256[:12], "not part of a dataset", told)


def compare_videos(recipe: Recipe, collection: Collection) -> tuple[list[dict[str, str]] | None, list[Difference]]:
    """What of the recipe's videos is missing or changed in a folder; and the lines of a manifest, where the folder has
    others too or has them under other ids (None: it needs none)."""
    by_path = {file.relative: file for file in collection.files}
    contents: dict[str, list[VideoFile]] = {}
    digests = {file.relative: sha256_of(file.path) for file in collection.files}
    for file in collection.files:
        contents.setdefault(digests[file.relative], []).append(file)
    lines, found, taken = [], list[Difference](), set[str]()
    for video in recipe.videos:
        here = by_path.get(video.path)
        if here is None:
            here = next((each for each in contents.get(video.sha256, ()) if each.relative not in taken), None)
            if here is None:
                found.append(Difference("video", video.video_id, video.sha256[:12], "missing"))
                continue
            found.append(Difference("video", video.video_id, video.path, here.relative, "the same file elsewhere"))
        taken.add(here.relative)
        lines.append({"path": here.relative, "video_id": video.video_id})
        if digests[here.relative] != video.sha256:
            found.append(
                Difference("video", video.video_id, video.sha256[:12], digests[here.relative][:12], "another file")
            )
        found += _beside(video, here)
    others = sorted(by_path.keys() - taken)
    if others:
        more = f"{len(others):,} files such as {others[0]}"
        found.append(Difference("video", "others", "not in the run", more, "the manifest leaves them out"))
    is_same = not others and all(by_path[line["path"]].video_id == line["video_id"] for line in lines)
    return (None if is_same or not lines else lines), found


def _beside(video: MadeVideo, here: VideoFile) -> Iterator[Difference]:
    """What is written beside a video: metadata, subtitles."""
    if digest(here.metadata) != video.metadata:
        yield Difference("video", video.video_id, "its metadata", "other metadata", "by its sidecar or the manifest")
    beside = sorted(sha256_of(each.path) for each in here.subtitles)
    if beside != sorted(video.subtitles.values()):
        there = ", ".join(video.subtitles) or "none"
        yield Difference("video", video.video_id, f"subtitles: {there}", "other subtitles")


def _teachers(settings: Settings, dataset: Dataset) -> Iterator[Difference]:
    """Teachers that cannot be asked here as they were."""
    folders = {
        each["name"]: each["revision"]
        for each in dataset.marker.get("teachers", ())
        if str(each.get("revision", "")).startswith("sha256:")
    }
    for teacher in settings.asked:
        kind, _, rest = teacher.spec.partition(":")
        if kind == "openai" and model_and_address(rest) is None:
            yield Difference("teacher", teacher.spec, "at a server", "no address", "--server [MODEL=]URL")
        elif teacher.spec in folders:
            yield Difference(
                "teacher", teacher.spec, folders[teacher.spec][:19], "not looked at", f"name its folder in {CONFIG}"
            )
        elif kind == "openai":
            yield from _reached(teacher, settings)


def _reached(teacher: TeacherSettings, settings: Settings) -> Iterator[Difference]:
    """Whether its server has the model. No server says which revision of it."""
    import asyncio

    from hardcut.teacher.needs import needs_of
    from hardcut.teacher.registry import open_teacher

    async def ask() -> None:
        needs = needs_of(settings, teacher, get_args(Role))
        opened = open_teacher(teacher, settings.resources, main=settings.teacher, needs=needs)
        try:
            await opened.ping()
        finally:
            await opened.close()

    try:
        asyncio.run(ask())
    except HardcutError as error:
        yield Difference("teacher", teacher.spec, "was asked", "cannot be asked", str(error))
        return
    if teacher.revision:
        yield Difference(
            "teacher", teacher.spec, f"revision {teacher.revision}", "not told by its server", "look there"
        )


def _compared(dataset: Dataset, recipe: Recipe, videos: Path, out: Path, cache: Cache) -> Reproduction:
    """A run that has begun, held against the dataset."""
    settings = load_settings(out / "run.toml")
    path = out / MadeWith.FILE
    made = MadeWith.model_validate_json(path.read_text("utf-8")) if path.exists() else MadeWith(environments=())
    found = [
        *(compare_versions(recipe, made.environments[-1]) if made.environments else ()),
        *compare_settings(recipe, settings),
        *compare_prompts(recipe, settings, made.prompts or prompts_in_force(settings)),
        *compare_inputs(recipe, made, out),
        *compare_videos(recipe, find_videos(videos, settings, out, cache))[1],
    ]
    finished, records = compare_records(dataset, recipe, out)
    return Reproduction((), (), (*found, *records), True, finished)
