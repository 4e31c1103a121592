"""What a repository on the Hub holds, and which of its files Hardcut put there."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Mapping, Sequence
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

CARD = "README.md"
GENERATED = ".hardcut/card.md"
"""The card as Hardcut wrote it last, beside the one that people may edit: what they changed is told by it."""
LIST = ".hardcut/files.json"
"""Of a model: what Hardcut put there last, SHA-256 by path. A dataset's marker lists its files itself."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What is published: `mark` is the file that every repository of ours has, `ours` says which files belong to us."""

    name: Literal["dataset", "model"]
    mark: str
    ours: re.Pattern[str]


DATASET_FILES = (CARD, MARKER, LEFT_OUT, ASSIGNED, CHANGES, RECIPE)
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


def written_last(api: HfApi, repo_id: str, kind: Kind, there: There) -> Mapping[str, str] | None:
    """What Hardcut put there last: SHA-256 by path, empty where an earlier version noted none. None where nothing says,
    as of a model of an earlier version or a repository of others."""
    if kind.mark not in there.files:
        return None
    name = MARKER if kind.mark == MARKER else LIST
    if name not in there.files:
        return None
    told = _json(fetch(api, repo_id, kind, name, there.head).decode("utf-8", "replace"))
    if kind.mark == MARKER:
        listed = told.get(FILES) if isinstance(told, dict) else None
        entries = listed.items() if isinstance(listed, dict) else ()
        return {path: str(one.get("sha256", "")) for path, one in entries if isinstance(one, dict)}
    if isinstance(told, dict):
        return {path: str(sha256) for path, sha256 in told.items()}
    return {str(path): "" for path in told} if isinstance(told, list) else {}


def put_there(
    repo_id: str, kind: Kind, there: There, files: Collection[str], written: Mapping[str, str] | None, *, adopt: bool
) -> set[str]:
    """The files of the repository that Hardcut put there. What people added beside them is theirs, but for what
    readers would take for a part of a table.

    Raises UsageError for a model of which an earlier version of Hardcut kept no list, where something would go by its
    name alone.
    """
    named = {name for name in there.files if kind.ours.fullmatch(name)}
    if kind.mark not in there.files:
        return named  # adopted: what goes was asked for
    if kind.mark == MARKER:
        return {name for name in named if name in (written or ()) or name in DATASET_FILES or SHARD.fullmatch(name)}
    if written is not None:
        return {name for name in named if name in written}
    unsure = sorted(named - set(files))
    if unsure and not adopt:
        raise UsageError(
            f"{repo_id}: the version of Hardcut that wrote it kept no list of its files, so {unsure[0]} may be "
            f"somebody else's{f', and {len(unsure) - 1} more' if len(unsure) > 1 else ''}: --adopt removes what "
            "--adopt --dry-run shows"
        )
    return named


def refuse_others_work(
    api: HfApi, repo_id: str, kind: Kind, there: There, names: Sequence[str], written: Mapping[str, str] | None
) -> None:
    """Raises UsageError where one of `names`, files that would be replaced or removed, is not as Hardcut wrote it: then
    it is somebody's work. The card, which is merged, and Hardcut's own notes are not asked about."""
    if written is None:
        return
    ours = {CARD, GENERATED, MARKER, LIST}
    others = [
        name
        for name in names
        if name in there.files
        and name not in ours
        and written.get(name) != ""
        and written.get(name) != _sha256(api, repo_id, kind, there, name)
    ]
    if others:
        raise UsageError(
            f"{repo_id}: {others[0]} was put or changed there by somebody else"
            f"{f', and {len(others) - 1} more' if len(others) > 1 else ''}: save it; --adopt replaces or removes what "
            "--adopt --dry-run shows; nothing was sent"
        )


def _sha256(api: HfApi, repo_id: str, kind: Kind, there: There, name: str) -> str:
    lfs = there.files[name].lfs
    return (
        str(lfs.sha256) if lfs is not None else hashlib.sha256(fetch(api, repo_id, kind, name, there.head)).hexdigest()
    )


def _json(text: str) -> Any:
    """None where somebody broke it: then nothing is known to be ours."""
    try:
        return parse_json(text)
    except ValueError:
        return None


def fetch(api: HfApi, repo_id: str, kind: Kind, path: str, revision: str | None) -> bytes:
    """A small file of the repository. Nothing is written here."""
    from huggingface_hub import get_session, hf_hub_url
    from huggingface_hub.utils import build_hf_headers, hf_raise_for_status  # type: ignore[attr-defined]

    url = hf_hub_url(repo_id, path, repo_type=kind.name, revision=revision, endpoint=api.endpoint)
    response = get_session().get(url, headers=build_hf_headers(library_name="hardcut"))
    hf_raise_for_status(response)
    return response.content
