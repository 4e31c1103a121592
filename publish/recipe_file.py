"""The file of a dataset that says how its run can be made again: `recipe.jsonl`. It names no folder and no server.

Its lines are of four kinds: `run` (settings, versions, files that were given), `prompt`, `video` and `kept` (pairs of
earlier versions that stay). So a video can be taken out line by line.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path, PurePath
from typing import Any

from pydantic import ValidationError

from hardcut.engine.files import sha256_of
from hardcut.engine.run_files import RunFiles
from hardcut.publish.dataset import DamagedDataset, Dataset
from hardcut.report.statistics.calibration import CALIBRATION_FILE
from hardcut.schemas.addresses import model_and_address
from hardcut.schemas.comparisons import Comparison
from hardcut.schemas.config import load_settings
from hardcut.schemas.errors import UsageError
from hardcut.schemas.flags import NOTHING_FLAGGED, Flagged
from hardcut.schemas.jsonl import read_objects, read_records
from hardcut.schemas.judgments import Review
from hardcut.schemas.kept import KeptPair
from hardcut.schemas.recipe import GivenFile, MadeVideo, MadeWith, Recipe, prompt_folders
from hardcut.schemas.records import Video
from hardcut.schemas.settings import Settings

RECIPE = "recipe.jsonl"
_ELSEWHERE = frozenset({"inputs", "train", "budget", "resources"})
"""Groups of settings that change nothing of a dataset, or that are told otherwise."""
_TEMPLATE = re.compile(r"[a-z_]+\.(system|user)\.txt\.jinja")


def portable_settings(settings: Settings) -> dict[str, Any]:
    """The settings that a run can be made again with: without folders, addresses of servers, prices and names of
    variables. The folders of prompts are called as in a recipe."""
    told = settings.model_dump(mode="json", exclude_none=True, exclude=set(_ELSEWHERE))
    folders = prompt_folders(settings)
    for teacher in (told["teacher"], *told["teachers"].values(), *told["scores"]["teachers"]):
        for place in ("key_variable", "urls", "price"):
            teacher.pop(place, None)
        teacher["spec"] = _without_place(teacher["spec"])
        if "prompts" in teacher:
            teacher["prompts"] = folders[teacher["prompts"]]
    evidence = told["evidence"]
    for place in ("speech_key_variable", "speech_price", "sounds_key_variable", "sounds_price"):
        evidence.pop(place, None)
    for place in ("speech", "sounds"):
        evidence[place] = _without_place(evidence[place])
    for name in ("paddle_det", "paddle_rec"):
        if name in evidence:
            evidence[name] = PurePath(evidence[name]).name
    told["export"].pop("splits", None)
    return told


def _without_place(spec: str) -> str:
    """`KIND:MODEL` of `KIND:MODEL@URL`, and of a model in a folder its name alone."""
    kind, _, rest = spec.partition(":")
    at = model_and_address(rest)
    if at is not None:
        return f"{kind}:{at[0]}"
    if kind in ("vllm", "transformers", "whisper") and (rest.startswith(("/", ".", "~")) or Path(rest).is_dir()):
        return f"{kind}:{PurePath(rest).name}"
    return spec


def write_recipe(run: Path, folder: Path, settings: Settings, flags: Flagged = NOTHING_FLAGGED) -> None:
    """Writes the recipe into the folder of a dataset that is made of a run. The groups `export` and `check` are those
    of `settings`, which the dataset is made with; all others are the run's own. What reviewers' flags withhold is left
    out."""
    own = load_settings(run / "run.toml") if (run / "run.toml").is_file() else settings
    made = _made_with(run)
    told = portable_settings(own.model_copy(update={"export": settings.export, "check": settings.check}))
    inputs = dict(made.inputs) | dict(given_files(run, settings.export.splits))
    head = {
        "settings": told,
        "environments": [each.model_dump(mode="json") for each in made.environments],
        "inputs": {name: inputs[name].model_dump(mode="json") for name in sorted(inputs)},
    }
    with (folder / RECIPE).open("w", encoding="utf-8", newline="\n") as file:
        for line in _lines(run, head, made, flags):
            file.write(json.dumps(line, ensure_ascii=False) + "\n")


def _lines(run: Path, head: dict[str, Any], made: MadeWith, flags: Flagged) -> Iterator[dict[str, Any]]:
    yield {"kind": "run", **head}
    for name, prompts in sorted(made.prompts.items()):
        for file, text in sorted(prompts.items()):
            yield {"kind": "prompt", "folder": name, "name": file, "text": text}
    for video in RunFiles(run).read(Video):
        if video.video_id not in flags.videos:
            yield {"kind": "video", **MadeVideo.of(video).model_dump(mode="json")}
    if (run / KeptPair.FILE).exists():
        for pair in read_records(run / KeptPair.FILE, KeptPair):
            if flags.withheld(pair.query_id, pair.video_id):
                continue
            yield {"kind": "kept", **pair.model_dump(mode="json")}


def given_files(run: Path, splits: str | None = None) -> Iterator[tuple[str, GivenFile]]:
    """What people gave the run and the export, beside the files in the run's settings."""
    places = {"reviews": run / Review.FILE, "comparisons": run / Comparison.FILE, "calibration": run / CALIBRATION_FILE}
    if splits:
        places["splits"] = Path(splits).expanduser()
    for name, path in places.items():
        if path.is_file():
            yield name, GivenFile(name=path.name, sha256=sha256_of(path))


def _made_with(run: Path) -> MadeWith:
    path = run / MadeWith.FILE
    if not path.exists():
        return MadeWith(environments=())
    try:
        return MadeWith.model_validate_json(path.read_text("utf-8"))
    except (ValidationError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: not as it was written: delete it; then the dataset does not say it") from error


def read_recipe(dataset: Dataset) -> Recipe:
    """What the dataset says of its run. Places in it, of whatever kind, are taken for none: it may come from anybody.

    Raises UsageError where it says nothing, DamagedDataset for one that was altered.
    """
    path = dataset.folder / RECIPE
    if not path.exists():
        raise UsageError(f"{dataset.folder}: no {RECIPE} in it: export its run again with this version of Hardcut")
    dataset.refuse_altered(files=(RECIPE,))
    head: dict[str, Any] = {}
    prompts: dict[str, dict[str, str]] = {}
    videos, kept = [], []
    try:
        for _, row in read_objects(path):
            kind = row.pop("kind")
            if kind == "run":
                head = row
            elif kind == "prompt" and _TEMPLATE.fullmatch(row["name"]) and row["folder"].isalnum():
                prompts.setdefault(row["folder"], {})[row["name"]] = row["text"]
            elif kind == "video":
                videos.append(MadeVideo.model_validate(row))
            elif kind == "kept":
                kept.append(KeptPair.model_validate(row))
        head["settings"].setdefault("scores", {}).setdefault("show_metadata", True)  # as it was, where none is said
        settings = _without_places(Settings.model_validate(head["settings"]))
        return Recipe(**{**head, "settings": settings}, prompts=prompts, videos=tuple(videos), kept=tuple(kept))
    except (KeyError, TypeError, AttributeError, ValidationError, UsageError) as error:
        told = " ".join(str(error).split())[:200]
        raise DamagedDataset(
            f"{path}: not what this version of Hardcut reads ({told}): take the version that wrote it, or export the "
            "run again"
        ) from error


def _without_places(settings: Settings) -> dict[str, Any]:
    """The settings once more without places. Their folders of prompts are names of the recipe already, and stay."""
    told = portable_settings(settings)
    names = {name: path for path, name in prompt_folders(settings).items()}
    for teacher in (told["teacher"], *told["teachers"].values(), *told["scores"]["teachers"]):
        if "prompts" in teacher:
            teacher["prompts"] = names[teacher["prompts"]]
    return told
