"""What a repository on the Hub holds, and which of its files Hardcut put there."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from hardcut.publish._folder import MARKER
from hardcut.publish.assigned import ASSIGNED
from hardcut.publish.changes import CHANGES
from hardcut.publish.dataset import FILES, LEFT_OUT
from hardcut.publish.recipe_file import RECIPE
from hardcut.schemas.errors import UsageError
from hardcut.schemas.jsonl import parse_json

if TYPE_CHECKING:
    from huggingface_hub import HfApi

LIST = ".hardcut/files.json"
"""Of a model: the paths that Hardcut put there last. A dataset's marker lists its files itself."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What is published: `mark` is the file that every repository of ours has, `ours` says which files belong to us."""

    name: Literal["dataset", "model"]
    mark: str
    ours: re.Pattern[str]


DATASET_FILES = ("README.md", MARKER, LEFT_OUT, ASSIGNED, CHANGES, RECIPE)
"""The files of a dataset beside its folders."""
SHARD = re.compile(r"data/\w+/(train|validation|test)-\d{5}-of-\d{5}\.parquet")
"""A part of a table. The card names tables by such patterns, so readers load every file of such a name."""
DATASET = Kind("dataset", MARKER, re.compile("|".join([r"(data|plots)/.*", *map(re.escape, DATASET_FILES)])))
MODEL = Kind("model", "train.json", re.compile(r".*\.(safetensors|jinja|json|jsonl)|README\.md"))


@dataclass(frozen=True, slots=True)
class There:
    """A repository as it is: its newest commit, its files by path, the commit of each tag."""

    url: str
    private: bool
    head: str | None
    files: Mapping[str, Any]
    tags: Mapping[str, str]


def put_there(api: HfApi, repo_id: str, kind: Kind, there: There, files: Collection[str], *, adopt: bool) -> set[str]:
    """The files of the repository that Hardcut put there. What people added beside them is theirs, but for what
    readers would take for a part of a table.

    Raises UsageError for a model of which an earlier version of Hardcut kept no list, where something would go by its
    name alone.
    """
    named = {name for name in there.files if kind.ours.fullmatch(name)}
    if kind.mark not in there.files:
        return named  # adopted: what goes was asked for
    if kind.mark == MARKER:
        marker = _json(fetch(api, repo_id, kind, MARKER, there.head))
        listed = marker.get(FILES) if isinstance(marker, dict) else None
        return {name for name in named if name in (listed or ()) or name in DATASET_FILES or SHARD.fullmatch(name)}
    if LIST in there.files:
        listed = _json(fetch(api, repo_id, kind, LIST, there.head))
        return {name for name in named if name in listed} if isinstance(listed, list) else set()
    unsure = sorted(named - set(files))
    if unsure and not adopt:
        raise UsageError(
            f"{repo_id}: the version of Hardcut that wrote it kept no list of its files, so {unsure[0]} may be "
            f"somebody else's{f', and {len(unsure) - 1} more' if len(unsure) > 1 else ''}: --adopt removes what "
            "--adopt --dry-run shows"
        )
    return named


def _json(text: str) -> Any:
    """None where somebody broke it: then nothing is known to be ours."""
    try:
        return parse_json(text)
    except ValueError:
        return None


def fetch(api: HfApi, repo_id: str, kind: Kind, path: str, revision: str | None) -> str:
    """A small text of the repository. Nothing is written here."""
    from huggingface_hub import get_session, hf_hub_url
    from huggingface_hub.utils import build_hf_headers, hf_raise_for_status  # type: ignore[attr-defined]

    url = hf_hub_url(repo_id, path, repo_type=kind.name, revision=revision, endpoint=api.endpoint)
    response = get_session().get(url, headers=build_hf_headers(library_name="hardcut"))
    hf_raise_for_status(response)
    return response.content.decode("utf-8", "replace")
